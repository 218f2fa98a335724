"""Rosters: lists of everybody who stays."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Roster:
    """An accepted roster: the run that read it, when, and how many different entries it had."""

    run_id: str
    accepted_at: float
    entries: int


@dataclass(frozen=True, slots=True)
class NamedUsers:
    """The portal's users, by id, whom an accepted roster names, and whom any up to it has named."""

    now: frozenset[str] = frozenset()
    ever: frozenset[str] = frozenset()
