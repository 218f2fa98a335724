"""From requested entries to a plan: who is deleted, who is kept and why, or why it is refused."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.names import fold
from bulk_user_deletion.models.plans import Entry, PlannedEntry
from bulk_user_deletion.models.requests import Trigger
from bulk_user_deletion.models.runs import Limits
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind
from bulk_user_deletion.plan_files import plan_from_json, plan_to_json
from bulk_user_deletion.rules.identity import Directory, identity_keys
from bulk_user_deletion.rules.planning import (
    check_entries,
    check_size,
    directory_warning,
    distinct_entries,
    ids_to_look_at,
    plan_entries,
    room_today,
    stricter,
    strictest,
    warnings_of,
    with_looks,
)
from tests.builders import (
    API_USER,
    TODAY,
    a_plan,
    a_request,
    a_user,
    entries,
    planned,
    portals,
    protected_by,
    some_limits,
)

ANN, BOB = a_user(118, "ann"), a_user(119, "bob")
ADMIN, API = a_user(7, "root", type="administrator"), a_user(8, API_USER)
EVERYBODY = [ANN, BOB, ADMIN, API]


def plan(*entries: Entry, deleted_before: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Plan for a portal of four users; return for each entry what will happen to it and why."""
    rows = plan_entries(
        entries,
        Directory(EVERYBODY),
        protected=protected_by(),
        today=TODAY,
        deleted_before=set(deleted_before),
    )
    return [(row.outcome.value, row.reason) for row in rows]


some_limits_pairs = st.tuples(
    *2
    * [
        st.builds(
            some_limits,
            max_users=st.integers(0, 99),
            max_percent=st.floats(0, 100),
            max_users_per_day=st.integers(0, 99),
            max_percent_per_day=st.floats(0, 100),
            wait_seconds=st.integers(0, 99),
            canary_users=st.integers(0, 9),
        )
    ]
)

# Who is deleted


def test_a_user_that_is_named_would_be_deleted_and_nobody_else() -> None:
    rows = plan_entries(
        [Entry(1, bare="ann")],
        Directory(EVERYBODY),
        protected=protected_by(),
        today=TODAY,
        deleted_before=(),
    )

    assert rows == (PlannedEntry(Entry(1, bare="ann"), Outcome.WOULD_DELETE, "", ANN),)


def test_an_administrator_is_kept_whoever_requests_the_deletion() -> None:
    assert plan(Entry(1, user_id="7")) == [("skipped", "administrator")]


def test_a_user_that_is_named_twice_is_deleted_once_and_the_duplicate_says_where() -> None:
    assert plan(Entry(2, bare="118"), Entry(5, bare="ANN"), Entry(6, bare="bob")) == [
        ("would_delete", ""),
        ("skipped", "duplicate: the same user as line 2"),
        ("would_delete", ""),
    ]


def test_two_entries_of_one_line_do_not_delete_a_user_twice() -> None:
    outcomes = [outcome for outcome, _ in plan(Entry(1, bare="ann"), Entry(1, user_id="118"))]

    assert outcomes == ["would_delete", "skipped"]


# Who is not in the portal


@pytest.mark.parametrize("entry", [Entry(1, bare="9"), Entry(1, user_id="9"), Entry(1, bare=" 9")])
def test_rule_3_an_id_that_nobody_holds_is_already_absent(entry: Entry) -> None:
    [row] = planned_for([entry], [ANN])

    assert (row.outcome, row.reason_kind) == (Outcome.NOT_ATTEMPTED, ReasonKind.NOT_LISTED)
    assert ids_to_look_at([row]) == ["9"]
    [looked_at] = with_looks([row], {})
    assert (looked_at.outcome, looked_at.reason) == (
        Outcome.ALREADY_ABSENT,
        "nobody has this id",
    )


def test_an_id_that_the_list_lacks_and_the_portal_does_not_show_is_failed_and_named() -> None:
    [row] = with_looks(planned_for([Entry(1, bare="9")], [ANN]), {"9": "HTTP 403"})

    assert row.outcome is Outcome.FAILED
    assert row.reason == "not listed, and the portal does not show user 9: HTTP 403"
    assert row.reason_kind is ReasonKind.RECORD_INCOMPLETE


