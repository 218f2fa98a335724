"""The soak: many users under every fault at once, and what was found."""

from local.soak.direct import Findings, soak
from local.soak.leavers import LeaverFindings, TakenBack, soak_leavers

__all__ = ["Findings", "LeaverFindings", "TakenBack", "soak", "soak_leavers"]
