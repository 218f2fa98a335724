"""What a run takes, and what AWS charges for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """An event of an execution's history: its type, the state that it enters, when (epoch)."""

    kind: str
    state: str
    at: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What AWS charges a run for.

    `billed_ms` is the time of all invocations, `gb_seconds` the same by the functions' memory,
    `portal_seconds` how much of it was spent waiting for the portal's answers. `ledger_writes` and
    `ledger_reads` are DynamoDB's units, the others requests.
    """

    transitions: int = 0
    invocations: int = 0
    billed_ms: int = 0
    gb_seconds: float = 0.0
    portal_seconds: float = 0.0
    ledger_writes: int = 0
    ledger_reads: int = 0
    secret_calls: int = 0
    renewals: int = 0
    file_writes: int = 0
    file_reads: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run took, all its rounds together, and the price of it in USD.

    Each figure is the sum of what was measured and what was modelled.
    """

    measured: Figures
    modelled: Figures
    usd: float