@pytest.mark.parametrize(
    "entry",
    [
        Entry(1, bare="carl"),
        Entry(1, bare="0118"),
        Entry(1, bare="²"),
        Entry(1, username="9"),
        Entry(1, email="carl@example.com"),
        Entry(1, user_id="9", username="carl"),
    ],
)
def test_rule_3_a_name_that_nobody_carries_is_unresolved(entry: Entry) -> None:
    assert plan(entry) == [("unresolved", "not_found")]


def test_rule_3_an_entry_that_names_nothing_is_unresolved() -> None:
    assert plan(Entry(1)) == [("unresolved", "not_found")]


def test_rule_3_columns_that_disagree_are_unresolved() -> None:
    assert plan(Entry(1, user_id="118", username="bob")) == [
        ("unresolved", "columns_disagree: the id names user 118, the username user 119")
    ]


def test_rule_3_a_user_that_we_deleted_before_is_already_absent() -> None:
    record = ["id:9", "username:carl", "email:carl@example.com"]
    theirs = [
        Entry(1, bare="9"),
        Entry(2, bare="Carl"),
        Entry(3, bare="carl@example.com"),
        Entry(4, user_id="9", username="carl"),
        Entry(5, email="carl@example.com"),
    ]

    assert plan(*theirs, deleted_before=record) == [
        ("already_absent", "deleted by an earlier run")
    ] * len(theirs)


def test_rule_3_an_entry_is_not_called_deleted_because_of_a_shared_email() -> None:
    """The user who shared the e-mail is gone; this one may still exist under another spelling."""
    entry = Entry(1, username="carla", email="team@example.com")

    assert plan(entry, deleted_before=["email:team@example.com"]) == [("unresolved", "not_found")]


def test_rule_1_a_name_that_was_deleted_before_does_not_name_its_current_user() -> None:
    [(outcome, reason)] = plan(Entry(1, bare="ann"), deleted_before=["username:ann"])

    assert outcome == "unresolved"
    assert reason.startswith("came_back: an earlier run deleted a user with this name")


def test_rule_1_an_id_names_its_user_whatever_was_deleted_before() -> None:
    entry = Entry(1, user_id=ANN.user_id, username="ann")

    assert plan(entry, deleted_before=["username:ann"]) == [("would_delete", "")]


# For any entries and any portal


def planned_for(asked: Sequence[Entry], portal: Sequence[PortalUser]) -> tuple[PlannedEntry, ...]:
    return plan_entries(
        asked, Directory(portal), protected=protected_by(), today=TODAY, deleted_before=()
    )


@given(entries, portals)
def test_rule_3_every_entry_gets_exactly_one_outcome_in_order(
    asked: list[Entry], portal: list[PortalUser]
) -> None:
    rows = planned_for(asked, portal)

    assert [row.entry for row in rows] == asked
    assert sum(Counter(row.outcome for row in rows).values()) == len(asked)
    assert {row.outcome for row in rows} <= {
        Outcome.WOULD_DELETE,
        Outcome.ALREADY_ABSENT,
        Outcome.SKIPPED,
        Outcome.UNRESOLVED,
        Outcome.NOT_ATTEMPTED,
    }
    assert all(row.reason for row in rows if row.outcome is not Outcome.WOULD_DELETE)
    for row in rows:
        assert bool(row.reason_kind) == (row.outcome is not Outcome.WOULD_DELETE)
        assert (row.outcome is Outcome.NOT_ATTEMPTED) == (row.reason_kind == "not_listed")


@given(entries, portals)
def test_no_user_is_planned_twice(asked: list[Entry], portal: list[PortalUser]) -> None:
    ids = [user.user_id for user in a_plan(*planned_for(asked, portal)).users]

    assert len(ids) == len(set(ids))


@given(entries, portals)
def test_neither_an_administrator_nor_the_apis_own_user_is_ever_planned(
    asked: list[Entry], portal: list[PortalUser]
) -> None:
    for user in a_plan(*planned_for(asked, portal)).users:
        assert fold(user.type) != "administrator"
        assert fold(user.username) != API_USER


@given(entries, portals)
def test_rule_1_every_planned_user_is_the_only_one_that_its_entry_names(
    asked: list[Entry], portal: list[PortalUser]
) -> None:
    for row in planned_for(asked, portal):
        if row.outcome is Outcome.WOULD_DELETE:
            assert row.user is not None
            named = {fold(part) for part in asdict(row.user).values()} - {""}
            wanted = [row.entry.bare, row.entry.user_id, row.entry.username, row.entry.email]
            assert {fold(value) for value in wanted if value} <= named


