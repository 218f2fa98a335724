"""Plans: which users were requested, and what will happen to each."""

from dataclasses import dataclass

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Limits, Mode
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind


@dataclass(frozen=True, slots=True)
class Entry:
    """One requested entry, as it was written.

    `line` is the line in a file, or the position in a list or dataset, from 1. `bare` is a value
    that may be an id, a username or an e-mail; the other three come from named columns.
    """

    line: int
    bare: str = ""
    user_id: str = ""
    username: str = ""
    email: str = ""

    @property
    def text(self) -> str:
        """The entry as requested, as one cell of a report."""
        return " ".join(filter(None, (self.bare, self.user_id, self.username, self.email)))


@dataclass(frozen=True, slots=True)
class PlannedEntry:
    """An entry and what will happen to it: `would_…`, or an outcome that is already final.

    `warning` is something that readers of the plan or the report should know.
    """

    entry: Entry
    outcome: Outcome
    reason: str = ""
    user: PortalUser | None = None
    warning: str = ""
    reason_kind: ReasonKind = ReasonKind.NONE


@dataclass(frozen=True, slots=True)
class PlannedUser:
    """A user of a plan, and what happens to this user: one line of a batch."""

    user: PortalUser
    action: Action


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a plan will take, and what AWS will charge for it: modelled, not measured.

    `ends_at` is when it would end if it were applied now, with the time between change windows;
    0 if that is too far away to tell.
    """

    seconds: int
    usd: float
    ends_at: int = 0


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview that a plan comes from: its run, and who asked for it, when and why."""

    run_id: str
    at: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Who will be deleted, and what happens to every other entry: sealed before the first request.

    Depending on `action`, its users are disabled or enabled instead. With `disable_then_delete`
    they are due to be deleted `grace_days` after that.

    `roster_run` is the run that read the roster which this plan comes from, empty for a list.

    `portal_url` is the portal of these users: in another portal the same ids are other people,
    who must stay. `distinct` counts the different requested entries, before anything was
    trimmed, `portal_users` all users in the portal at that time, and `last_day` the DELETEs of
    the previous 24 hours (or the PUTs): the caps compare these. Those for PUTs compare
    `enabled_users`. `source_version` pins a file. `applies` is the hash of the sealed plan that
    this one carries out, and `preview` is where that was made. `refusal` is why the plan may not be
    applied, or empty. `self_ids` are the ids of the user that our own token acts as.
    """

    run_id: str
    mode: Mode
    created_at: int
    portal_url: str
    source: str
    source_version: str
    reason: str
    requested_by: str
    limits: Limits
    portal_users: int
    distinct: int
    last_day: int
    estimate: Estimate
    entries: tuple[PlannedEntry, ...]
    warnings: tuple[str, ...] = ()
    refusal: str = ""
    applies: str = ""
    self_ids: tuple[str, ...] = ()
    action: Action = Action.DELETE
    grace_days: int = 0
    enabled_users: int = 0
    roster_run: str = ""
    preview: Preview | None = None

    @property
    def users(self) -> list[PortalUser]:
        """The users to delete, disable or enable, in the order to process them.

        That is the order they were requested in. When access is switched, users who need a PUT
        come first: they do not have to wait, and only a PUT proves something about a canary.
        """
        users = [
            planned.user
            for planned in self.entries
            if planned.outcome is self.action.would and planned.user
        ]
        if self.action.deletes:
            return users
        enables = self.action is Action.ENABLE
        return sorted(users, key=lambda user: user.is_enabled if enables else user.is_disabled)
