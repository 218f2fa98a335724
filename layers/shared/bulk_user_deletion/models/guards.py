"""The guard: a dataset of the portal that says who is kept from being deleted, and why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AcceptedGuard:
    """How many users the guard kept when it was last accepted, by a run or by a person.

    `at` is when, in epoch seconds. `by` is the run or the person; a person gives a `reason`.
    """

    users: int
    at: int
    by: str
    reason: str = ""
