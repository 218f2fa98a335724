"""A token is sent in a header: one that is not valid there is refused with the reason."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bulk_user_deletion.errors import PortalAnswerUnusable
from bulk_user_deletion.models.tokens import Credentials, Token
from bulk_user_deletion.portal import Portal
from local.portal import Knobs, PortalSimulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[PortalSimulator]:
    with PortalSimulator(users=30) as simulator:
        yield simulator


def a_token(simulator: PortalSimulator, value: str) -> str:
    simulator.knobs = Knobs(token=value)
    credentials = Credentials(
        simulator.application_id, simulator.application_key, simulator.api_user
    )
    return Portal(simulator.url, read_timeout_seconds=5).get_token(credentials)[0]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("abc\ndef", "has control characters"),
        ("abc\r\nuser: x", "has control characters"),
        ("abc\0", "has control characters"),
        ("abc\x7f", "has control characters"),
        ("abc€", "has characters beyond Latin-1"),
        ("\ud800", "has characters beyond Latin-1"),
        (" abc", "begins or ends with whitespace"),
        ("abc ", "begins or ends with whitespace"),
    ],
)
def test_a_token_that_no_header_can_carry_is_described_and_not_shown(
    simulator: PortalSimulator, value: str, said: str
) -> None:
    with pytest.raises(
        PortalAnswerUnusable, match=f"not valid in an HTTP header: it {said}"
    ) as error:
        a_token(simulator, value)

    assert value.strip() not in str(error.value)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1, max_size=12) | st.text(st.characters(max_codepoint=0xFF), min_size=1))
@example("é\x85\xa0ÿ")
@example("\xa0a")
def test_every_token_is_sent_unchanged_or_refused(simulator: PortalSimulator, value: str) -> None:
    try:
        given_out = a_token(simulator, value)
    except PortalAnswerUnusable:
        return
    token = Token("version-1", given_out, issued_at=0, expires_at=2**40, user=simulator.api_user)

    answer = Portal(simulator.url, token=token, read_timeout_seconds=5).look("118")

    assert answer.status == 200
    assert given_out == value
