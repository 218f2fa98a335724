"""Whom a roster names, and whether it is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.names import fold, fold_loosely
from bulk_user_deletion.models.plans import Entry
from bulk_user_deletion.models.rosters import Roster
from bulk_user_deletion.models.users import Outcome, ReasonKind
from bulk_user_deletion.rules.rosters import (
    Names,
    check_newest,
    check_roster,
    stated_rows,
    strangers,
    why_named,
    without_named,
)
from tests.builders import a_plan, a_user, planned

NOW = 1_800_000_000
DAY = 24 * 3600
names = st.text(st.sampled_from("aAäÄßsSeé\u0301@. 1"), min_size=1, max_size=6)
users = st.builds(a_user, st.integers(1, 40), names, email=names)
entries = st.builds(
    Entry,
    line=st.just(1),
    bare=st.one_of(st.just(""), names),
    user_id=st.one_of(st.just(""), st.integers(1, 40).map(str)),
    username=st.one_of(st.just(""), names),
    email=st.one_of(st.just(""), names),
)


@given(st.lists(entries, max_size=6), users)
def test_whoever_shares_any_value_with_any_entry_stays(many: list[Entry], user: object) -> None:
    roster = Names(many)

    for entry in many:
        for mine in (user.user_id, user.username, user.email):  # type: ignore[attr-defined]
            for theirs in (entry.bare, entry.user_id, entry.username, entry.email):
                if not (mine.strip() and theirs.strip()):
                    continue
                same = fold(mine) == fold(theirs) or fold_loosely(mine) == fold_loosely(theirs)
                if same:
                    assert roster.names(user)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "rows"),
    [
        ("roster/people.rows-5120.csv", 5120),
        ("roster/people_rows5120.csv", 5120),
        ("roster/rows=12.xlsx", 12),
        ("roster/Rows_12 people.csv", 12),
        ("roster/people.csv", None),
        ("roster/arrows-12.csv", None),
        ("roster/rows-12th.csv", None),
        ("roster/2026-11-26/people.csv", None),
    ],
)
def test_the_number_of_rows_may_stand_in_the_name(key: str, rows: int | None) -> None:
    assert stated_rows(key) == rows


def checked(**fields: object) -> str:
    figures = {
        "entries": 100,
        "rows": 100,
        "stated": None,
        "matched": 90,
        "users": 100,
        "earlier": (),
        "now": NOW,
        "min_match_percent": 80,
        "max_shrink_percent": 10,
        **fields,
    }
    try:
        check_roster(**figures)  # type: ignore[arg-type]
    except RequestRefused as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, ""),
        ({"entries": 0}, "The roster is empty"),
        ({"stated": 101}, "The roster has 100 rows, and its sender says 101"),
        ({"stated": 100}, ""),
        ({"matched": 79}, "names 79 of the portal's 100 enabled"),
        ({"matched": 80}, ""),
        ({"matched": 0, "users": 0}, "names 0 of the portal's 0 enabled"),
        ({"entries": 89, "earlier": [Roster("a", NOW - DAY, 100)]}, "had 100"),
        ({"entries": 90, "earlier": [Roster("a", NOW - DAY, 100)]}, ""),
        ({"entries": 89, "earlier": [Roster("a", NOW - 91 * DAY, 100)]}, ""),
        (
            {"entries": 89, "earlier": [Roster("a", NOW - 80 * DAY, 100), Roster("b", NOW, 95)]},
            "had 100",
        ),
        ({"matched": 90, "min_match_percent": float("nan")}, "names 90"),
    ],
)
def test_a_roster_that_may_lack_people_is_refused_with_both_figures(
    fields: dict[str, object], said: str
) -> None:
    message = checked(**fields)

    assert said in message
    assert bool(said) == bool(message)


def test_users_whom_no_roster_named_are_grouped_by_what_they_look_like() -> None:
    roster = Names([Entry(1, email="ada@new.example.com")])

    groups = strangers(
        [
            a_user(1, "svc-reports"),
            a_user(2, "ada", email="ada@old.example.com"),
            a_user(3, "ben"),
            a_user(4, "team.sales"),
            a_user(5, "steamer"),
        ],
        roster,
    )

    assert {what.split()[0]: ids for what, ids in groups.items()} == {
        "look": ["1", "4"],
        "have": ["2"],
        "match": ["3", "5"],
    }


def test_the_plan_of_a_roster_is_applied_only_while_no_other_was_accepted_after_it() -> None:
    plan = a_plan(roster_run="run-1")

    check_newest(plan, Roster("run-1", 0, 9))
    check_newest(plan, None)
    check_newest(a_plan(), Roster("run-2", 0, 9))
    with pytest.raises(RequestRefused, match="the roster of run run-1, and that of run run-2"):
        check_newest(plan, Roster("run-2", 0, 9))


def test_whomever_a_later_roster_names_is_skipped_and_nobody_else() -> None:
    rows = (
        planned(1, a_user(101)),
        planned(2, a_user(102), Outcome.WOULD_DISABLE),
        planned(3, a_user(103), Outcome.SKIPPED, "protected", ReasonKind.PROTECTED),
        planned(4, a_user(104)),
        planned(5, None, Outcome.UNRESOLVED),
    )

    narrowed = without_named(rows, dict.fromkeys(("101", "102", "103"), why_named("run-2")))

    named = "named_by_roster: the roster of run run-2"
    assert [(row.outcome, row.reason) for row in narrowed[:2]] == [(Outcome.SKIPPED, named)] * 2
    assert {row.reason_kind for row in narrowed[:2]} == {ReasonKind.NAMED_BY_ROSTER}
    assert narrowed[2:] == rows[2:]