@given(entries, portals, st.randoms(use_true_random=False))
def test_the_order_of_entries_and_users_does_not_change_outcomes(
    asked: list[Entry], portal: list[PortalUser], random: Random
) -> None:
    shuffled, users = list(asked), list(portal)
    random.shuffle(shuffled)
    random.shuffle(users)

    def to_delete(rows: tuple[PlannedEntry, ...]) -> set[PortalUser]:
        return set(a_plan(*rows).users)

    assert to_delete(planned_for(shuffled, users)) == to_delete(planned_for(asked, portal))


@given(entries, portals)
def test_rule_7_an_entry_whose_user_was_deleted_names_nobody_when_the_list_is_run_again(
    asked: list[Entry], portal: list[PortalUser]
) -> None:
    first = planned_for(asked, portal)
    gone = {row.user for row in first if row.outcome is Outcome.WOULD_DELETE}
    left = [user for user in portal if user not in gone]
    record = {
        key
        for user in gone
        if user
        for key in identity_keys(Entry(0, "", user.user_id, user.username, user.email))
    }

    again = plan_entries(
        asked, Directory(left), protected=protected_by(), today=TODAY, deleted_before=record
    )

    for before, now in zip(first, again, strict=True):
        if before.outcome is Outcome.WOULD_DELETE:
            assert now.outcome is not Outcome.WOULD_DELETE


@given(entries, portals)
def test_a_plan_survives_its_trip_through_json(
    asked: list[Entry], portal: list[PortalUser]
) -> None:
    sealed = a_plan(*planned_for(asked, portal), warnings=("one", "two"), refusal="no")

    body = plan_to_json(sealed)

    assert plan_from_json(body.decode()) == sealed
    assert json.loads(body) == json.loads(json.dumps(asdict(sealed)))


# How many


def test_rule_5_the_caps_are_measured_on_different_entries() -> None:
    asked = [Entry(1, bare="ann"), Entry(2, bare=" ANN"), Entry(3, bare="bob"), Entry(4, bare="9")]

    assert distinct_entries(asked) == 3


def test_rule_5_entries_that_will_not_be_deleted_count_too() -> None:
    """Different spellings of one user, administrators and strangers: all were requested."""
    asked = [Entry(1, bare="ann"), Entry(2, bare="118"), Entry(3, bare="7"), Entry(4, bare="zed")]

    assert distinct_entries(asked) == 4


@given(entries)
def test_rule_5_the_count_is_never_less_than_the_users_that_would_be_deleted(
    asked: list[Entry],
) -> None:
    to_delete = a_plan(*planned_for(asked, EVERYBODY)).users

    assert len(to_delete) <= distinct_entries(asked) <= len(asked)


@pytest.mark.parametrize(
    ("distinct", "portal_users", "changes"),
    [
        (50, 500, {}),  # exactly what MaxUsers and MaxPercent allow
        (1, 10, {}),
        (100, 100, {"max_users": 100, "max_percent": 100, "max_percent_per_day": 100}),
    ],
)
def test_rule_5_up_to_the_caps_a_request_is_accepted(
    distinct: int, portal_users: int, changes: dict[str, Any]
) -> None:
    check_size(
        action=Action.DELETE,
        distinct=distinct,
        portal_users=portal_users,
        last_day=0,
        limits=some_limits(**changes),
    )


@pytest.mark.parametrize(
    ("distinct", "portal_users", "changes", "said"),
    [
        (51, 5_000, {}, r"names 51 different entries, and MaxUsers allows 50"),
        (50, 499, {}, r"10\.0 % of the portal's 499 users, and MaxPercent allows 10 %"),
        (2, 10, {}, r"20\.0 % of the portal's 10 users"),
        (1, 0, {}, r"more than all of the portal's 0 users"),
    ],
)
def test_rule_5_over_a_cap_everything_is_refused_with_both_figures(
    distinct: int, portal_users: int, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestRefused, match=said):
        check_size(
            action=Action.DELETE,
            distinct=distinct,
            portal_users=portal_users,
            last_day=0,
            limits=some_limits(**changes),
        )


