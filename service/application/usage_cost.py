"""The modelled cost of a usage record on an own deployment, and the margin of its charge."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from service.application.answers import EstimateAnswer
from service.application.usage_answers import ModelledUsage
from service.billing.decomposition import Quantity
from service.engine.units import MEGA

_INPUT, _CACHED, _OUTPUT = "input", "cache_read", "output"
_KINDS: Final = ("uncached_input", "cached_input", "output")


def modelled_usage(
    estimate: EstimateAnswer, usage: Mapping[str, Quantity], charge: tuple[str, Decimal]
) -> ModelledUsage:
    """Return what the tokens of a record cost at an estimate's rates.

    Parameters
    ----------
    estimate
        Of the deployment; its rates are those of its own mix.
    usage
        Quantities by meter; cache reads are a part of the input. A cache write is uncached input: the
        deployment computes it like any other.
    charge
        Currency and amount of what the record is charged.
    """
    currency, charged = charge
    cached = float(usage.get(_CACHED, 0))
    tokens = {
        "uncached_input": max(0.0, float(usage.get(_INPUT, 0)) - cached),
        "cached_input": cached,
        "output": float(usage.get(_OUTPUT, 0)),
    }
    rates = {rate.kind: rate.per_million_tokens for rate in estimate.rates}
    by_kind = {kind: tokens[kind] * rates[kind] / MEGA for kind in _KINDS}
    cost = sum(by_kind.values())
    comparable = currency == estimate.currency and charged > 0
    return ModelledUsage(
        model=estimate.model,
        accelerator=estimate.accelerator,
        currency=estimate.currency,
        cost=cost,
        cost_by_kind=by_kind,
        margin=1.0 - cost / float(charged) if comparable else None,
        estimate_digest=estimate.digest,
    )
