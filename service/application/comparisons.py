"""The use case of comparisons: modelled cost beside every provider's list prices."""

from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches
from math import isfinite
from statistics import median
from typing import Final

import numpy as np

from service.application.across_models import across_models, modelled_cost, ranked
from service.application.answer_sources import digest_of, provenance_of
from service.application.answers import ListPriceComparison
from service.application.compare_answers import AcrossModels, CompareAnswer, ComparedListing
from service.application.compare_requests import CompareRequest
from service.application.digests import digest_with
from service.application.errors import InvalidRequestError, UnknownIdError
from service.application.estimate import Estimator, Solution, point_of
from service.application.list_comparison import ModelledCost, Prepared, compare_with_list, prepare
from service.application.list_prices import ListPriceQuery, list_prices_of_listing
from service.application.ports import CatalogSnapshot, ListingRecord
from service.application.render import plain_request, request_to_json_values
from service.economics.comparison import OUTLIER_SCORE, implied_utilisation, outlier_scores

DEFAULT_TARGET_MARGIN: Final = 0.3
LEAST_FOR_OUTLIERS: Final = 4
"""Prices below which nothing stands apart from anything."""


class Comparer:
    """Compares with what an estimator keeps."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator

    def compare(self, request: CompareRequest, snapshot: CatalogSnapshot, now: datetime) -> CompareAnswer:
        """Compare one deployment with list prices, and where asked the whole catalog.

        Raises
        ------
        ApplicationError, EngineError
            Everything a readable request can get wrong, infeasible included.
        """
        target = _target(request.target_margin)
        solution = self._solve(request, snapshot, now)
        resolved, cost = solution.resolved, modelled_cost(solution)
        listed = compare_with_list(self._listings(request, solution, snapshot, now), cost)
        across = None
        if request.across_models:
            across = across_models(self._estimator, request.estimate, snapshot, now)
        ratios = [
            row.offer.output_to_input_ratio
            for row in ranked(listed)
            if row.offer.output_to_input_ratio is not None
        ]
        fresh, output = cost.rates[0].per_million_tokens, cost.rates[2].per_million_tokens
        row = resolved.price.row
        wanted = {
            "priced_as": None if request.priced_as is None else plain_request(request.priced_as),
            "target_margin": target,
            "across_models": bool(request.across_models),
        }
        compared = _compared(listed, cost, target)
        return CompareAnswer(
            model=resolved.deployment.model_id,
            accelerator=resolved.deployment.accelerator.id,
            currency=cost.currency,
            architecture_assumed=request.priced_as is not None,
            rates=cost.rates,
            cost_per_request=cost.cost_per_request,
            utilisation=cost.utilisation,
            target_margin=target,
            modelled_output_to_input_ratio=output / fresh if fresh > 0 else None,
            listed_output_to_input_ratio_median=median(ratios) if ratios else None,
            gpu_price_valid_from=None if row is None else row.stamp.valid_from,
            listings=compared,
            across_models=across,
            operating_point=point_of(solution),
            explanation=_explain(request, compared, cost, across),
            warnings=resolved.deployment.warnings,
            provenance=provenance_of(resolved, snapshot, now, ("K1",)),
            resolved={
                **request_to_json_values(resolved.request),
                **{name: value for name, value in wanted.items() if value is not None},
            },
            digest=digest_with(digest_of(resolved), wanted),
        )

    def _solve(self, request: CompareRequest, snapshot: CatalogSnapshot, now: datetime) -> Solution:
        """Solve the deployment; a listed model that the catalog does not know is told what to send."""
        try:
            return self._estimator.solve(request.estimate, snapshot, now)
        except UnknownIdError as error:
            if error.kind != "model":
                raise
            rows = snapshot.list_prices(None, error.value, request.estimate.as_of or now, None)
            providers = sorted({row.provider for row in rows})
            if not providers:
                raise
            raise InvalidRequestError(
                f"{error.value!r} is listed by {', '.join(providers)}, but its architecture is not known. "
                "Send an assumed one as config, and the listing to compare it with as priced_as.",
                field="model",
                code="unknown-architecture",
                accepted={
                    "priced_as": [{"provider": name, "provider_model_id": error.value} for name in providers]
                },
            ) from error

    def _listings(
        self, request: CompareRequest, solution: Solution, snapshot: CatalogSnapshot, now: datetime
    ) -> tuple[Prepared, ...]:
        """Return the listings of the model, or the one that the configuration is priced as."""
        if request.priced_as is None:
            return self._estimator.listings(solution.resolved, snapshot)
        resolved, named = solution.resolved, request.priced_as
        as_of = resolved.request.as_of or now
        query = ListPriceQuery(
            as_of=as_of,
            context_tokens=round(resolved.mix.mean(resolved.mix.input_tokens)),
            known_at=resolved.request.known_at,
        )
        listing = ListingRecord(
            provider=named.provider,
            provider_model_id=named.provider_model_id,
            model=resolved.deployment.model_id,
            relation="same",
            routed_from=None,
            method="assumed",
            checked_on=as_of.date(),
        )
        found = list_prices_of_listing(snapshot, listing, query)
        if found is None:
            rows = snapshot.list_prices(named.provider, None, as_of, None)
            near = get_close_matches(
                named.provider_model_id, sorted({row.provider_model_id for row in rows}), n=5, cutoff=0.4
            )
            raise UnknownIdError(
                "list price", f"{named.provider}/{named.provider_model_id}", near, field="priced_as"
            )
        return prepare([found])


def _target(asked: float | None) -> float:
    target = DEFAULT_TARGET_MARGIN if asked is None else asked
    if not isfinite(target) or target >= 1:
        raise InvalidRequestError(
            f"target_margin is {target}; it must be below 1.", field="target_margin", accepted={"below": 1}
        )
    return target


def _compared(
    listed: Sequence[ListPriceComparison], cost: ModelledCost, target: float
) -> tuple[ComparedListing, ...]:
    priced = [row for row in ranked(listed) if row.price_per_request]
    prices = np.array([float(row.price_per_request or 0) for row in priced])
    middle = float(np.median(prices)) if prices.size else None
    scores = outlier_scores(prices) if prices.size >= LEAST_FOR_OUTLIERS else np.zeros(prices.size)
    score = {row.rank: value for row, value in zip(priced, scores.tolist(), strict=True)}
    rows = []
    for row in listed:
        price = float(row.price_per_request) if row.margin is not None and row.price_per_request else None
        apart = score.get(row.rank, 0.0) if row.rank is not None else 0.0
        rows.append(
            ComparedListing(
                listing=row,
                utilisation_at_target_margin=None
                if price is None
                else implied_utilisation(cost.cost_per_request, cost.utilisation, price, target),
                price_over_median=price / middle if price is not None and middle else None,
                outlier=None if abs(apart) <= OUTLIER_SCORE else ("dear" if apart > 0 else "cheap"),
            )
        )
    return tuple(rows)


def _explain(
    request: CompareRequest,
    compared: Sequence[ComparedListing],
    cost: ModelledCost,
    across: AcrossModels | None,
) -> tuple[str, ...]:
    sentences = []
    if request.priced_as is not None:
        sentences.append(
            f"The architecture is an assumption: that of {request.priced_as.provider_model_id} is not "
            "public, and every modelled figure here stands or falls with it."
        )
    best = next((row.listing for row in compared if row.listing.rank == 1), None)
    if best is not None and best.margin is not None and best.breakeven_utilisation is not None:
        reach = "" if best.breakeven_utilisation <= 1 else ", which no fleet reaches"
        sentences.append(
            f"The cheapest offer, {best.offer.provider}'s, leaves {best.margin:.0%} of its price on this mix "
            f"at {cost.utilisation:.0%} utilisation; it breaks even at "
            f"{best.breakeven_utilisation:.0%}{reach}."
        )
    apart = [row.listing.offer.provider for row in compared if row.outlier is not None]
    if apart:
        sentences.append(f"Apart from the other prices: {', '.join(apart)}.")
    if across is not None and across.listed_over_modelled_median is not None:
        sentences.append(
            f"Over {across.compared} models the listed output:input ratio is "
            f"{across.listed_ratio_median:.3g} in the median and the modelled one "
            f"{across.modelled_ratio_median:.3g}; their ranks correlate at {across.rank_correlation:.2f}."
        )
    return tuple(sentences)
