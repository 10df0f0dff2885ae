"""Every model of the catalog on one accelerator: modelled against listed output:input ratios."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal
from statistics import median
from typing import TypeVar

import numpy as np

from service.application.answers import ListPriceComparison
from service.application.compare_answers import AcrossModels, ListedRatio
from service.application.errors import ApplicationError
from service.application.estimate import Estimator, Solution, split_of
from service.application.list_comparison import ModelledCost, compare_with_list
from service.application.ports import CatalogSnapshot
from service.application.rate_rows import mix_rates
from service.application.requests import EstimateRequest, FormatsRequest, ServingRequest
from service.economics.comparison import rank_correlation
from service.engine.errors import EngineError

Part = TypeVar("Part", ServingRequest, FormatsRequest)


def modelled_cost(solution: Solution) -> ModelledCost:
    """Return the modelled side of a comparison."""
    split, _, _ = split_of(solution, solution.resolved.request.split or "shapley")
    return ModelledCost(
        mix_rates(split), solution.bill.per_request, split.currency, min(solution.utilisation, 1.0)
    )


def across_models(
    estimator: Estimator, request: EstimateRequest, snapshot: CatalogSnapshot, now: datetime
) -> AcrossModels:
    """Return all models of the catalog under the request's workload, each in its default layout.

    Models that do not run say why. Serving engine and formats are the request's where it names them.
    """
    asked = replace(
        request,
        config=None,
        layout=None,
        serving=_stated(request.serving, "serving", request.defaulted),
        formats=_stated(request.formats, "formats", request.defaulted),
        defaulted=(),
    )
    rows = tuple(
        _row(estimator, replace(asked, model=record.id), snapshot, now) for record in snapshot.models()
    )
    both = [
        (row.modelled_ratio, row.listed_ratio_median)
        for row in rows
        if row.modelled_ratio is not None and row.listed_ratio_median is not None
    ]
    pairs = np.array(both, dtype=np.float64).reshape(-1, 2)
    enough = pairs.shape[0] > 1
    return AcrossModels(
        models=rows,
        compared=int(pairs.shape[0]),
        modelled_ratio_median=float(np.median(pairs[:, 0])) if enough else None,
        listed_ratio_median=float(np.median(pairs[:, 1])) if enough else None,
        listed_over_modelled_median=float(np.median(pairs[:, 1] / pairs[:, 0])) if enough else None,
        rank_correlation=rank_correlation(pairs[:, 0], pairs[:, 1]) if enough else None,
    )


def _stated(part: Part | None, name: str, defaulted: Sequence[str]) -> Part | None:
    """Return of a part what the caller stated, not what an earlier answer chose for another model."""
    if part is None:
        return None
    chosen = {item.name: None for item in fields(part) if f"{name}.{item.name}" in defaulted}
    return replace(part, **chosen)


def _row(
    estimator: Estimator, request: EstimateRequest, snapshot: CatalogSnapshot, now: datetime
) -> ListedRatio:
    try:
        solution = estimator.solve(request, snapshot, now)
    except (ApplicationError, EngineError) as error:
        name = request.model or ""
        return ListedRatio(name, None, None, None, None, 0, None, None, None, {}, None, error.message)
    cost = modelled_cost(solution)
    listed = ranked(compare_with_list(estimator.listings(solution.resolved, snapshot), cost))
    listed_ratios = (row.offer.output_to_input_ratio for row in listed)
    ratios = [ratio for ratio in listed_ratios if ratio is not None]
    prices = [row.price_per_request for row in listed if row.price_per_request is not None]
    price: Decimal | None = median(prices) if prices else None
    fresh, output = cost.rates[0].per_million_tokens, cost.rates[2].per_million_tokens
    return ListedRatio(
        model=solution.resolved.deployment.model_id,
        modelled_ratio=output / fresh if fresh > 0 else None,
        listed_ratio_median=median(ratios) if ratios else None,
        listed_ratio_least=min(ratios, default=None),
        listed_ratio_most=max(ratios, default=None),
        listings=len(ratios),
        cost_per_request=cost.cost_per_request,
        price_per_request_median=price,
        margin_at_median=1.0 - cost.cost_per_request / float(price) if price else None,
        per_million_tokens={rate.kind: rate.per_million_tokens for rate in cost.rates},
        accelerators=solution.resolved.deployment.layout.accelerators,
        infeasible=None,
    )


def ranked(listed: Sequence[ListPriceComparison]) -> list[ListPriceComparison]:
    """Return the listings that take part in a ranking."""
    return [row for row in listed if row.rank is not None]
