"""A simulated Metric Insights portal: a real HTTP server on a real SQL table of users."""

from local.portal.faults import Fault
from local.portal.knobs import DeleteMode, Knobs, PutAnswer, PutMode
from local.portal.simulator import PortalSimulator, Request

__all__ = [
    "DeleteMode",
    "Fault",
    "Knobs",
    "PortalSimulator",
    "PutAnswer",
    "PutMode",
    "Request",
]
