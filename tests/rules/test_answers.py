"""What the portal's answers mean, for every call: the table that the client follows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.rules.answers import Answer, Call, Transport, Verdict, judge

V = Verdict
CALLS = (Call.TOKEN, Call.READ, Call.LOOK, Call.DELETE)


def error(message: str = "Something is wrong") -> dict[str, str]:
    """The portal's own error body."""
    return {"status": "ERROR", "message": message}


HTML = None  # a proxy's page: there is no JSON in it to decode
A_USER = {"user": {"id": "118"}}
DEADLOCK = error("Deadlock found when trying to get lock; try restarting transaction")
NO_MANAGEMENT = error("External Application has no User Management Access")

#   status, body                        asking for     reading        looking at     deleting
#                                       a token        a list         a user         a user
TABLE: list[tuple[Any, ...]] = [
    # Success. The body of a DELETE's answer proves nothing: a look follows anyway.
    (200, A_USER, V.OK, V.OK, V.OK, V.OK),
    (200, {}, V.OK, V.OK, V.OK, V.OK),
    (200, error(), V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.REFUSE, V.OK),
    (200, [], V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.OK),
    (200, "ok", V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.OK),
    (200, HTML, V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN, V.OK),
    (202, HTML, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.OK),
    (204, HTML, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.OK),
    # Redirects are not followed: the token must not go elsewhere. A DELETE may have taken effect.
    (301, HTML, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.LOOK),
    (302, HTML, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.LOOK),
    (304, HTML, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.LOOK),
    # The token, and what it may do.
    (401, error("Unauthorized"), V.STOP_CREDENTIALS, V.RENEW_TOKEN, V.RENEW_TOKEN, V.RENEW_TOKEN),
    (401, HTML, V.STOP_CREDENTIALS, V.RENEW_TOKEN, V.RENEW_TOKEN, V.RENEW_TOKEN),
    (401, NO_MANAGEMENT, *[V.STOP_USER_MANAGEMENT] * 4),
    (412, error("Session expired"), V.STOP_CREDENTIALS, *[V.RENEW_TOKEN] * 3),
    (412, HTML, V.STOP_CREDENTIALS, *[V.RENEW_TOKEN] * 3),
    (403, error(), V.STOP_CREDENTIALS, V.REFUSE, V.REFUSE, V.REFUSE),
    (403, HTML, V.STOP_CREDENTIALS, V.REFUSE, V.STOP_USER_MANAGEMENT, V.LOOK),
    # Refusals. A proxy does not speak for the portal behind it.
    (400, error(), V.STOP_CREDENTIALS, V.REFUSE, V.REFUSE, V.REFUSE),
    (400, HTML, V.STOP_CREDENTIALS, V.REFUSE, V.REFUSE, V.LOOK),
    (404, error(), V.STOP_UNUSABLE, V.REFUSE, V.GONE, V.GONE),
    (404, HTML, V.STOP_UNUSABLE, V.REFUSE, V.TRY_AGAIN, V.LOOK),
    (404, {"message": "Not Found"}, V.STOP_UNUSABLE, V.REFUSE, V.TRY_AGAIN, V.LOOK),
    (404, [], V.STOP_UNUSABLE, V.REFUSE, V.TRY_AGAIN, V.LOOK),
    (410, error(), V.STOP_UNUSABLE, V.REFUSE, V.GONE, V.GONE),
    (410, HTML, V.STOP_UNUSABLE, V.REFUSE, V.REFUSE, V.LOOK),
    (405, error(), V.STOP_UNUSABLE, V.REFUSE, V.REFUSE, V.REFUSE),
    (405, HTML, V.STOP_UNUSABLE, V.REFUSE, V.REFUSE, V.LOOK),
    (408, HTML, V.STOP_UNUSABLE, V.REFUSE, V.REFUSE, V.LOOK),
    (409, error(), V.STOP_UNUSABLE, V.REFUSE, V.REFUSE, V.REFUSE),
    (499, HTML, V.STOP_UNUSABLE, V.REFUSE, V.REFUSE, V.LOOK),
    # Definitely nothing happened: retry later.
    (429, error(), *[V.TRY_AGAIN] * 4),
    (429, HTML, *[V.TRY_AGAIN] * 4),
    (400, DEADLOCK, *[V.TRY_AGAIN] * 4),
    (500, DEADLOCK, *[V.TRY_AGAIN] * 4),
    (503, error("Maintenance"), *[V.TRY_AGAIN] * 4),
    # Something may have happened.
    (503, HTML, V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN, V.LOOK),
    (500, error(), V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN, V.LOOK),
    (500, HTML, V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN, V.LOOK),
    (500, "Deadlock found", V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN, V.LOOK),  # says who?
    (502, HTML, V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN, V.LOOK),
    (504, HTML, V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN, V.LOOK),
    (599, HTML, V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN, V.LOOK),
    # Not a status of HTTP.
    (0, HTML, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.LOOK),
    (101, HTML, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.LOOK),
]


