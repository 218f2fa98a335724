"""The soak: many users under every fault at once, and what was found."""

from local.soak.direct import Findings, soak
from local.soak.leavers import LeaverFindings, TakenBack, soak_leavers
from local.soak.year import soak_year
from local.soak.year_findings import YearFindings

__all__ = [
    "Findings",
    "LeaverFindings",
    "TakenBack",
    "YearFindings",
    "soak",
    "soak_leavers",
    "soak_year",
]
