"""Users who are kept, no matter who requests their deletion."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.users import PortalUser, ReasonKind
from bulk_user_deletion.rules.protection import Protected, read_protected_list
from tests.builders import API_USER, TODAY, a_user, protected_by

USER = a_user(118, "JDoe", email="J.Doe@Example.com")


def kept(user: PortalUser, *lines: str) -> str:
    why = protected_by(*lines).reason_to_keep(user, today=TODAY)
    return why.text if why else ""


@pytest.mark.parametrize("kind", ["administrator", "Administrator", " ADMINISTRATOR "])
def test_an_administrator_is_kept(kind: str) -> None:
    assert kept(replace(USER, type=kind)) == "administrator"


@pytest.mark.parametrize("api_user", [API_USER, API_USER.upper(), f" {API_USER} "])
def test_the_user_that_our_own_token_acts_as_is_kept(api_user: str) -> None:
    why = Protected(api_user).reason_to_keep(a_user(8, API_USER), today=TODAY)

    assert why
    assert why.kind is ReasonKind.SELF


@pytest.mark.parametrize(
    ("api_user", "self_ids"),
    [("SVC@example.com ", ()), ("svc-api@elsewhere.example.com", ("8",))],
)
def test_the_user_that_our_token_acts_as_is_kept_whatever_the_secret_calls_it(
    api_user: str, self_ids: tuple[str, ...]
) -> None:
    ours, other = a_user(8, "svc-api", email="svc@example.com", type="power"), a_user(9, "jdoe")
    protected = Protected(api_user, (), self_ids)

    assert protected.reason_to_keep(other, today=TODAY) is None
    why = protected.reason_to_keep(ours, today=TODAY)
    assert why
    assert why.kind is ReasonKind.SELF


@pytest.mark.parametrize("kind", ["regular", "power", "Power "])
def test_regular_and_power_users_are_not_kept(kind: str) -> None:
    assert kept(replace(USER, type=kind)) == ""


@pytest.mark.parametrize("kind", ["superuser", "admin", ""])
def test_a_user_of_a_type_that_is_not_known_is_kept(kind: str) -> None:
    assert kept(replace(USER, type=kind)).startswith("protected")


@pytest.mark.parametrize(
    "line",
    [
        "118,,board member",
        "jdoe,,",
        "  JDOE ,,",
        "j.doe@example.COM,,",
        "jd*,,service accounts",
        "*@example.com,,",
        "J?OE,,",
        "jdoe,2026-11-20,until today",
    ],
)
def test_the_list_names_users_by_id_username_e_mail_or_pattern_in_any_case(line: str) -> None:
    assert kept(USER, "someone.else,,", line) == "protected: line 3 of the protected list"


@pytest.mark.parametrize(
    "line", ["119,,", "jdo,,", "doe,,", "11?8,,", "jdoe,2026-11-19,until yesterday"]
)
def test_a_user_that_is_not_or_no_longer_named_is_not_kept(line: str) -> None:
    assert kept(USER, line) == ""


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("bot[prod]", "bot[prod],,"),
        ("Bot[Prod]", "bot[*,,"),
        ("jos\u00e9", "Jose\u0301,,"),
        ("jose\u0301", "jos\u00e9,,"),
    ],
)
def test_the_list_names_a_user_however_its_name_is_spelled_in_unicode_or_like_a_pattern(
    name: str, line: str
) -> None:
    assert kept(a_user(118, name), line) == "protected: line 2 of the protected list"


def test_a_blank_e_mail_is_named_by_no_pattern() -> None:
    assert kept(replace(USER, email=""), "[!j1]*,,") == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Line 1"),
        (b"user\njdoe\n", "Line 1"),
        (b"username,until,reason\njdoe,,\n", "Line 1"),
        (b"user,until,reason\njdoe\n", "Line 2"),
        (b"user,until,reason\nann,,\n,,nobody\n", "Line 3"),
        (b"user,until,reason\njdoe,next week,\n", "Line 2 .*2027-01-31"),
        (b"user,until,reason\njdoe,2026-02-30,\n", "Line 2"),
        (b'user,until,reason\n"jdoe,,\n', "not CSV"),
        (b"user,until,reason\n\xff,,\n", "UTF-8"),
        ("user,until,reason\njdoe\u200b,,\n".encode(), "Line 2 .*cannot be printed"),
    ],
)
def test_a_list_that_cannot_be_read_wholly_refuses_the_run(content: bytes, said: str) -> None:
    with pytest.raises(RequestRefused, match=said):
        read_protected_list(content)


def test_a_list_with_only_a_header_protects_nobody_and_is_valid() -> None:
    assert read_protected_list(b"\xef\xbb\xbfUser, Until, Reason\r\n\r\n") == []


@given(st.integers(-400, 400))
def test_a_protection_holds_up_to_and_on_its_last_day(days: int) -> None:
    until = TODAY + timedelta(days=days)

    assert bool(kept(USER, f"jdoe,{until},")) is (days >= 0)
    assert isinstance(until, date)


@given(st.binary(max_size=200))
def test_whatever_the_list_holds_it_is_read_or_refused(content: bytes) -> None:
    for start in (b"", b"user,until,reason\n"):
        try:
            read_protected_list(start + content)
        except RequestRefused:
            continue


@pytest.mark.parametrize(
    ("listed", "there"), [("strasse", "Straße"), ("straße", "STRASSE"), ("\u212aim", "kim")]
)
def test_every_user_that_the_list_may_mean_is_kept(listed: str, there: str) -> None:
    """Names that are equal only by full case folding delete nobody, but they do protect."""
    assert kept(a_user(118, there), f"{listed},,").startswith("protected: line 2")
    assert kept(a_user(118, there), f"{listed[:-1]}*,,").startswith("protected: line 2")
    assert Protected(listed).reason_to_keep(a_user(118, there), today=TODAY)