@pytest.mark.parametrize(
    ("call", "answer", "verdict"),
    [
        pytest.param(call, Answer(status, body), verdict, id=f"{call}-{status}-{str(body)[:40]}")
        for status, body, *verdicts in TABLE
        for call, verdict in zip(CALLS, verdicts, strict=True)
    ],
)
def test_every_status_has_one_meaning_for_every_call(
    call: Call, answer: Answer, verdict: Verdict
) -> None:
    assert judge(call, answer) is verdict


@pytest.mark.parametrize(
    ("transport", "token", "read", "look", "delete"),
    [
        (Transport.NOT_SENT, V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN),
        (Transport.LOST, V.TRY_AGAIN, V.TRY_AGAIN, V.TRY_AGAIN, V.LOOK),
        (Transport.TOO_LARGE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.STOP_UNUSABLE, V.LOOK),
    ],
)
def test_without_a_whole_answer_only_a_delete_is_in_doubt(
    transport: Transport, token: V, read: V, look: V, delete: V
) -> None:
    answer = Answer(None, transport=transport)

    assert [judge(call, answer) for call in CALLS] == [token, read, look, delete]


bodies = (
    st.none()
    | st.text()
    | st.lists(st.integers(), max_size=1)
    | st.builds(error, st.text() | st.sampled_from(["Deadlock found", NO_MANAGEMENT["message"]]))
    | st.dictionaries(st.sampled_from(["status", "message", "user"]), st.text() | st.none())
)
answers = st.builds(Answer, st.none() | st.integers(0, 999), bodies) | st.builds(
    Answer, st.none(), transport=st.sampled_from(Transport)
)


@given(st.sampled_from(Call), answers)
def test_every_answer_gets_a_verdict_that_its_call_can_act_on(call: Call, answer: Answer) -> None:
    verdict = judge(call, answer)

    # LOOK is only for requests that change a user; GONE is only possible for a single user.
    assert verdict is not V.LOOK or call in {Call.DELETE, Call.PUT}
    assert verdict is not V.GONE or call in {Call.LOOK, Call.DELETE, Call.PUT}
    # A token request cannot be solved by renewing the token, and it has no source to refuse.
    assert not (call is Call.TOKEN and verdict in {V.RENEW_TOKEN, V.REFUSE})


@given(answers)
def test_rule_4_another_delete_follows_a_definite_refusal_only(answer: Answer) -> None:
    if judge(Call.DELETE, answer) is V.TRY_AGAIN:
        definite = answer.status in {429, 503} or "deadlock" in answer.message.lower()
        assert definite or answer.transport is Transport.NOT_SENT
        assert answer.status == 429 or answer.is_portal_error or answer.transport


@given(st.sampled_from([Call.LOOK, Call.DELETE, Call.PUT]), answers)
def test_rule_4_gone_is_a_404_or_410_of_the_portals_own(call: Call, answer: Answer) -> None:
    own = answer.status in {404, 410} and answer.is_portal_error

    assert (judge(call, answer) is V.GONE) == own


@given(answers)
def test_rule_4_a_delete_is_called_refused_on_the_portals_own_word_only(answer: Answer) -> None:
    if judge(Call.DELETE, answer) is V.REFUSE:
        assert answer.is_portal_error


def test_a_missing_permission_is_known_however_it_is_written() -> None:
    answer = Answer(401, error("external application has NO USER MANAGEMENT access"))

    assert judge(Call.DELETE, answer) is V.STOP_USER_MANAGEMENT


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(200, A_USER), "HTTP 200"),
        (Answer(200, error()), "HTTP 200, but an error"),
        (Answer(200, HTML), "HTTP 200, but no JSON object"),
        (Answer(204, HTML), "HTTP 204"),
        (Answer(404, error()), "HTTP 404"),
        (Answer(404, HTML), "HTTP 404, not the portal's own error"),
        (Answer(502, HTML), "HTTP 502, not the portal's own error"),
        (Answer(None, transport=Transport.LOST), "no answer (lost)"),
    ],
)
def test_an_answer_is_described_by_its_status_and_by_who_gave_it(answer: Answer, said: str) -> None:
    assert answer.describe() == said


def test_rule_6_a_description_repeats_nothing_from_the_body() -> None:
    answer = Answer(409, error("jdoe@example.com owns 3 dashboards"))

    assert "jdoe" not in answer.describe()
