"""Users, entries, plans and reports for tests, one line each, and strategies that draw them."""

from dataclasses import replace
from datetime import date
from typing import Any

from hypothesis import strategies as st

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.costs import Cost, Figures
from bulk_user_deletion.models.plans import Entry, Estimate, Plan, PlannedEntry
from bulk_user_deletion.models.reports import Report, ReportRow, Rest
from bulk_user_deletion.models.requests import Request, Source, Trigger
from bulk_user_deletion.models.runs import Limits, Mode, RunStatus
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, UserRow, UserState
from bulk_user_deletion.rules.protection import Protected, read_protected_list

API_USER = "api"


def a_user(user_id: int | str, username: str | None = None, **fields: Any) -> PortalUser:
    """A regular user, by default called user<id> and with an e-mail like that."""
    name = f"user{user_id}" if username is None else username
    fields = {"email": f"{name}@example.com", "type": "regular", **fields}
    return PortalUser(str(user_id), name, **fields)


def some_limits(**changes: Any) -> Limits:
    """The stack's default limits, with changes."""
    default = Limits(
        max_users=50,
        max_percent=10.0,
        max_users_per_day=200,
        max_percent_per_day=20.0,
        wait_seconds=60,
        canary_users=2,
        max_not_found_percent=20.0,
    )
    return replace(default, **changes)


def a_request(trigger: Trigger = Trigger.CONSOLE, mode: Mode = Mode.APPLY) -> Request:
    """A request to delete a dataset's users."""
    return Request(mode=mode, source=Source(dataset_id=42), trigger=trigger)


def planned(
    line: int = 1,
    user: PortalUser | None = None,
    outcome: Outcome = Outcome.WOULD_DELETE,
    reason: str = "",
    kind: ReasonKind = ReasonKind.NONE,
) -> PlannedEntry:
    """An entry that names its user by id, and what a plan decided about it."""
    entry = Entry(line, user_id=user.user_id if user else "9")
    return PlannedEntry(entry, outcome, reason, user, reason_kind=kind)


def a_plan(*entries: PlannedEntry, **fields: Any) -> Plan:
    """A plan of these entries, for a portal of a hundred users."""
    default = Plan(
        run_id="run-1",
        mode=Mode.APPLY,
        created_at=1_800_000_000,
        portal_url="https://portal.example.com",
        source="dataset 42",
        source_version="",
        reason="HR-1234",
        requested_by="hr-automation",
        limits=some_limits(),
        portal_users=100,
        distinct=len(entries),
        last_day=0,
        estimate=Estimate(seconds=120 * len(entries), usd=0.01),
        entries=entries,
    )
    return replace(default, **fields)


def a_row(state: UserState, outcome: Outcome | None = None, **fields: Any) -> UserRow:
    """The ledger's row of user 118, by default after one DELETE."""
    return UserRow(**{"user_id": "118", "attempts": 1, **fields}, state=state, outcome=outcome)


def a_report_row(line: int = 1, **fields: Any) -> ReportRow:
    """One entry that was deleted."""
    default = ReportRow(
        line=line,
        entry="118",
        user_id="118",
        username="jdoe",
        email="jdoe@example.com",
        outcome=Outcome.DELETED,
        reason_kind=ReasonKind.NONE,
        reason="a look after the DELETE found nobody under this id",
        portal_message="",
        warning="",
        attempts=1,
        delete_seconds=58,
        answered_at="2026-11-20T19:59:58Z",
        ended_at="2026-11-20T20:00:00Z",
        history="",
    )
    return replace(default, **fields)


def a_report(*rows: ReportRow, **fields: Any) -> Report:
    """The report of a run that deleted every requested user."""
    default = Report(
        run_id="run-1",
        execution_arn="arn:aws:states:us-east-1:123456789012:execution:bulk-user-deletion:run-1",
        status=RunStatus.SUCCEEDED,
        sentence="All done.",
        headline="All done.",
        rest=Rest.RESUME,
        portal="portal.example.com",
        stack="bulk-user-deletion",
        mode="apply",
        action=Action.DELETE,
        grace_days=0,
        trigger="console",
        source="dataset 42",
        reason="HR-1234",
        requested_by="hr-automation",
        started_at="2026-11-20T20:00:00Z",
        ended_at="2026-11-20T20:05:00Z",
        requested=len(rows),
        counts={"deleted": len(rows)} if rows else {},
        renewals=0,
        renewed_at=[],
        refused_at=[],
        resumes_at="",
        portal_users=100,
        plan_sha256="0" * 64,
        files={"plan.json": "0" * 64},
        estimate=Estimate(seconds=120, usd=0.01),
        cost=Cost(Figures(transitions=20), Figures(transitions=8), 0.02),
        unexplained_losses=[],
        guarded={},
        warnings=[],
        milestones=[],
        rows=list(rows),
    )
    return replace(default, **fields)


# Few values, so that ids, usernames and e-mails collide as often as they can.
_IDS = ["1", "2", "3", "12"]
_NAMES = ["ann", "ANN ", "bob", "\u00a0Bob", "api", "1", "2", "99", "ann@example.com", "", " "]
_EMAILS = ["ann@example.com", "Ann@Example.com ", "team@example.com", "bob", "1", "", " "]

users = st.builds(
    PortalUser,
    user_id=st.sampled_from(_IDS),
    username=st.sampled_from(_NAMES),
    email=st.sampled_from(_EMAILS),
    type=st.sampled_from(["regular", "power", "administrator", " Administrator"]),
)
portals = st.lists(users, max_size=4, unique_by=lambda user: user.user_id)
bare_entries = st.builds(
    Entry, line=st.integers(1, 9), bare=st.sampled_from([*_IDS, *_NAMES, *_EMAILS, "0012", "carl"])
)
column_entries = st.builds(
    Entry,
    line=st.integers(1, 9),
    user_id=st.sampled_from([*_IDS, "99", ""]),
    username=st.sampled_from([*_NAMES, "carl"]),
    email=st.sampled_from([*_EMAILS, "carl@example.com"]),
)
entries = st.lists(bare_entries | column_entries, max_size=8)


TODAY = date(2026, 11, 20)


def protected_by(*lines: str, api_user: str = API_USER) -> Protected:
    """The users who are kept, with a protected list of these lines."""
    content = "\n".join(["user,until,reason", *lines])
    return Protected(api_user, read_protected_list(content.encode()))
