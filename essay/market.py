"""Figures about prices: linear tariffs on real traffic, and what providers list."""

from dataclasses import replace
from typing import Any

import numpy as np

from essay.claims import follow_word
from essay.lengths import read_lengths
from essay.workshop import AS_OF, LLAMA, Workshop, filled, served
from service.application.answers import ListPriceComparison
from service.application.compare_answers import AcrossModels
from service.application.list_comparison import Prepared
from service.application.tariff_answers import MarginSpread, TariffAnswer

Figures = dict[str, Any]
WHOLE = 0.01
"""A listed ratio so near a whole number counts as one."""


def market_figures(workshop: Workshop) -> Figures:
    """Return the figures of the sections on prices."""
    azure = workshop.tariff(served(LLAMA, read_lengths("azure-conversation-2023").sample))
    mooncake = workshop.tariff(served(LLAMA, read_lengths("mooncake-conversation").sample))
    compared = workshop.compare(filled(LLAMA), across=True)
    across = compared.across_models
    if across is None:
        raise ValueError("a comparison over the catalog was asked for")
    ratios = _listed_ratios(workshop)
    rows = [row for row in across.models if row.modelled_ratio and row.listed_ratio_median]
    return {
        "azure": _tariff(azure),
        "mooncake": _tariff(mooncake),
        "llama": _llama([row.listing for row in compared.listings]),
        "across": _across(across),
        "follow_word": follow_word(across.rank_correlation or 0.0),
        "listed_ratios": len(ratios),
        "whole_share": float(np.mean(np.abs(ratios - np.round(ratios)) <= WHOLE)),
        "above_modelled": sum(
            1 for row in rows if (row.listed_ratio_median or 0) > (row.modelled_ratio or 0)
        ),
        "table": [
            {
                "model": row.model,
                "accelerators": row.accelerators,
                "modelled": row.modelled_ratio,
                "listed": row.listed_ratio_median,
                "least": row.listed_ratio_least,
                "most": row.listed_ratio_most,
                "listings": row.listings,
            }
            for row in rows
        ],
        "unlisted": [
            {"model": row.model, "modelled": row.modelled_ratio}
            for row in across.models
            if row.modelled_ratio and not row.listed_ratio_median
        ],
        **_bands(workshop),
        "infeasible_words": _infeasible(across),
        "charts": {
            "listed": [
                {"model": row.model, "modelled": row.modelled_ratio, "listed": row.listed_ratio_median}
                for row in rows
            ],
            "margins": [
                row
                for name, answer in (("chat (Azure)", azure), ("chat with long prompts (Mooncake)", mooncake))
                for row in _margin_rows(answer, name)
            ],
        },
    }


def _tariff(answer: TariffAnswer) -> Figures:
    """Return what the average cost of each kind of token, asked as its price, does to single requests."""
    average = _average(answer)
    quantiles = average.margin_quantiles
    return {
        "rates": dict(average.per_million_tokens),
        "moved": average.moved_by_exact_prices,
        "p5": quantiles["p5"],
        "p95": quantiles["p95"],
        "widest": max(abs(quantiles["p5"]), abs(quantiles["p95"])),
        "long": answer.long_output.output_tokens,
        "surcharge_here": answer.long_output.surcharge_here,
        "surcharge_alone": answer.long_output.surcharge_alone,
        "recovery_error": answer.recovery.relative_difference,
    }


def _average(answer: TariffAnswer) -> MarginSpread:
    return next(spread for spread in answer.spreads if spread.name == "shapley")


def _margin_rows(answer: TariffAnswer, name: str) -> list[Figures]:
    return [
        {"share": float(label.removeprefix("p")) / 100.0, "margin": value, "trace": name}
        for label, value in _average(answer).margin_quantiles.items()
    ]


def _llama(listings: list[ListPriceComparison]) -> Figures:
    ranked = [row for row in listings if row.rank is not None]
    ratios = [
        row.offer.output_to_input_ratio for row in ranked if row.offer.output_to_input_ratio is not None
    ]
    by_kind = {
        kind: float(
            np.median([row.margin_by_kind[kind] for row in ranked if row.margin_by_kind[kind] is not None])
        )
        for kind in ("uncached_input", "output")
    }
    return {
        "listings": len(ranked),
        "ratio": float(np.median(ratios)),
        "least": min(ratios),
        "most": max(ratios),
        "margin": by_kind,
    }


def _across(across: AcrossModels) -> Figures:
    return {
        "compared": across.compared,
        "models": len(across.models),
        "modelled": across.modelled_ratio_median,
        "listed": across.listed_ratio_median,
        "correlation": across.rank_correlation,
    }


def _bands(workshop: Workshop) -> Figures:
    """Count the offers with a price, and those that ask more for input beyond some context."""
    least: dict[tuple[str, str], float] = {}
    dearer: set[tuple[str, str]] = set()
    rows = workshop.snapshot.list_prices(None, None, AS_OF, None)
    for row in sorted(rows, key=lambda row: row.selector.context_from or 0):
        if row.meter != "input":
            continue
        offer = (row.provider, row.provider_model_id)
        first = least.setdefault(offer, float(row.price.amount))
        if row.selector.context_from and float(row.price.amount) > first:
            dearer.add(offer)
    return {"priced": len(least), "banded": len(dearer)}


def _infeasible(across: AcrossModels) -> str:
    names = sorted(row.model for row in across.models if row.modelled_ratio is None)
    return f". Not fitting in its default layout: {', '.join(names)}" if names else ""


def _listed_ratios(workshop: Workshop) -> Any:
    """Return the output:input ratio of every ranked listing of every model of the catalog."""
    found = [
        prepared.offer.output_to_input_ratio
        for model in workshop.snapshot.models()
        for prepared in _ranked(workshop, model.id)
        if prepared.offer.output_to_input_ratio is not None
    ]
    return np.array(found, dtype=np.float64)


def _ranked(workshop: Workshop, model: str) -> list[Prepared]:
    resolved = workshop.estimator.resolve(
        replace(LLAMA, model=model, layout=None, formats=None), workshop.snapshot, AS_OF
    )
    listings = workshop.estimator.listings(resolved, workshop.snapshot)
    return [one for one in listings if one.ranks]
