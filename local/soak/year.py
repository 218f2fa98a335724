"""A year of a company in an hour: its calendar, and what it shows.

Weekly drops, monthly rosters, a daily run; people join, leave, and are taken back; a sync brings
some back; the portal's key is changed, the daily run does not start for a while, change windows
hold for a part of the year, and the stack is updated twice while runs are in progress. Time jumps
from one event to the next. What AWS would have removed by then is removed (`retention`). What must
have become of everybody is known beforehand (`company`).
"""

import io
import json
import random
import subprocess
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from bulk_user_deletion.bucket_keys import ROSTERS, plan_key
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.rules.windows import LAST_SECONDS, windows_of
from local.deployed import PROJECT, STACK_NAME, PortalAccess, connect
from local.engine import Engine, JumpError, Stack
from local.engine.packaging import load_template
from local.portal import Knobs, PortalSimulator
from local.soak.company import Company, Fate
from local.soak.course import TIMEOUT_SCALE, Course
from local.soak.direct import deleted_after_seen_gone
from local.soak.retention import DAY, Sweeper
from local.soak.year_findings import Bound, Month, YearFindings
from local.witness import Witness

_WAIT_SCALE = 0.001
_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 180

_GRACE_DAYS = 30
_RETENTION_DAYS = 90
_INBOX_DAYS = 30
_NONCURRENT_DAYS = 30
_SWEEP_DAYS = 14  # what has expired is swept at least so often
_WAIT_SECONDS = 5  # after each DELETE; less after each update
_WINDOWS = "MON-SUN 20:00-06:00"
_OPEN = windows_of(_WINDOWS, "UTC")

# The calendar, in days. Users are deleted directly until the first update.
_UPDATES = (31, 115)
_KEY_CHANGES = (98, 287)
_NO_DAILY_RUNS = range(150, 166)
_HAS_WINDOWS = range(211, 271)
_A_RUN_IS_PAUSED = 228  # in the first night from this day on in which enough people are due
_MONTH = 30

_UNDECIDED = {LeaverState.WAITING, LeaverState.DELETING, LeaverState.HELD}

# Hours of a day.
_SWEEP, _NIGHT, _NOON, _EVENING = 0.5, 3, 12, 20.05
_END_OF_WINDOW = 6

# What an execution's history may hold at most, a tenth of its quota of 25,000 events. A run of this
# size has some 30, and 14 more for each of its batches. Waits are scaled and an update is not, so a
# run that waits for its turn during an update asks far more often than the 12 events an hour.
_MOST_EVENTS = 2_500

_CAPS = {
    f"Max{what}{cap}": value
    for what in ("", "Disable")
    for cap, value in {"Percent": "100", "PercentPerDay": "100"}.items()
}
_BEFORE_LEAVERS = {
    "WaitSeconds": str(_WAIT_SECONDS),
    "Concurrency": "2",
    "FileDropMode": "apply",
    # It is started by hand: after a jump the emulator would start it by itself.
    "DueScheduleExpression": "rate(3650 days)",
    "RetentionDays": str(_RETENTION_DAYS),
    "InboxDays": str(_INBOX_DAYS),
    **{name: value for name, value in _CAPS.items() if "Disable" not in name},
}
_WITH_LEAVERS = {
    **_CAPS,
    "LeaverAction": "disable_then_delete",
    "GraceDays": str(_GRACE_DAYS),
}


@dataclass(frozen=True)
class Rhythm:
    """Every how many days there is a drop, a roster, and a daily run with nobody to delete.

    `days` is how long it all lasts.
    """

    days: int = 365
    drops: int = 7
    rosters: int = 30
    samples: int = 14


