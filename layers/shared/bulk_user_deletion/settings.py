"""The stack's parameters for the functions, read from the environment once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Limits, Mode, Pacing
from bulk_user_deletion.rules.leavers import Grace
from bulk_user_deletion.rules.windows import ALWAYS, Windows, windows_of


class ChangeWindowsFor(StrEnum):
    """What change windows apply to."""

    DELETE = "delete"
    DELETE_AND_DISABLE = "delete_and_disable"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a function needs to know about its stack. None of it is secret."""

    portal_url: str
    ca_bundle: str
    ledger_table: str
    data_bucket: str
    credentials_secret: str
    token_secret: str
    topic_arn: str
    file_drop_mode: Mode
    apply_only_plans: bool
    plan_max_age_hours: int
    max_wait_hours: int
    protected_list: str
    retention_days: int
    object_lock_days: int
    pacing: Pacing
    concurrency: int
    token_life_seconds: int
    read_timeout_seconds: int
    max_unexplained_losses: int
    limits: Limits
    switch_limits: Limits
    leaver_action: Action
    grace_days: int
    roster_min_match_percent: float
    roster_max_shrink_percent: float
    guard_dataset: int
    guard_max_age_hours: int
    change_windows: str
    change_windows_for: ChangeWindowsFor
    timezone: str

    @property
    def grace(self) -> Grace:
        """What is required of a leaver who is due."""
        return Grace(self.grace_days, only_previewed=self.apply_only_plans)

    def limits_for(self, action: Action) -> Limits:
        """Return how careful a run with this action is."""
        return self.limits if action.deletes else self.switch_limits

    def windows_for(self, action: Action) -> Windows:
        """Return the change windows that apply to an action. Enabling is allowed at any time.

        Raises:
            RequestRefused: the parameter cannot be read.
        """
        deletes = action.deletes
        disables = action in {Action.DISABLE, Action.DISABLE_THEN_DELETE}
        both = self.change_windows_for is ChangeWindowsFor.DELETE_AND_DISABLE
        if deletes or (disables and both):
            return windows_of(self.change_windows, self.timezone)
        return ALWAYS

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the variables that `template.yaml` sets.

        Raises:
            KeyError, ValueError: the template and this class disagree.
        """
        pacing = Pacing(environment["PACING"])
        wait_seconds = int(environment["WAIT_SECONDS"])
        limits = Limits(
            max_users=int(environment["MAX_USERS"]),
            max_percent=float(environment["MAX_PERCENT"]),
            max_users_per_day=int(environment["MAX_USERS_PER_DAY"]),
            max_percent_per_day=float(environment["MAX_PERCENT_PER_DAY"]),
            wait_seconds=wait_seconds if pacing is Pacing.FIXED else 0,
            canary_users=int(environment["CANARY_USERS"]),
            max_not_found_percent=float(environment["MAX_NOT_FOUND_PERCENT"]),
        )
        return cls(
            portal_url=environment["PORTAL_URL"],
            ca_bundle=environment["CA_BUNDLE"],
            ledger_table=environment["LEDGER_TABLE"],
            data_bucket=environment["DATA_BUCKET"],
            credentials_secret=environment["CREDENTIALS_SECRET"],
            token_secret=environment["TOKEN_SECRET"],
            topic_arn=environment["TOPIC_ARN"],
            file_drop_mode=Mode(environment["FILE_DROP_MODE"]),
            apply_only_plans=environment["APPLY_ONLY_PLANS"] == "true",
            plan_max_age_hours=int(environment["PLAN_MAX_AGE_HOURS"]),
            max_wait_hours=int(environment["MAX_WAIT_HOURS"]),
            protected_list=environment["PROTECTED_LIST"],
            retention_days=int(environment["RETENTION_DAYS"]),
            object_lock_days=int(environment["OBJECT_LOCK_DAYS"]),
            pacing=pacing,
            concurrency=int(environment["CONCURRENCY"]),
            token_life_seconds=int(environment["TOKEN_LIFE_SECONDS"]),
            read_timeout_seconds=int(environment["READ_TIMEOUT_SECONDS"]),
            max_unexplained_losses=int(environment["MAX_UNEXPLAINED_LOSSES"]),
            limits=limits,
            switch_limits=replace(
                limits,
                max_users=int(environment["MAX_DISABLE_USERS"]),
                max_percent=float(environment["MAX_DISABLE_PERCENT"]),
                max_users_per_day=int(environment["MAX_DISABLE_USERS_PER_DAY"]),
                max_percent_per_day=float(environment["MAX_DISABLE_PERCENT_PER_DAY"]),
                wait_seconds=int(environment["DISABLE_WAIT_SECONDS"]),
            ),
            leaver_action=Action(environment["LEAVER_ACTION"]),
            grace_days=int(environment["GRACE_DAYS"]),
            roster_min_match_percent=float(environment["ROSTER_MIN_MATCH_PERCENT"]),
            roster_max_shrink_percent=float(environment["ROSTER_MAX_SHRINK_PERCENT"]),
            guard_dataset=int(environment["GUARD_DATASET"]),
            guard_max_age_hours=int(environment["GUARD_MAX_AGE_HOURS"]),
            change_windows=environment["CHANGE_WINDOWS"],
            change_windows_for=ChangeWindowsFor(environment["CHANGE_WINDOWS_FOR"]),
            timezone=environment["SCHEDULE_TIMEZONE"],
        )
