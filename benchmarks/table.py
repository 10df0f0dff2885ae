"""Rows of a table of targets: what, reached, target, and whether it was reached."""

import os
from dataclasses import dataclass
from pathlib import Path

HEADER = f"{'what':<62}{'target':>16}{'reached':>16}"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure."""

    what: str
    reached: float
    unit: str
    target: float | None = None
    at_most: bool = True
    """Whether the target is an upper bound."""
    digits: int = 3

    def __str__(self) -> str:
        """Return the line of the table; a target that was missed says so."""
        sign = "<=" if self.at_most else ">="
        target = "" if self.target is None else f"{sign} {self.target:,g} {self.unit}"
        met = self.target is None or (self.reached <= self.target) == self.at_most
        reached = f"{self.reached:,.{self.digits}f} {self.unit}"
        return f"{self.what:<62}{target:>16}{reached:>16}{'' if met else '  not reached'}"


def machine() -> str:
    """Return the processor, how many of it, and how busy the machine is."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = models[0] if models else "unknown processor"
    loads = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{name}, {os.cpu_count()} cores; load {loads} (1, 5, 15 minutes) when this was printed"
