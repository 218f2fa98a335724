"""Whatever rosters come: nobody whom the newest accepted one names is planned or stays due."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.ledger import rows
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from local.portal import PortalSimulator
from tests.functions.stack import Stack, dropped
from tests.functions.test_due import SetParameter
from tests.functions.test_switch_user import run

PEOPLE = 16
FIRST = 104  # the first who is not an administrator


@dataclass(frozen=True)
class Sent:
    """One roster: whom it names, by which column, how it is written, and what its name states."""

    ids: frozenset[int]
    column: str
    odd_case: bool
    newline: str
    stated: int | None = None


_examples = count(1)

rosters = st.lists(
    st.builds(
        Sent,
        ids=st.sets(st.integers(FIRST, FIRST + PEOPLE - 1), min_size=1).map(frozenset),
        column=st.sampled_from(["user_id", "username", "email", "name", "second"]),
        odd_case=st.booleans(),
        newline=st.sampled_from(["\n", "\r\n"]),
        stated=st.sampled_from([None, None, None, 3]),
    ),
    min_size=1,
    max_size=5,
)


def forget(stack: Stack) -> None:
    """Delete the rows of leavers and rosters: the next example begins with none."""
    keys = [rows.leaver_key(stack.portal.url, user_id) for user_id in leavers_of(stack)]
    accepted = stack.ledger.rosters.read_all(stack.portal.url)
    keys += [rows.roster_key(stack.portal.url, roster.run_id) for roster in accepted]
    for pk, sk in keys:
        stack.table.delete_item(Key={"pk": pk, "sk": sk})


def leavers_of(stack: Stack) -> dict[str, Leaver]:
    return {row.user_id: row for row in stack.ledger.leavers.read_all(stack.portal.url)}


def written(roster: Sent, portal: PortalSimulator) -> bytes:
    rows = portal.database.execute("SELECT user_id, username, email FROM user")
    column = {"name": "username", "second": "email"}.get(roster.column, roster.column)
    values = {row["user_id"]: str(row[column]) for row in rows}
    lines = [values[user_id] for user_id in sorted(roster.ids)]
    if roster.odd_case:
        lines = [f" {line.upper()} " for line in lines]
    header = "user" if roster.column == "name" else roster.column
    if roster.column == "second":  # some of them are next to an address that the portal lacks
        header = "email,private e-mail"
        lines = [
            f"nobody{number}@x.example.com,{line}" if number % 3 == 1 else f"{line},"
            for number, line in enumerate(lines)
        ]
    return roster.newline.join([header, *lines]).encode()


@pytest.fixture
def portal() -> Iterator[PortalSimulator]:
    with PortalSimulator(users=PEOPLE + 3) as portal:
        yield portal


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(many=rosters, leaving=st.sets(st.integers(FIRST, FIRST + PEOPLE - 1), max_size=4))
def test_rule_12_nobody_whom_the_newest_accepted_roster_names_is_planned_or_stays_due(
    stack: Stack,
    portal: PortalSimulator,
    set_parameter: SetParameter,
    many: list[Sent],
    leaving: set[int],
) -> None:
    for name, value in (
        ("LEAVER_ACTION", "disable_then_delete"),
        ("ROSTER_MIN_MATCH_PERCENT", "30"),
        ("ROSTER_MAX_SHRINK_PERCENT", "50"),
        ("MAX_DISABLE_PERCENT", "100"),
        ("MAX_DISABLE_USERS_PER_DAY", "1000"),
        ("MAX_DISABLE_PERCENT_PER_DAY", "100"),
    ):
        set_parameter(name, value)
    for user_id in portal.user_ids():
        portal.edit(user_id, enabled="Y", ldap="N")
    forget(stack)
    example = next(_examples)
    if leaving:
        run(stack, [str(user_id) for user_id in leaving], f"leave-{example}")
    for number, roster in enumerate(many):
        run_id = f"roster-{example}-{number}"
        before = leavers_of(stack)
        newest = stack.ledger.rosters.newest(portal.url)
        stated = f".rows-{roster.stated}" if roster.stated else ""
        event = dropped(
            stack, written(roster, portal), key=f"roster/{example}-{number}{stated}.csv"
        )
        try:
            stack.fetch_user_ids(event, run_id)
        except RequestRefused:
            assert leavers_of(stack) == before
            assert stack.ledger.rosters.newest(portal.url) == newest
            stack.report_run(run_id, failure={"Error": "RequestRefused", "Cause": "{}"})
            continue
        plan = stack.read_json(f"runs/{run_id}/plan.json")
        planned = {int(row["user"]["user_id"]) for row in plan["entries"] if row["user"]}
        assert not planned & roster.ids
        still_due = {
            int(user_id)
            for user_id, leaver in leavers_of(stack).items()
            if leaver.state is LeaverState.WAITING
        }
        assert not still_due & roster.ids
        stack.report_run(run_id)