@pytest.mark.parametrize("changes", [{"max_users": 0}, {"max_percent": 0.0}])
def test_rule_5_a_limit_of_zero_means_none_may_be_deleted(changes: dict[str, Any]) -> None:
    with pytest.raises(RequestRefused, match="allows 0"):
        check_size(
            action=Action.DELETE,
            distinct=1,
            portal_users=10_000,
            last_day=0,
            limits=some_limits(**changes),
        )


def test_rule_5_a_limit_that_is_not_a_number_allows_nobody() -> None:
    """NaN compares false with everything, and would disable a careless cap."""
    with pytest.raises(RequestRefused, match="MaxPercent"):
        check_size(
            action=Action.DELETE,
            distinct=1,
            portal_users=10_000,
            last_day=0,
            limits=some_limits(max_percent=float("nan")),
        )


@pytest.mark.parametrize(
    ("distinct", "last_day", "changes", "said"),
    [
        (49, 152, {}, "names 49 .* 152 users were sent a DELETE .* MaxUsersPerDay allows 200"),
        (1, 0, {"max_users_per_day": 0}, "MaxUsersPerDay allows 0"),
        (30, 80, {}, r"together 21\.6 % of 510, and MaxPercentPerDay allows 20 %"),
        (1, 0, {"max_percent_per_day": 0.0}, "MaxPercentPerDay allows 0 %"),
        (1, 0, {"max_percent_per_day": float("nan")}, "MaxPercentPerDay"),
    ],
)
def test_rule_5_over_a_cap_of_the_last_24_hours_everything_is_refused(
    distinct: int, last_day: int, changes: dict[str, Any], said: str
) -> None:
    portal_users = 5_000 if last_day > 100 else 430
    with pytest.raises(RequestRefused, match=said):
        check_size(
            action=Action.DELETE,
            distinct=distinct,
            portal_users=portal_users,
            last_day=last_day,
            limits=some_limits(max_percent=100, **changes),
        )


def test_rule_5_the_day_before_yesterday_does_not_count() -> None:
    check_size(
        action=Action.DELETE, distinct=48, portal_users=5_000, last_day=152, limits=some_limits()
    )


@given(some_limits_pairs)
def test_rule_5_the_strictest_of_two_limits_is_at_least_as_strict_as_each(
    pair: tuple[Limits, Limits],
) -> None:
    both = strictest(*pair)

    for one in pair:
        assert strictest(both, one) == both
        assert both.max_users <= one.max_users
        assert both.max_percent_per_day <= one.max_percent_per_day
        assert both.wait_seconds >= one.wait_seconds
        assert both.canary_users >= one.canary_users


def test_rule_5_an_empty_source_is_refused() -> None:
    with pytest.raises(RequestRefused, match="empty"):
        check_size(
            action=Action.DELETE, distinct=0, portal_users=100, last_day=0, limits=some_limits()
        )


@given(
    distinct=st.integers(0, 300),
    portal_users=st.integers(0, 3_000),
    max_users=st.integers(0, 300),
    max_percent=st.integers(0, 100) | st.floats(0, 100),
)
def test_rule_5_nobody_gets_past_either_cap(
    distinct: int, portal_users: int, max_users: int, max_percent: float
) -> None:
    allowed = min(Fraction(max_users), Fraction(max_percent) * portal_users / 100)
    try:
        check_size(
            action=Action.DELETE,
            distinct=distinct,
            portal_users=portal_users,
            last_day=0,
            limits=some_limits(
                max_users=max_users,
                max_percent=max_percent,
                max_users_per_day=300,
                max_percent_per_day=100,
            ),
        )
    except RequestRefused:
        # A relative floating-point error of 1e-12 is allowed, in either direction.
        assert distinct == 0 or distinct >= allowed * (1 - Fraction(1, 10**12))
    else:
        assert 0 < distinct <= allowed * (1 + Fraction(1, 10**12))


@given(
    portal_users=st.integers(0, 500),
    last_day=st.integers(0, 60),
    limits=st.builds(
        some_limits,
        max_users=st.integers(0, 60),
        max_percent=st.integers(0, 100),
        max_users_per_day=st.integers(0, 120),
        max_percent_per_day=st.integers(0, 100),
    ),
)
def test_rule_5_the_room_that_is_left_is_the_largest_run_within_all_caps(
    portal_users: int, last_day: int, limits: Limits
) -> None:
    room = room_today(portal_users=portal_users, last_day=last_day, limits=limits)

    def is_allowed(distinct: int) -> bool:
        try:
            check_size(
                action=Action.DELETE,
                distinct=distinct,
                portal_users=portal_users,
                last_day=last_day,
                limits=limits,
            )
        except RequestRefused:
            return False
        return True

    assert room == 0 or is_allowed(room)
    assert not is_allowed(room + 1)


