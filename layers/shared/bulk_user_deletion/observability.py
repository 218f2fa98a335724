"""Structured logs, with the run's id on every line, and metrics. Neither ever contains a name.

Metrics are log lines in CloudWatch's embedded metric format. Their only dimension is the stack: the
figures of a single run are in its report. Events are not logged, and traces are left to the
services (docs/adr/0010-tracing.md).
"""

import warnings
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from bulk_user_deletion.errors import BulkUserDeletionError
from bulk_user_deletion.meter import meter

# Both name the stack as their service: POWERTOOLS_SERVICE_NAME.
logger = Logger()
metrics = Metrics(namespace="BulkUserDeletion")

# Most invocations have nothing to count.
warnings.filterwarnings("ignore", "No application metrics to publish")


class Metric(StrEnum):
    """Every metric, under the name that alarms and the dashboard use."""

    USERS_DELETED = "UsersDeleted"
    USERS_DISABLED = "UsersDisabled"
    USERS_ENABLED = "UsersEnabled"
    USERS_ALREADY_ABSENT = "UsersAlreadyAbsent"
    USERS_SKIPPED = "UsersSkipped"
    USERS_UNRESOLVED = "UsersUnresolved"
    USERS_FAILED = "UsersFailed"
    USERS_UNKNOWN = "UsersUnknown"
    USERS_NOT_ATTEMPTED = "UsersNotAttempted"
    RUNS_SUCCEEDED = "RunsSucceeded"
    RUNS_REFUSED = "RunsRefused"
    RUNS_FAILED = "RunsFailed"
    SCHEDULED_RUNS = "ScheduledRuns"
    LEAVERS_HELD = "LeaversHeld"
    OVERDUE_DAYS = "OverdueDays"
    USERS_BACK = "UsersBack"  # for the first time: one who stays back is counted once
    POPULATION_CHANGES = "PopulationChanges"  # large ones, since the last watch
    UNEXPLAINED_LOSSES = "UnexplainedLosses"
    BREAKER_TRIPPED = "BreakerTripped"
    TOKEN_RENEWALS = "TokenRenewals"  # noqa: S105 -- a metric's name
    RENEWALS_REFUSED = "RenewalsRefused"
    PORTAL_THROTTLES = "PortalThrottles"
    DELETE_SECONDS = "DeleteSeconds"


Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def observed(handler: Handler) -> Handler:
    """Add the run's id to every line that a function logs, its final error too; publish metrics.

    For an error that is not ours only the name is logged: its message may contain anything.
    """

    @logger.inject_lambda_context(clear_state=True)
    @metrics.log_metrics
    @wraps(handler)
    def wrapper(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        logger.append_keys(run_id=event["run_id"])
        meter.start(is_for_user="user_id" in event)
        try:
            return handler(event, context)
        except BulkUserDeletionError as error:
            logger.warning(str(error), extra={"error": type(error).__name__})
            raise
        except Exception as error:
            name = type(error).__name__
            logger.error("Ended by an error of another kind", extra={"error": name})  # noqa: TRY400
            raise

    return wrapper


def count(metric: Metric, number: int = 1) -> None:
    """Add to a metric; it is published when the invocation ends, even with an error."""
    metrics.add_metric(name=metric, unit=MetricUnit.Count, value=number)


def time_taken(metric: Metric, seconds: float) -> None:
    """Add a duration to a metric."""
    metrics.add_metric(name=metric, unit=MetricUnit.Seconds, value=seconds)
