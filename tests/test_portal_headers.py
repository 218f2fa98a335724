"""Headers that no portal should send, read by the real client over real HTTP."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bulk_user_deletion.models.tokens import Credentials, Token
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.answers import Call, Verdict, judge
from local.portal import Fault, Knobs, PortalSimulator

# What `http.server` can send in a header, and a client may have to read.
header_text = st.text(st.characters(max_codepoint=0xFF, exclude_characters="\r\n"), max_size=40)


@pytest.fixture(scope="module")
def simulator() -> Iterator[PortalSimulator]:
    with PortalSimulator(users=30) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def portal(simulator: PortalSimulator) -> Portal:
    credentials = Credentials(
        simulator.application_id, simulator.application_key, simulator.api_user
    )
    value, _ = Portal(simulator.url).get_token(credentials)
    token = Token("version-1", value, issued_at=0, expires_at=2**40, user=simulator.api_user)
    return Portal(simulator.url, token=token, read_timeout_seconds=5)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(retry_after=header_text, date=header_text, location=header_text)
@example("9" * 19, "Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "http://[bad")
@example("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", "9" * 5000, "\xff\xfe")
def test_whatever_the_headers_of_an_answer_hold_a_delete_is_answered_or_looked_for(
    portal: Portal, simulator: PortalSimulator, retry_after: str, date: str, location: str
) -> None:
    simulator.knobs = Knobs(retry_after=retry_after, date=date, location=location)

    for fault, verdict in (
        (Fault.TOO_MANY_REQUESTS, Verdict.TRY_AGAIN),
        (Fault.REDIRECT, Verdict.LOOK),
    ):
        simulator.faults.script(fault)
        answer = portal.delete("118")
        assert judge(Call.DELETE, answer) is verdict