options = st.fixed_dictionaries(
    {},
    optional={
        "max_users": st.integers(0, 10_000),
        "max_percent": st.floats(0, 100) | st.just(float("nan")),
        "wait_seconds": st.integers(0, 3_600),
        "canary_users": st.integers(0, 10_000),
    },
)
limits = st.builds(
    Limits,
    max_users=st.integers(0, 1_000),
    max_percent=st.floats(0, 100),
    wait_seconds=st.integers(0, 3_600),
    canary_users=st.integers(0, 20),
    max_not_found_percent=st.floats(0, 100),
)


@given(limits, options)
def test_rule_5_options_can_only_make_a_run_more_careful(
    stack: Limits, asked: dict[str, float]
) -> None:
    run = stricter(stack, asked)

    assert run.max_users <= stack.max_users
    assert run.max_percent <= stack.max_percent
    assert run.wait_seconds >= stack.wait_seconds
    assert run.canary_users >= stack.canary_users
    assert run.max_not_found_percent == stack.max_not_found_percent
    assert {type(value) for value in (run.max_users, run.wait_seconds, run.canary_users)} == {int}


@pytest.mark.parametrize(
    ("option", "value", "in_force"),
    [
        ("max_users", 5, 5),
        ("max_users", 0, 0),
        ("max_users", 500, 50),
        ("max_percent", 0.5, 0.5),
        ("max_percent", 0, 0),
        ("max_percent", 100, 10.0),
        ("wait_seconds", 90, 90),
        ("wait_seconds", 0, 60),
        ("canary_users", 5, 5),
        ("canary_users", 0, 2),
    ],
)
def test_rule_5_an_option_counts_where_it_is_stricter_than_the_stack(
    option: str, value: float, in_force: float
) -> None:
    assert stricter(some_limits(), {option: value}) == some_limits(**{option: in_force})


def test_without_options_the_stacks_limits_are_in_force() -> None:
    assert stricter(some_limits(), {}) == some_limits()


# Unattended lists

DOUBTFUL = planned(3, None, Outcome.UNRESOLVED, "ambiguous", ReasonKind.AMBIGUOUS)
DISAGREEING = planned(4, None, Outcome.UNRESOLVED, "columns_disagree", ReasonKind.COLUMNS_DISAGREE)
STRANGER = planned(5, None, Outcome.UNRESOLVED, "not_found", ReasonKind.NOT_FOUND)
ABSENT = planned(6, None, Outcome.ALREADY_ABSENT, "gone", ReasonKind.NOBODY_HOLDS_ID)
DONE_BEFORE = planned(7, None, Outcome.ALREADY_ABSENT, "deleted by an earlier run")
FOUND = planned(1, ANN)


@pytest.mark.parametrize("trigger", [Trigger.S3, Trigger.SCHEDULE])
def test_unattended_an_entry_that_names_two_users_refuses_the_list(trigger: Trigger) -> None:
    with pytest.raises(RequestRefused, match=r"line 3: ambiguous, line 4: columns_disagree"):
        check_entries([FOUND, DOUBTFUL, DISAGREEING], a_request(trigger), some_limits())


@pytest.mark.parametrize("missing", [STRANGER, ABSENT])
def test_unattended_too_many_strangers_refuse_the_list(missing: PlannedEntry) -> None:
    two = [missing, replace(missing, entry=replace(missing.entry, line=8))]

    with pytest.raises(RequestRefused, match=r"2 of 9 .*\(lines \d, 8\).* allows 20 %"):
        check_entries([*[FOUND] * 7, *two], a_request(Trigger.S3), some_limits())


def test_unattended_a_few_strangers_are_only_reported() -> None:
    check_entries([*[FOUND] * 8, STRANGER, ABSENT], a_request(Trigger.S3), some_limits())


def test_unattended_a_limit_of_zero_allows_no_stranger_at_all() -> None:
    with pytest.raises(RequestRefused, match="allows 0 %"):
        check_entries(
            [*[FOUND] * 99, STRANGER], a_request(Trigger.S3), some_limits(max_not_found_percent=0)
        )


