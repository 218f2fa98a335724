"""The timeline of a run for a drawing: positions from 0 to `WIDTH` over its duration."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median

from bulk_user_deletion.models.reports import Report

WIDTH = 1000

_Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Spans are (position, width), moments are positions; those closer than 1 are drawn as one.

    `deletes` are spans with a DELETE in progress, `looks` follow until the outcome was known,
    `waits` are in between. `gone` are (position, users gone so far). The seconds are sums over
    users, except for the longest and the median DELETE.
    """

    deletes: list[_Span]
    looks: list[_Span]
    waits: list[_Span]
    renewals: list[float]
    refusals: list[float]
    gone: list[tuple[float, int]]
    seconds: int
    delete_seconds: int
    median_delete_seconds: float
    longest_delete_seconds: int
    look_seconds: int


def timeline(report: Report) -> Timeline | None:
    """Return a run's timeline, or None if no DELETE with a recorded answer was sent."""
    sent = [row for row in report.rows if row.answered_at]
    if not sent:
        return None
    answered = [_epoch(row.answered_at) for row in sent]
    # A resumed run, and so its report, may have started long before the DELETEs on record.
    start = min(
        _epoch(report.started_at),
        *(at - row.delete_seconds for at, row in zip(answered, sent, strict=True)),
    )
    end = max(_epoch(report.ended_at), *answered, start + 1)
    scale = WIDTH / (end - start)

    def position(at: float) -> float:
        return round(min(max(0.0, (at - start) * scale), WIDTH), 1)

    deletes = [
        (position(at - row.delete_seconds), position(at))
        for at, row in zip(answered, sent, strict=True)
    ]
    looks = [
        (position(at), position(_epoch(row.ended_at)))
        for at, row in zip(answered, sent, strict=True)
        if row.ended_at and _epoch(row.ended_at) > at
    ]
    gone = sorted(
        position(_epoch(row.ended_at))
        for row in report.rows
        if row.outcome is report.action.done and row.ended_at
    )
    busy = _merged([*deletes, *looks])
    return Timeline(
        deletes=_drawn(deletes),
        looks=_drawn(looks),
        waits=[(first, second - first) for (_, first), (second, _) in pairwise(busy)],
        renewals=_thinned(position(_epoch(at)) for at in report.renewed_at),
        refusals=_thinned(position(_epoch(at)) for at in report.refused_at),
        gone=_steps(gone),
        seconds=round(end - start),
        delete_seconds=sum(row.delete_seconds for row in sent),
        median_delete_seconds=median(row.delete_seconds for row in sent),
        longest_delete_seconds=max(row.delete_seconds for row in sent),
        look_seconds=round(
            sum(
                max(0.0, _epoch(row.ended_at) - at)
                for at, row in zip(answered, sent, strict=True)
                if row.ended_at
            )
        ),
    )


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _merged(spans: Iterable[_Span]) -> list[_Span]:
    """Join spans (start, end) that overlap or are closer than 1."""
    merged: list[_Span] = []
    for start, end in sorted(spans):
        if merged and start - merged[-1][1] < 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _drawn(spans: Sequence[_Span]) -> list[_Span]:
    return [(start, max(1.0, round(end - start, 1))) for start, end in _merged(spans)]


def _thinned(positions: Iterable[float]) -> list[float]:
    return [start for start, _ in _merged((at, at) for at in positions)]


def _steps(positions: Sequence[float]) -> list[tuple[float, int]]:
    """Count up along sorted positions, one step per position."""
    counts = {at: number for number, at in enumerate(positions, start=1)}
    return list(counts.items())
