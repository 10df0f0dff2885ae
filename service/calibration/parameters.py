"""The figures a fit moves: what they start from, how far they may go, and how scopes share them.

One figure of one run is, on a logit or logarithmic scale, a sum of effects: the general value, and what
its accelerator family, its engine, both together and its weight format add. Each effect is held near
zero by a normal prior, so a scope with few runs stays near the wider one and a scope without runs is
the wider one (partial pooling: Gelman and Hill 2007, chapter 12). Nothing depends on the model or on the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from service.engine.spans import Array
from service.engine.workload import IntArray


@dataclass(frozen=True, slots=True)
class Figure:
    """One kind of figure: its prior and how far scopes may differ."""

    name: str
    start: float
    """Centre of the general value's prior."""
    spread: float
    """Standard deviation of the general value's logit (a share) or logarithm (a time, a count)."""
    varies: float = 1.0
    """Factor on the spread of the effects of scopes."""
    by_format: bool = False
    is_share: bool = True


FIGURES: Final[tuple[Figure, ...]] = (
    Figure("gemm.compute", 0.65, 0.6, by_format=True),
    Figure("gemm.memory", 0.8, 0.6, by_format=True),
    Figure("gemm.half", 48.0, 0.6, is_share=False),
    Figure("experts.compute", 0.45, 0.6, by_format=True),
    Figure("experts.memory", 0.7, 0.6, by_format=True),
    Figure("experts.half", 32.0, 0.6, is_share=False),
    Figure("attention_prefill.compute", 0.5, 0.6),
    # Runs hardly tell this: only latent attention with all its heads on a rank is bound by compute. There
    # FlashMLA reaches up to 660 of an H800's 989 TFLOP/s, 5 to 15 % more than its first release did
    # (deepseek-ai/FlashMLA, README, 2025-04-22).
    Figure("attention_decode.compute", 0.6, 0.6),
    Figure("attention_decode.memory", 0.7, 0.6),
    Figure("recurrent.memory", 0.6, 0.6),
    Figure("launch", 36e-6, 0.7, is_share=False),
    Figure("eager", 50e-6, 0.7, is_share=False),
    Figure("host", 0.5e-3, 0.8, varies=2.0, is_share=False),
    Figure("sequence", 8e-6, 1.0, varies=2.0, is_share=False),
    Figure("latency", 3e-6, 0.6, is_share=False),
    Figure("network", 0.6, 0.6),
    Figure("imbalance", 1.2, 0.1, varies=0.5, is_share=False),
)
NAMES: Final = tuple(figure.name for figure in FIGURES)
FAMILY_SPREAD: Final = 0.3
ENGINE_SPREAD: Final = 0.3
BOTH_SPREAD: Final = 0.2
FORMAT_SPREAD: Final = 0.3
_SHARES = np.array([figure.is_share for figure in FIGURES])


def to_scale(figure: Figure, value: float) -> float:
    """Return the logit of a share, the logarithm of another figure."""
    return float(np.log(value / (1.0 - value)) if figure.is_share else np.log(value))


Scope = tuple[str, str]
"""(accelerator family, engine)."""


@dataclass(frozen=True)
class Effects:
    """Which effects exist, and which of them make up each figure of each run."""

    names: tuple[tuple[str, str], ...]
    """(figure, effect): effect is ``general``, ``family:f``, ``engine:e``, ``both:f/e`` or ``format:x``."""
    centre: Array
    spread: Array
    design: tuple[Array, ...]
    """For each figure the 0/1 matrix (runs, effects of that figure)."""
    slices: tuple[slice, ...]

    def runs(self, index: IntArray) -> "Effects":
        """Return the same effects for some of the runs."""
        return replace(self, design=tuple(matrix[index] for matrix in self.design))

    def figures(self, effects: Array) -> Array:
        """Return the figures of each run, shape (runs, figures)."""
        scaled = np.stack(
            [matrix @ effects[part] for matrix, part in zip(self.design, self.slices, strict=True)], axis=1
        )
        return from_scale(scaled)


def from_scale(scaled: Array) -> Array:
    """Return figures from logits and logarithms, last axis in the order of ``FIGURES``."""
    exponent = np.exp(scaled)
    values: Array = np.where(_SHARES, exponent / (1.0 + exponent), exponent)
    return values


def log_slopes(figures: Array) -> Array:
    """Return d ln(figure) / d(its scale)."""
    slopes: Array = np.where(_SHARES, 1.0 - figures, 1.0)
    return slopes


def make_effects(
    scopes: Sequence[Scope], formats: Sequence[tuple[str, str]], known: Sequence[Scope] = ()
) -> Effects:
    """Return the effects of runs.

    Parameters
    ----------
    scopes
        (family, engine) of each run.
    formats
        (weights, experts) stored formats of each run.
    known
        Scopes that get effects also where no run has them.
    """
    everywhere = sorted({*scopes, *known})
    families = sorted({family for family, _ in everywhere})
    engines = sorted({engine for _, engine in everywhere})
    names: list[tuple[str, str]] = []
    centre, spread, design, slices = [], [], [], []
    for figure in FIGURES:
        of = [pair[1 if figure.name.startswith("experts") else 0] for pair in formats]
        columns: list[tuple[str, float, float, Array]] = [
            ("general", to_scale(figure, figure.start), figure.spread, np.ones(len(scopes)))
        ]
        columns += [
            (f"family:{name}", 0.0, FAMILY_SPREAD * figure.varies, _flags(s[0] == name for s in scopes))
            for name in families
        ]
        columns += [
            (f"engine:{name}", 0.0, ENGINE_SPREAD * figure.varies, _flags(s[1] == name for s in scopes))
            for name in engines
        ]
        columns += [
            (f"both:{scope[0]}/{scope[1]}", 0.0, BOTH_SPREAD * figure.varies,
             _flags(s == scope for s in scopes))
            for scope in everywhere
        ]  # fmt: skip
        if figure.by_format:
            columns += [
                (f"format:{name}", 0.0, FORMAT_SPREAD, _flags(x == name for x in of))
                for name in sorted(set(of))
            ]
        slices.append(slice(len(names), len(names) + len(columns)))
        names += [(figure.name, column[0]) for column in columns]
        centre += [column[1] for column in columns]
        spread += [column[2] for column in columns]
        design.append(np.stack([column[3] for column in columns], axis=1))
    return Effects(tuple(names), np.array(centre), np.array(spread), tuple(design), tuple(slices))


def _flags(values: object) -> Array:
    return np.array(list(values), dtype=np.float64)  # type: ignore[call-overload]


def as_mapping(effects: Effects, values: Array) -> Mapping[tuple[str, str], float]:
    """Return effects by name."""
    return dict(zip(effects.names, values.tolist(), strict=True))
