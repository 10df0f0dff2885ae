"""Families without a measured run: what published microbenchmarks say of them beside the measured families.

Serving engines were not measured here on these accelerators, their kernels were elsewhere. A family's
efficiency is the general one times what its matrix products and its memory reach of their peaks over
what those of the measured families reach in the same publication. Nothing here comes from serving runs.
"""

from dataclasses import dataclass, replace
from typing import Final

from service.engine.types import Calibration, Efficiency

MOST: Final = 0.95
"""No kernel reaches more of its peak."""


@dataclass(frozen=True, slots=True)
class PublishedFamily:
    """What kernels of a family reach over what those of the measured families reach."""

    family: str
    compute: float
    memory: float
    source: str
    note: str


_MEASURED_MATMUL: Final = (80.3 + 77.6) / 2.0
"""H100 and B200 in the same table, per cent of the BF16 peak."""
_MAMF: Final = "ml-engineering-mamf"
_CDNA_MEMORY: Final = 81.0 / 90.0
_CDNA_NOTE: Final = "Memory: MI300X reaches 81 % of its bandwidth, NVIDIA's up to 90 % (arXiv 2510.27583)."

PUBLISHED: Final = (
    PublishedFamily(
        "cdna3", (51.4 + 60.4) / 2.0 / _MEASURED_MATMUL, _CDNA_MEMORY, _MAMF,
        "BF16 matrix products: MI300X 51.4 %, MI325X 60.4 % of peak. " + _CDNA_NOTE,
    ),
    PublishedFamily(
        "cdna4", 68.0 / _MEASURED_MATMUL, _CDNA_MEMORY, _MAMF,
        "BF16 matrix products: MI355X 68.0 % of peak. " + _CDNA_NOTE + " Taken for CDNA 4 too.",
    ),
    PublishedFamily(
        "ampere", 86.9 / _MEASURED_MATMUL, 1.0, _MAMF,
        "BF16 matrix products: A100 SXM 86.9 % of peak. Memory as the measured families.",
    ),
    PublishedFamily(
        "gaudi", 74.1 / _MEASURED_MATMUL, 1.0, _MAMF,
        "BF16 matrix products: Gaudi 3 74.1 % of peak. Memory as the measured families.",
    ),
)  # fmt: skip


def scaled(calibration: Calibration, published: PublishedFamily) -> Calibration:
    """Return a calibration whose operators reach as much less, or more, of their peaks."""
    return replace(
        calibration,
        level="published",
        operators={name: _scaled(eta, published) for name, eta in calibration.operators.items()},
    )


def _scaled(eta: Efficiency, published: PublishedFamily) -> Efficiency:
    return replace(
        eta,
        compute=min(eta.compute * published.compute, MOST),
        memory=min(eta.memory * published.memory, MOST),
    )