def soak_year(
    *,
    users: int,
    seed: int,
    minutes: float,
    console: Console,
    commits: Sequence[str] = (),
    rhythm: Rhythm | None = None,
) -> YearFindings:
    """Drive a portal of `users` users, and a stack, through a year.

    The stack begins with the first of `commits`, and is updated to the next ones; after them it is
    the code of this folder.

    Raises:
        click.ClickException: it was not done within `minutes`.
    """
    with (
        _versions(commits) as projects,
        PortalSimulator(users=users, knobs=Knobs(), seed=seed) as portal,
        Engine(wait_scale=_WAIT_SCALE) as aws,
    ):
        portal.clock = aws.now
        for user_id in portal.user_ids():
            portal.edit(user_id, enabled="Y", ldap="N")
        deadline = time.monotonic() + minutes * 60
        year = _Year(aws, portal, projects, deadline, console, random.Random(seed))  # noqa: S311
        return year.lived(rhythm or Rhythm())


@contextmanager
def _versions(commits: Sequence[str]) -> Iterator[list[Path]]:
    """Yield the folders of what is deployed at first, and at each update."""
    with tempfile.TemporaryDirectory(prefix="versions-") as folder:
        projects: list[Path] = []
        for commit in commits:
            archive = subprocess.run(  # noqa: S603
                ["git", "archive", "--format=tar", commit],  # noqa: S607
                cwd=PROJECT,
                capture_output=True,
                check=False,
            )
            if archive.returncode:
                raise click.UsageError(f"git archive {commit}: {archive.stderr.decode().strip()}")
            target = Path(folder) / str(len(projects))
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(target, filter="data")
            projects.append(target)
        needed = len(_UPDATES) + 1
        yield (projects + [PROJECT] * needed)[:needed]


