"""Fitted effects as calibrations: what holds for a family and an engine, by weight format."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from service.calibration.front_end import GENERAL
from service.calibration.parameters import FIGURES, NAMES, Effects, from_scale
from service.calibration.run_protocol import FRONT_END_FIGURES, FrontEnd
from service.engine.spans import Array
from service.engine.types import Calibration, Efficiency

SCALE_OUT_SHARE: Final = 0.9
"""Scale-out links reach a little less of their rate than scale-up ones; no measured run crosses them."""


@dataclass(frozen=True)
class FittedSet:
    """Effects by name and front ends by engine."""

    effects: Mapping[tuple[str, str], float]
    front_ends: Mapping[str, FrontEnd]
    families: tuple[str, ...]
    engines: tuple[str, ...]
    formats: tuple[str, ...]

    def figures(self, family: str | None, engine: str | None, stored: str | None) -> dict[str, float]:
        """Return the figures of a scope, effects it does not know being zero."""
        names = ["general"]
        names += [f"family:{family}"] if family else []
        names += [f"engine:{engine}"] if engine else []
        names += [f"both:{family}/{engine}"] if family and engine else []
        names += [f"format:{stored}"] if stored else []
        scaled = [sum(self.effects.get((figure.name, name), 0.0) for name in names) for figure in FIGURES]
        return dict(zip(NAMES, from_scale(np.array(scaled)).tolist(), strict=True))

    def calibration(self, family: str | None, engine: str | None, name: str = "fit") -> Calibration:
        """Return the calibration of a scope."""
        plain = self.figures(family, engine, None)
        operators = efficiencies(plain)
        for stored in self.formats:
            of_format = efficiencies(self.figures(family, engine, stored))
            operators |= {f"{name}@{stored}": of_format[name] for name in ("gemm", "experts")}
        return Calibration(
            name=name,
            level="fitted" if family and engine else "general",
            operators=operators,
            launch_seconds_per_layer=plain["launch"],
            host_seconds_per_step=plain["host"],
            host_seconds_per_sequence=plain["sequence"],
            collective_latency_seconds=plain["latency"],
            scale_up_efficiency=plain["network"],
            scale_out_efficiency=plain["network"] * SCALE_OUT_SHARE,
            expert_imbalance=max(plain["imbalance"], 1.0),
            extra=extras(plain, self.front_end(engine)),
        )

    def front_end(self, engine: str | None) -> FrontEnd:
        """Return the front end of an engine, the general one where no run has it."""
        return self.front_ends.get(engine or GENERAL, self.front_ends[GENERAL])


def efficiencies(figures: Mapping[str, float]) -> dict[str, Efficiency]:
    """Return efficiencies by operator class; the head is a GEMM, the state update computes like attention."""
    gemm = Efficiency(figures["gemm.compute"], figures["gemm.memory"], figures["gemm.half"])
    return {
        "gemm": gemm,
        "head": gemm,
        "experts": Efficiency(figures["experts.compute"], figures["experts.memory"], figures["experts.half"]),
        "attention_prefill": Efficiency(
            figures["attention_prefill.compute"], figures["attention_decode.memory"]
        ),
        "attention_decode": Efficiency(
            figures["attention_decode.compute"], figures["attention_decode.memory"]
        ),
        "recurrent": Efficiency(figures["attention_decode.compute"], figures["recurrent.memory"]),
    }


def extras(figures: Mapping[str, float], front: FrontEnd) -> dict[str, float]:
    """Return the further figures of a calibration."""
    named = {f"front_end_{name}": float(getattr(front, name)) for name in FRONT_END_FIGURES}
    return {"chunk_launch_seconds_per_layer": figures["eager"], **named}


def fitted_set(
    effects: Effects, values: Array, front_ends: Mapping[str, FrontEnd], scopes: Sequence[tuple[str, str]]
) -> FittedSet:
    """Return a set from fitted values."""
    named = dict(zip(effects.names, values.tolist(), strict=True))
    formats = sorted({name.split(":")[1] for _, name in effects.names if name.startswith("format:")})
    return FittedSet(
        effects=named,
        front_ends=front_ends,
        families=tuple(sorted({family for family, _ in scopes})),
        engines=tuple(sorted({engine for _, engine in scopes})),
        formats=tuple(formats),
    )
