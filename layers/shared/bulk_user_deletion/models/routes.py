"""Where an execution goes after FetchUserIds, and why."""

from dataclasses import dataclass
from enum import StrEnum


class Route(StrEnum):
    """What the state machine reads as `next_step`: only `apply` leads to a DELETE."""

    PREVIEW = "preview"
    APPLY = "apply"
    CLOSE = "close"
    WAIT = "wait"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Wait:
    """Call again after `seconds`: the run's turn, or a drop's content, may have come."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to do, and why."""

    because: str


@dataclass(frozen=True, slots=True)
class Planned:
    """What the state machine receives.

    `run_id` is the run that the execution works on from now on: its own, or one that it resumes or
    closes. `nothing_because` says why there is nothing left to do: the event names no list, another
    run has claimed it, or it was an order, which was carried out. With the route `wait`, the step
    is called again after `wait_seconds`.
    """

    run_id: str
    next_step: Route
    users: int = 0
    nothing_because: str = ""
    wait_seconds: int = 0
