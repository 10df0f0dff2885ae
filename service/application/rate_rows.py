"""Shares of the bill by kind and class as the rows of an answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from service.application.answers import Conservation, Rate, TokenKind
from service.application.views import COMPONENTS
from service.economics.rates import Array, Bill, rates_per_token, sum_of_rates
from service.engine.attribution import CACHED, RESOURCES, Attribution, PhaseIncrements
from service.engine.spans import stack_rows
from service.engine.tables import ATTENTION_PREFILL, OPERATORS
from service.engine.units import TOKENS_PER_MILLION
from service.engine.workload import Moments

KIND_NAMES: tuple[TokenKind, ...] = ("uncached_input", "cached_input", "output")
COMPONENT_NAMES = tuple(dict.fromkeys(COMPONENTS[name] for name in OPERATORS))
_OPERATORS_OF = np.array(
    [[1.0 if COMPONENTS[name] == part else 0.0 for part in COMPONENT_NAMES] for name in OPERATORS]
)
"""Operators to components, shape (9, components)."""


@dataclass(frozen=True)
class Split:
    """A bill divided: shares of shape (9 operators, 3 kinds, K classes, 4 resources) that sum to 1."""

    shares: Array
    attribution: Attribution
    moments: Moments
    bill: Bill
    currency: str

    @cached_property
    def tokens(self) -> Array:
        """Tokens per request of the mix by kind and class, shape (3, K)."""
        return stack_rows(self.moments.uncached, self.moments.cached, self.moments.output)


def apply_increment(shares: Array, wanted: Array) -> Array:
    """Rescale shares so that kinds pay ``wanted``; classes and resources keep their proportion.

    Parameters
    ----------
    shares
        Shape (9, 3, K, 4).
    wanted
        Shares by kind, shape (3,).
    """
    have = shares.sum(axis=(0, 2, 3))
    factor = np.where(have > 0, wanted / np.where(have > 0, have, 1.0), 0.0)
    scaled: Array = shares * factor[None, :, None, None]
    return scaled


def mix_rates(split: Split) -> tuple[Rate, ...]:
    """Return the rate of each kind over the whole mix."""
    return _rows(split, np.add.reduce(split.shares, axis=2), np.add.reduce(split.tokens, axis=1), (None, 1.0))


def class_rates(split: Split, of_mix: Sequence[Rate], names: Sequence[str]) -> tuple[Rate, ...]:
    """Return the rates of each class; tokens and costs are per request of that class."""
    if len(names) == 1:
        return tuple(replace(rate, class_name=names[0]) for rate in of_mix)
    tokens = split.tokens
    return tuple(
        rate
        for k, name in enumerate(names)
        if split.moments.class_share[k] > 0
        for rate in _rows(
            split, split.shares[:, :, k], tokens[:, k], (name, 1.0 / float(split.moments.class_share[k]))
        )
    )


def conservation(split: Split) -> Conservation:
    """Return the check: sum over kinds and classes of tokens x rate beside the bill (METHOD 5)."""
    tokens = split.tokens
    by_kind = np.add.reduce(split.shares, axis=(0, 3))
    rates = rates_per_token(by_kind, tokens, np.zeros_like(tokens), split.bill.per_request)
    total = sum_of_rates(rates, tokens)
    return Conservation(
        bill_per_request=split.bill.per_request,
        sum_per_request=total,
        relative_difference=abs(total / split.bill.per_request - 1.0),
        currency=split.currency,
    )


def phase_rates(split: Split, increments: PhaseIncrements) -> Mapping[str, Mapping[str, float]]:
    """Return money per million tokens by kind under both increments of the ``phase`` rule."""
    tokens = split.tokens.sum(axis=1)
    rows = {
        "increment_over_decode": increments.over_decode,
        "increment_over_prefill": increments.over_prefill,
    }
    return {
        name: dict(
            zip(
                KIND_NAMES,
                (
                    rates_per_token(shares, tokens, np.zeros(3), split.bill.per_request) * TOKENS_PER_MILLION
                ).tolist(),
                strict=True,
            )
        )
        for name, shares in rows.items()
    }


def _rows(split: Split, shares: Array, tokens: Array, whose: tuple[str | None, float]) -> tuple[Rate, ...]:
    """Make one row a kind from shares of shape (9, 3, 4)."""
    class_name, per_class_request = whose
    bill = split.bill
    resources = np.add.reduce(shares, axis=0)
    by_kind = np.add.reduce(resources, axis=1)
    resource_rows = resources.tolist()
    component_rows = (np.add.reduce(shares, axis=2).T @ _OPERATORS_OF).tolist()
    limits = np.array([0.0, split.attribution.cached_limit_share, 0.0])
    per_million = (rates_per_token(by_kind, tokens, limits, bill.per_request) * TOKENS_PER_MILLION).tolist()
    if by_kind[CACHED] <= 0:
        # The limit of a first cached token: attention alone, on whichever side binds there.
        row = np.add.reduce(split.attribution.shares[ATTENTION_PREFILL], axis=(0, 1))
        resource_rows[CACHED] = row.tolist() if row.any() else [1.0, 0.0, 0.0, 0.0]
        component_rows[CACHED] = _OPERATORS_OF[ATTENTION_PREFILL].tolist()
    seconds_per_money = bill.accelerator_seconds_per_request / bill.per_request
    figures = zip(KIND_NAMES, per_million, tokens.tolist(), by_kind.tolist(), strict=True)
    return tuple(
        Rate(
            kind=kind,
            class_name=class_name,
            per_million_tokens=rate,
            currency=split.currency,
            tokens_per_request=count * per_class_request,
            cost_per_request=share * bill.per_request * per_class_request,
            accelerator_seconds_per_million_tokens=rate * seconds_per_money,
            share_by_resource=_shares(RESOURCES, resource_rows[k]),
            share_by_component=_shares(COMPONENT_NAMES, component_rows[k]),
        )
        for k, (kind, rate, count, share) in enumerate(figures)
    )


def _shares(names: Sequence[str], parts: Sequence[float]) -> dict[str, float]:
    """Return parts over their sum by name; all 0 where there are none."""
    total = sum(parts) or 1.0
    return {name: part / total for name, part in zip(names, parts, strict=True)}