class _Year:
    """The year in progress."""

    def __init__(
        self,
        aws: Engine,
        portal: PortalSimulator,
        projects: Sequence[Path],
        deadline: float,
        console: Console,
        chance: random.Random,
    ) -> None:
        self.aws, self.portal, self.projects, self.chance = aws, portal, projects, chance
        self.started = time.monotonic()
        self.project = projects[0]
        self.parameters: dict[str, str] = {"PortalUrl": portal.url, **_BEFORE_LEAVERS}
        self.stack = self._deploy()
        deployment = connect(aws, self.stack, PortalAccess.to(portal))
        self.course = Course(aws, deployment, deadline, console)
        self.deployment = deployment
        outputs = deployment.outputs
        self.sweeper = Sweeper(aws, outputs["LedgerTableName"], outputs["DataBucketName"])
        self.midnight = (aws.now() // DAY + 1) * DAY
        self.day = 0
        self.leavers_wait = False  # whether leavers are disabled first
        self.has_windows = False
        self.key_changes = list(_KEY_CHANGES)

        self.company = Company(_GRACE_DAYS)
        self.company.join(portal.user_ids())
        self.administrators = {
            row[0]
            for row in portal.database.execute(
                "SELECT user_id FROM user WHERE type = 'administrator'"
            )
        }
        self.company.touched |= self.administrators
        self.last_roster: set[int] = set()
        self.brought_back: set[str] = set()  # usernames that a second user has
        self.must_look = False  # whether the next daily run has something to see
        self.witness = Witness(_GRACE_DAYS)
        self.followed = 0
        self.ordered: set[int] = set()
        self.differing: set[int] = set()
        self.outside_windows: set[int] = set()
        self.executions: dict[str, float] = {}  # by name: when they started
        self.rested_on: dict[str, float] = {}  # by run: when a leaver's date last came from it
        self.drops: list[float] = []
        self.rosters: list[float] = []
        self.changed: list[float] = []  # when somebody was ordered to be changed
        self.deleted: list[float] = []
        self.paused = 0
        self.resumed_after_update = 0
        self.most_events = 0
        self.months: list[Month] = []

    # The calendar

    def lived(self, rhythm: Rhythm) -> YearFindings:
        """Live through the year; return what it shows."""
        for day in range(rhythm.days):
            self.day = day
            if day % _SWEEP_DAYS == 0:
                self._to(_SWEEP)
                self.sweeper.sweep(self.template, self.parameters)
            if day in {_HAS_WINDOWS.start, _HAS_WINDOWS.stop}:
                self._set_windows(day in _HAS_WINDOWS)
            if day in _UPDATES:
                self._update(_UPDATES.index(day) + 1)
            elif self._has_a_night(is_sample=day % rhythm.samples == 1):
                self._night()
            if day % rhythm.drops == 0:
                self._week(day // rhythm.drops)
            if day % rhythm.rosters == rhythm.rosters - 1:
                self._month()
        self._month()
        return YearFindings(self.months, self._wrong(), self._figures())

    def _to(self, hour: float) -> None:
        """Let time pass until an hour of the day, once nothing does more than wait."""
        seconds = self._seconds_to(hour)
        if seconds <= 0:
            return

        def jumped() -> bool:
            try:
                self.aws.jump(seconds)
            except JumpError:
                return False
            return True

        self._until(jumped, "time could not jump")

    def _seconds_to(self, hour: float) -> float:
        return self.midnight + self.day * DAY + hour * 3600 - self.aws.now()

    def _until(self, what: Callable[[], Any], otherwise: str) -> None:
        last = time.monotonic() + _PATIENCE_SECONDS
        while not what():
            if time.monotonic() > min(last, self.course.deadline):
                raise click.ClickException(f"Day {self.day}: {otherwise}.")
            time.sleep(_POLL_SECONDS)

    @property
    def _this_month(self) -> Month:
        name = datetime.fromtimestamp(self.aws.now(), UTC).strftime("%Y-%m")
        if not self.months or self.months[-1].name != name:
            self.months.append(Month(name))
        return self.months[-1]

    def _count(self, what: str, number: int = 1) -> None:
        self._this_month.happened[what] += number

    # Nights

    def _has_a_night(self, *, is_sample: bool) -> bool:
        """Return whether a daily run of today has something to do or to see, or is a sample."""
        if not self.leavers_wait or self.day in _NO_DAILY_RUNS:
            return False
        is_due = any(night <= self.day for night in self.company.due.values())
        return is_due or self.must_look or is_sample

    def _night(self) -> None:
        due = self.company.night(self.day)
        is_paused = (
            self.has_windows and not self.paused and self.day >= _A_RUN_IS_PAUSED and len(due) > 3
        )
        self._to(_END_OF_WINDOW - 0.1 if is_paused else _NIGHT)
        before = len(self.portal.requests)
        if is_paused:
            self._paused_night(before)
        else:
            self.course.carry_out(self._daily, done=lambda: 0)
        self._count("daily runs")
        self._note_deleted(due)
        self.must_look = False
        self._look()

    def _daily(self) -> dict[str, Any]:
        """Return what the schedule starts."""
        request = {"mode": "apply", "source": {"due": True}}
        # Another one each time: the same event starts one run.
        moment = f"day {self.day}, {self.course.executions}"
        return {"scheduled_time": moment, "request": request}

    def _paused_night(self, before: int) -> None:
        """Let the change window end in the middle of a daily run, and go on in the next one."""
        with self._slow_portal():
            arn = self.deployment.start(self._daily())
            self._until(lambda: self._deletes_since(before), "nobody was deleted")
            self.aws.time.let_pass(self._seconds_to(_END_OF_WINDOW) - LAST_SECONDS + 1)
            self.course.ended(arn)
        waiting: list[str] = []

        def found() -> bool:
            every = [one for one in self.deployment.executions() if one.endswith("-window")]
            waiting[:] = [one for one in every if self._is_running(one)]
            return bool(waiting)

        self._until(found, "nothing waits for the next window")
        self.paused += 1
        self._to(_EVENING)
        self.course.ended(waiting[0])
        self.course.see_through(arn, again=lambda: self.deployment.start(self._daily()))

    def _deletes_since(self, before: int) -> list[int]:
        requests = self.portal.requests[before:]
        return [r.user_id for r in requests if r.method == "DELETE" and r.user_id and r.status]

    def _is_running(self, arn: str) -> bool:
        execution = self.deployment.execution(arn)
        return bool(execution and execution.is_running)

    @contextmanager
    def _slow_portal(self) -> Iterator[None]:
        """Let the portal take its time, so that something can happen in the middle of a run."""
        quick = self.portal.knobs
        self.portal.knobs = replace(quick, seconds_per_delete=0.5, seconds_per_put=0.5)
        try:
            yield
        finally:
            self.portal.knobs = quick

    # Weeks

    def _week(self, number: int) -> None:
        """Drop a list; afterwards somebody is taken back, comes back, or leaves by hand."""
        leavers = self._sample(self.company.fresh(), self._leavers_a_week)
        noise = self._sample(self._named_before(), 1)  # whom a drop does not change
        self._to(_NOON)
        if self.key_changes and self.key_changes[0] <= self.day:
            self._change_key()
        arn = self._drop(self._list_of(leavers, noise), f"inbox/list-{number:02}.csv")
        self._see_drop(arn, leavers, noise)
        self._order(leavers)
        self._count("dropped", len(leavers))
        if self.leavers_wait and self.day not in _NO_DAILY_RUNS:
            self._take_back(number)
        self._bring_back()
        self._look()

    @property
    def _leavers_a_week(self) -> int:
        """5 to 15 of five thousand."""
        return self.chance.randint(5, 15) if len(self.company.fates) > 1_000 else 6

    def _named_before(self) -> list[int]:
        """Return whom an earlier list named, and who does not wait: gone, withdrawn or held."""
        stay = self.company.employed | self.company.due.keys() | self.administrators
        return sorted(self.company.touched - stay) if self.leavers_wait else []

    def _list_of(self, leavers: list[int], noise: list[int]) -> bytes:
        """Return a file of ids, or, every other week and where they can be told apart, of names."""
        names = self._people(leavers)
        if noise or (self.day // 7) % 2 or self.brought_back & set(names.values()):
            return "\n".join(["user_id", *map(str, [*leavers, *noise])]).encode()
        return "\n".join(["username", *names.values()]).encode()

    def _people(self, user_ids: Iterable[int], column: str = "username") -> dict[int, str]:
        wanted = set(user_ids)
        rows = self.portal.database.execute("SELECT * FROM user ORDER BY user_id")
        return {row["user_id"]: row[column] for row in rows if row["user_id"] in wanted}

    def _drop(self, content: bytes, key: str) -> str:
        """Put an object, and return the execution that it starts."""
        known = set(self.deployment.executions())
        self.aws.client("s3").put_object(Bucket=self.deployment.bucket.name, Key=key, Body=content)
        new: set[str] = set()

        def started() -> bool:
            new.update(set(self.deployment.executions()) - known)
            return bool(new)

        self._until(started, f"{key} started no execution")
        self.course.executions += 1
        (self.rosters if key.startswith(ROSTERS) else self.drops).append(self.aws.now())
        return new.pop()

    def _see_drop(self, arn: str, leavers: list[int], noise: list[int]) -> None:
        """See a dropped list through, in the next change window if there are any."""
        if self.has_windows:
            self._to(_EVENING)
        attempts = 0

        def again() -> str:
            """Fill in the portal's new key, if that was it, and drop the list once more."""
            nonlocal attempts
            attempts += 1
            connect(self.aws, self.stack, PortalAccess.to(self.portal))
            content = self._list_of(leavers, noise)
            return self._drop(content, f"inbox/again-{self.day}-{attempts}.csv")

        self.course.see_through(arn, again=again)

    def _change_key(self) -> None:
        """Change the application's key in the portal; nobody has told the stack yet."""
        del self.key_changes[0]
        self.portal.application_key = f"key of day {self.day}"
        self.portal.expire_tokens()
        self._count("keys changed")

    def _order(self, leavers: Iterable[int]) -> None:
        """Take note that these were ordered to be deleted, or to be disabled first."""
        leavers = list(leavers)
        self.ordered |= set(leavers)
        self.changed += [self.aws.now()] * len(leavers)
        if self.leavers_wait:
            self.company.disable(leavers, day=self.day)
            self._count("disabled", len(leavers))
        else:
            self.company.delete(leavers)
            self._note_deleted(leavers)

    def _note_deleted(self, user_ids: Iterable[int]) -> None:
        moments = [self.aws.now() for _ in user_ids]
        self.deleted += moments
        self.changed += moments
        self._count("deleted", len(moments))

    def _take_back(self, number: int) -> None:
        """Let something happen to one of those who wait, another thing every week."""
        waiting = self.company.waiting(day=self.day)
        if not waiting:
            return
        [user_id] = self._sample(waiting, 1)
        what = ("withdrawn", "enabled", "synced", "removed", "renamed", "named")[number % 6]
        match what:
            case "withdrawn":
                self.course.order(
                    {"withdraw": {"users": [str(user_id)], "reason": "on leave", "by": "hr"}}
                )
                self._follow()
                self.witness.withdrawn([user_id])
                self.company.keep(user_id, Fate.DISABLED)
            case "enabled":
                self._by_hand([user_id], action="enable")
                self.company.keep(user_id, Fate.THERE, employed=True)
                self.changed.append(self.aws.now())
            case "synced":
                self.portal.edit(user_id, enabled="Y")
                self.company.keep(user_id, Fate.THERE)
                self.must_look = True
            case "removed":
                self.portal.remove(user_id)
                self.company.keep(user_id, Fate.GONE)
                self.must_look = True
            case "renamed":
                self.portal.edit(user_id, email=f"renamed{user_id}@example.com")
                self.company.keep(user_id, Fate.DISABLED)
                self.must_look = True
            case "named":
                there = self.company.named(Fate.THERE) | self.company.named(Fate.DISABLED)
                held = [one for one in self._named_before() if one in there]
                [user_id] = self._sample(held, 1) or [user_id]
                self._follow()
                self.witness.named([user_id])
                self._by_hand([user_id], action="disable_then_delete")
                was_due = self.company.due.get(user_id)
                self._order([user_id])
                if was_due:  # the date of whoever waits already is kept
                    self.company.due[user_id] = was_due
        self._count("taken back" if what != "named" else "named again")

    def _by_hand(self, user_ids: list[int], *, action: str) -> None:
        request = {
            "mode": "apply",
            "action": action,
            "source": {"users": [str(user_id) for user_id in user_ids]},
            "reason": f"day {self.day}",
        }
        self.course.carry_out(lambda: request, done=lambda: 0)

    def _bring_back(self) -> None:
        """Let a sync create somebody anew who is gone, and people join."""
        if self.day % 3 == 0 and (gone := sorted(self.company.named(Fate.GONE) & self.ordered)):
            [user_id] = self._sample(gone, 1)
            name = f"user{user_id:04}"
            taken = self.portal.database.execute("SELECT 1 FROM user WHERE username = ?", (name,))
            if not taken:
                self.brought_back.add(name)
                self.company.join([self.portal.add(username=name, email=f"{name}@example.com")])
                self._count("back by a sync")
        joining = len(self.company.fates) // 500
        for number in range(joining):
            name = f"joiner{self.day:03}.{number}"
            self.company.join([self.portal.add(username=name, email=f"{name}@example.com")])
        self._count("joined", joining)

    def _sample(self, of: list[int], number: int) -> list[int]:
        return self.chance.sample(of, min(number, len(of)))

    # Months

    def _month(self) -> None:
        """Drop a roster, apply its plan, look who is back; measure what is kept."""
        self._to(_EVENING if self.has_windows else _NOON + 4)
        if self.project == PROJECT and self.leavers_wait and self.day not in _NO_DAILY_RUNS:
            self._roster()
            self.course.ended(self.deployment.start({"check": "population"}))
            self._count("watches")
        self._look()
        self.sweeper.sweep(self.template, self.parameters)
        self._measure()

    def _roster(self) -> None:
        """Drop a list of everybody who stays. Two have left, and one was hired again."""
        fresh = [one for one in self.company.fresh() if one in self.last_roster]
        leavers = self._sample(fresh, 2)
        rehired = self._sample(self.company.waiting(day=self.day), 1)
        named = self.company.employed - set(leavers) | set(rehired)
        emails = self._people(named, "email")
        lines = ["user_id;email", *(f"{one};{email}" for one, email in emails.items())]
        key = f"{ROSTERS}day-{self.day}.rows-{len(emails)}.csv"
        arn = self._drop("\n".join(lines).encode(), key)
        self.course.ended(arn)
        run_id = arn.rpartition(":")[2]
        report = json.loads(self.deployment.bucket.read_report(run_id, "json") or b"{}")
        if report.get("status") != "PREVIEWED":
            raise click.ClickException(f"Day {self.day}: {report.get('sentence')}")
        planned = {
            int(row["user_id"]) for row in report["rows"] if row["outcome"] == "would_disable"
        }
        self.differing |= planned ^ set(leavers)
        for user_id in rehired:
            self._follow()
            self.witness.withdrawn([user_id])
            self.company.keep(user_id, Fate.DISABLED, employed=True)
            self._count("taken back")
        self.last_roster = named
        self._count("rosters")
        sealed = self.deployment.bucket.read_sealed(run_id)
        if planned and sealed:
            request = {"mode": "apply", "plan": {"run_id": run_id, "sha256": sealed[1]}}
            self.course.carry_out(lambda: request, done=lambda: 0)
            self._order(leavers)

    # Updates

    def _set_windows(self, on: bool) -> None:
        self._follow()
        windows = {"ChangeWindows": _WINDOWS, "ChangeWindowsFor": "delete_and_disable"}
        self.parameters = {
            **{name: value for name, value in self.parameters.items() if name not in windows},
            **(windows if on else {"ChangeWindows": ""}),
        }
        self._to(1)
        self._deploy()
        self.has_windows = on

    def _deploy(self) -> Stack:
        """Deploy the version of now, with those parameters that it knows."""
        self.template = load_template(self.project / "template.yaml")
        known = self.template["Parameters"]
        parameters = {name: value for name, value in self.parameters.items() if name in known}
        # An update kills functions at work, and their states wait until they time out.
        return self.aws.deploy(self.project, STACK_NAME, parameters, timeout_scale=TIMEOUT_SCALE)

    def _update(self, number: int) -> None:
        """Update the stack while one run is in progress, one waits, and one has been stopped."""
        due = self.company.night(self.day) if self.leavers_wait else set()
        self._to(_NIGHT)
        stopped, in_progress, waiting = (
            self._sample(self.company.fresh(), size) for size in (4, 6, 2)
        )
        arns: dict[str, str] = {}
        with self._slow_portal():
            if due:
                arns["daily"] = self.deployment.start(self._daily())
            arns["stopped"] = self._started(stopped)
            run_id = arns["stopped"].rpartition(":")[2]
            self.course.order({"stop": {"run_id": run_id, "reason": "an update", "by": "ops"}})
            self.course.ended(arns["stopped"])
            arns["in progress"] = self._started(in_progress)
            arns["waiting"] = self._start(waiting)
            name = arns["waiting"].rpartition(":")[2]
            self._until(lambda: self.deployment.waits_for(name), "the second run did not wait")
            self.project = self.projects[number]
            # An update has to change something, also where the code is the same.
            self.parameters = {**self.parameters, "WaitSeconds": str(_WAIT_SECONDS - number)}
            self._deploy()
        self._count("updates")
        for kind, arn in arns.items():
            self.resumed_after_update += self._is_running(arn) or kind == "stopped"
            self.course.see_through(arn, again=lambda: self._start(waiting))
        self._note_deleted(due)
        self._order([*stopped, *in_progress, *waiting])
        if not self.leavers_wait:
            # Only now: what deletes at once is not resumed by a stack that disables first.
            self._follow()
            self.parameters = {**self.parameters, **_WITH_LEAVERS}
            self._deploy()
            self.leavers_wait = True
        self._look()

    def _start(self, user_ids: list[int]) -> str:
        users = [str(user_id) for user_id in user_ids]
        self.course.executions += 1
        return self.deployment.start({"mode": "apply", "source": {"users": users}})

    def _started(self, user_ids: list[int]) -> str:
        """Start a run, and wait until it has changed one of these."""
        arn = self._start(user_ids)

        def has_begun() -> bool:
            access = self._access()
            return any(access.get(user_id) != "Y" for user_id in user_ids)

        self._until(has_begun, "nobody was changed")
        return arn

    # What it shows

    def _access(self) -> dict[int, str]:
        rows = self.portal.database.execute("SELECT user_id, enabled FROM user")
        return {row["user_id"]: row["enabled"] for row in rows}

    def _look(self) -> None:
        """Compare everybody with what must have become of them, and follow the log."""
        if differing := self.company.differing(self._access()) - self.differing:
            self.course.console.print(f"Day {self.day}: not as expected: {sorted(differing)}")
            self.differing |= differing
        self._follow()
        for arn in self.deployment.executions():
            name = arn.rpartition(":")[2]
            if name not in self.executions:
                self.executions[name] = self.aws.now()
                self.most_events = max(self.most_events, self._events(arn))

    def _events(self, arn: str) -> int:
        pages = self.aws.client("stepfunctions").get_paginator("get_execution_history")
        return sum(len(page["events"]) for page in pages.paginate(executionArn=arn))

    def _follow(self) -> None:
        new = self.portal.requests[self.followed :]
        self.followed += len(new)
        self.witness.follow(new, direct=not self.leavers_wait)
        if self.has_windows:
            self.outside_windows |= {
                request.user_id
                for request in new
                if request.user_id
                and request.method == "DELETE"
                and not _OPEN.is_open(request.when)
            }

    def _since(self, moments: Iterable[float], days: int) -> int:
        """Count what happened in the last days."""
        first = self.aws.now() - (days + 1) * DAY
        return sum(moment >= first for moment in moments)

    def _measure(self) -> None:
        rows, versions = list(self.sweeper.rows()), self.sweeper.versions()
        kinds = Counter(row["pk"]["S"].partition("#")[0] for row in rows)
        prefixes = Counter(one["Key"].partition("/")[0] for one in versions if not one["IsMarker"])
        kept = _RETENTION_DAYS
        inbox = _INBOX_DAYS + _NONCURRENT_DAYS + 2 * _SWEEP_DAYS
        here = len(self.company.named(Fate.DISABLED) | self.company.named(Fate.THERE))
        strays = here - len(self.company.employed)
        taken = len(self.company.employed & self.company.touched)
        recent = self._since(self.executions.values(), kept)
        bounds = {
            "intent": (self._since(self.changed, 2), "whom runs of the last days deleted"),
            "switch": (self._since(self.changed, 2), "whom runs of the last days switched"),
            "deleted": (
                3 * self._since(self.deleted, kept),
                "3 for whoever was deleted in 90 days",
            ),
            "leaver": (
                strays + taken + self._since(self.deleted, kept),
                "who waits, is held or withdrawn, and who was deleted in 90 days",
            ),
            "event": (2 * recent, "2 for each trigger of 90 days"),
            "roster": (self._since(self.rosters, kept), "rosters of 90 days"),
            "watch": (strays + taken + len(self.brought_back) + 1, "who is back, and the last one"),
            "lock": (2, "one for deleting, one for switching"),
            "pace": (1, "the portal has one"),
            "token": (1, "the portal has one"),
            "stop": (1, "the portal has one"),
            "guard": (1, "one dataset"),
        }
        month = self._this_month
        month.rows, month.versions = len(rows), len(versions)
        month.kept = [
            Bound(f"rows {name}", number, *bounds.get(name, (0, "nothing is known of these")))
            for name, number in sorted(kinds.items())
            if name != "run"
        ]
        old = {
            name
            for name in _names(rows)
            if self.aws.now() - self.executions.get(name, 0) > (kept + 2 + _SWEEP_DAYS) * DAY
        }
        month.kept.append(Bound("runs older than 90 days in rows", len(old), 0, "rows expire"))
        open_leavers = [
            leaver for leaver in self.deployment.leavers() if leaver.state in _UNDECIDED
        ]
        for leaver in open_leavers:
            self.rested_on |= dict.fromkeys(leaver.runs, self.aws.now())
        life = (kept + _NONCURRENT_DAYS + 2 + 2 * _SWEEP_DAYS) * DAY
        outlived = [
            one
            for one in versions
            if one["Key"].startswith("runs/")
            and not one["IsMarker"]
            and self.aws.now() - self._needed_until(one["Key"]) > life
        ]
        month.kept += [
            Bound("versions of older runs", len(outlived), 0, "objects expire"),
            Bound(
                "versions inbox/",
                prefixes["inbox"],
                self._since(self.drops, inbox),
                "drops of InboxDays, and of a month as noncurrent versions",
            ),
            Bound(
                "versions roster/",
                prefixes["roster"],
                self._since(self.rosters, inbox),
                "rosters of as long",
            ),
            Bound(
                "versions results/",
                prefixes["results"],
                2
                * self._since(
                    [*self.drops, *self.rosters], kept + _NONCURRENT_DAYS + 2 * _SWEEP_DAYS
                ),
                "JSON and a page for each drop of RetentionDays, and of a month as noncurrent"
                " versions",
            ),
            Bound("events of an execution", self.most_events, _MOST_EVENTS, "a tenth of the quota"),
        ]
        # The run that somebody's date comes from; those before a withdrawal are decided.
        there = {one["Key"] for one in versions if one["IsLatest"] and not one["IsMarker"]}
        missing = {
            leaver.user_id for leaver in open_leavers if plan_key(leaver.runs[-1]) not in there
        }
        if missing:
            self.course.console.print(f"Day {self.day}: no plan any more of {sorted(missing)}")
        month.kept.append(
            Bound("leavers who wait or are held without a plan", len(missing), 0, "plans are kept")
        )

    def _needed_until(self, key: str) -> float:
        """Return when the last thing happened that an object of a run is kept for."""
        _, run, *rest = key.split("/")
        started = self.executions.get(run, 0)
        return max(started, self.rested_on.get(run, 0)) if rest == ["plan.json"] else started

    def _wrong(self) -> dict[str, int]:
        requests = self.portal.requests
        changed = {r.user_id for r in requests if r.method in {"DELETE", "PUT"} and r.user_id}
        open_runs = [
            name
            for name in self.executions
            if (run := self.deployment.ledger.runs.read(name)) and run.is_open
        ]
        return {
            "people whose fate is not the expected one": len(self.differing),
            "sent a DELETE or a PUT without an order": len(changed - self.ordered),
            "sent a DELETE after seen gone": len(deleted_after_seen_gone(requests)),
            "deleted before due": len(self.witness.before_due),
            "deleted after a withdrawal or a rehire that a look saw": len(self.witness.taken_back),
            "disabled although withdrawn": len(self.witness.disabled_though_withdrawn),
            "enabled although not by us disabled": len(self.witness.enabled_not_ours),
            "sent a DELETE outside of a change window": len(self.outside_windows),
            "runs left open": len(open_runs),
        }

    def _figures(self) -> dict[str, str]:
        requests = self.portal.requests
        return {
            "users at the end": f"{len(self.portal.user_ids())}",
            "executions": f"{len(self.executions)}",
            "requests to the portal": f"{len(requests)}",
            "DELETEs": f"{sum(r.method == 'DELETE' for r in requests)}",
            "PUTs": f"{sum(r.method == 'PUT' for r in requests)}",
            "tokens": f"{len(self.portal.tokens())}",
            "runs that were open at an update": f"{self.resumed_after_update}",
            "runs paused at the end of a change window": f"{self.paused}",
            "rows removed by their time to live": f"{self.sweeper.rows_removed}",
            "versions removed by life-cycle rules": f"{self.sweeper.versions_removed}",
            "took": f"{(time.monotonic() - self.started) / 60:.1f} min",
        }


def _names(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the names of the executions of which there are rows."""
    keys = (row["pk"]["S"] for row in rows)
    return {key.removeprefix("run#") for key in keys if key.startswith("run#")}
