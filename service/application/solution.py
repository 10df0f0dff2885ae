"""A resolved request with its operating point, before it becomes an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from service.application.resolve import Resolved
from service.economics.bases import Fleet, HourlyCost
from service.economics.rates import Bill
from service.engine.attribution import Attribution, Subject
from service.engine.operating_point import Solved
from service.engine.workload import Moments


@dataclass(frozen=True)
class Solution:
    """A resolved request with its steady state and split."""

    resolved: Resolved
    moments: Moments
    solved: Solved
    subject: Subject
    attribution: Attribution
    utilisation: float
    replicas: int
    bill: Bill
    hourly: Decimal
    """Cost of a paid accelerator-hour."""
    hours: Mapping[str, HourlyCost]
    """The same by basis, working and waiting."""
    fleet: Fleet | None