def test_unattended_a_limit_that_is_not_a_number_allows_no_stranger() -> None:
    with pytest.raises(RequestRefused, match="MaxNotFoundPercent"):
        check_entries(
            [*[FOUND] * 99, STRANGER],
            a_request(Trigger.S3),
            some_limits(max_not_found_percent=float("nan")),
        )


def test_rule_7_a_list_that_was_processed_before_is_not_refused_as_a_wrong_one() -> None:
    check_entries([DONE_BEFORE] * 5, a_request(Trigger.S3), some_limits())


def test_a_run_that_is_started_by_hand_is_not_refused_because_its_report_is_read() -> None:
    check_entries(
        [DOUBTFUL, DISAGREEING, STRANGER, ABSENT], a_request(Trigger.CONSOLE), some_limits()
    )


def test_rule_6_refusals_name_lines_and_figures_but_no_users() -> None:
    carl = PlannedEntry(
        Entry(2, bare="carl"), Outcome.UNRESOLVED, "ambiguous", reason_kind=ReasonKind.AMBIGUOUS
    )
    lost = PlannedEntry(
        Entry(3, bare="dora"), Outcome.UNRESOLVED, "not_found", reason_kind=ReasonKind.NOT_FOUND
    )
    for rows in ([carl], [lost]):
        with pytest.raises(RequestRefused) as refused:
            check_entries(rows, a_request(Trigger.S3), some_limits())
        assert "carl" not in str(refused.value)
        assert "dora" not in str(refused.value)


def test_a_refusal_of_a_long_list_names_the_first_lines_only() -> None:
    rows = [replace(DOUBTFUL, entry=Entry(line)) for line in range(1, 10_001)]

    with pytest.raises(RequestRefused, match="10000 entries do not name") as refused:
        check_entries(rows, a_request(Trigger.S3), some_limits())
    assert len(str(refused.value)) < 1_000
    assert ", line 20: " in str(refused.value)
    assert "line 21" not in str(refused.value)


def test_a_refusal_of_many_strangers_names_the_first_lines_only() -> None:
    rows = [replace(STRANGER, entry=Entry(line)) for line in range(1, 10_001)]

    with pytest.raises(RequestRefused, match=r"\(lines 1, .*, 19, 20, …\), and MaxNotFoundPercent"):
        check_entries(rows, a_request(Trigger.S3), some_limits())


# Warnings


def test_a_user_from_ldap_is_deleted_with_a_warning() -> None:
    user = replace(ANN, ldap="Y")

    [row] = plan_entries(
        [Entry(3, bare="ann")],
        Directory([user]),
        protected=protected_by(),
        today=TODAY,
        deleted_before=(),
    )

    assert row.outcome is Outcome.WOULD_DELETE
    assert "directory sync" in row.warning
    assert warnings_of([row]) == (
        "1 entry is from LDAP: a directory sync may bring users back (line 3).",
    )


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (Action.DELETE, "may create users again"),
        (Action.DISABLE, "may enable or create users again"),
        (Action.DISABLE_THEN_DELETE, "may enable or create users again"),
        (Action.DELETE_DUE, ""),
        (Action.ENABLE, ""),
    ],
)
def test_a_plan_warns_once_of_syncs_that_the_portal_does_not_tell_of(
    action: Action, said: str
) -> None:
    nobody = planned(1, ANN, outcome=Outcome.SKIPPED)
    somebody = [planned(line, user, outcome=action.would) for line, user in enumerate((ANN, BOB))]

    assert directory_warning([nobody], action) == ""
    warning = directory_warning([nobody, *somebody], action)
    assert said in warning
    assert bool(said) == bool(warning)


def test_a_list_that_names_a_protected_user_causes_a_warning() -> None:
    rows = plan_entries(
        [Entry(1, bare="ann"), Entry(2, bare="root"), Entry(5, bare="bob")],
        Directory(EVERYBODY),
        protected=protected_by("bob,,board"),
        today=TODAY,
        deleted_before=(),
    )

    assert [row.reason for row in rows] == [
        "",
        "administrator",
        "protected: line 2 of the protected list",
    ]
    [warning] = warnings_of(rows)
    assert "lines 2, 5" in warning
    assert "check where the list comes from" in warning
