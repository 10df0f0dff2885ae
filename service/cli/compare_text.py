"""A comparison with list prices as a page of plain text for a person."""

from collections.abc import Iterator

from service.application.compare_answers import AcrossModels, CompareAnswer, ComparedListing, ListedRatio
from service.cli.answer_pages import heading, paragraph, sources
from service.cli.tables import figure, percent, table


def compare_text(answer: CompareAnswer) -> str:
    """Return the whole page, sections parted by empty lines."""
    return "\n\n".join(section for section in _sections(answer) if section)


def _sections(answer: CompareAnswer) -> Iterator[str]:
    yield heading(answer.model, answer.accelerator, answer.operating_point)
    yield _cost(answer)
    yield _listings(answer)
    yield "" if answer.across_models is None else _across(answer.across_models)
    yield paragraph("Why", answer.explanation)
    yield paragraph("Mind", answer.warnings)
    chosen = answer.resolved.get("defaulted")
    yield sources(answer.provenance, answer.digest, chosen if isinstance(chosen, list) else [])


def _cost(answer: CompareAnswer) -> str:
    rows = [
        (rate.kind.replace("_", " "), figure(rate.per_million_tokens), figure(rate.tokens_per_request))
        for rate in answer.rates
    ]
    assumed = " of an assumed architecture" if answer.architecture_assumed else ""
    listed = answer.listed_output_to_input_ratio_median
    median = "" if listed is None else f"; listed, in the median, {figure(listed, 3)}"
    return "\n".join(
        [
            f"Modelled cost{assumed}",
            table(("token", f"{answer.currency} per million", "tokens a request"), rows),
            f"a request costs {answer.currency} {figure(answer.cost_per_request, 6)}",
            f"output : input = {figure(answer.modelled_output_to_input_ratio, 3)}{median}",
        ]
    )


def _listings(answer: CompareAnswer) -> str:
    if not answer.listings:
        return "List prices\n  No provider in the catalog lists this model."
    titles = (
        "rank", "provider", "model id", "", "a request", "margin", "input", "cached", "output",
        "even at", f"{percent(answer.target_margin)} at", "x median", "since",
    )  # fmt: skip
    return (
        "Beside list prices: margin on this mix and by meter, and the utilisation at which it is nil and "
        f"{percent(answer.target_margin)}\n" + table(titles, [_listing(row) for row in answer.listings])
    )


def _listing(row: ComparedListing) -> tuple[str, ...]:
    item, offer = row.listing, row.listing.offer
    margins = item.margin_by_kind
    routed = "" if offer.routed_from is None else f" (routes {offer.routed_from})"
    apart = "" if row.outlier is None else f" {row.outlier}"
    return (
        "-" if item.rank is None else str(item.rank),
        f"{offer.provider}{routed}",
        offer.provider_model_id + ("" if offer.relation == "same" else f" ({offer.relation})"),
        offer.currency,
        figure(None if item.price_per_request is None else float(item.price_per_request)),
        percent(item.margin),
        *(percent(margins.get(kind)) for kind in ("uncached_input", "cached_input", "output")),
        _reached(item.breakeven_utilisation),
        _reached(row.utilisation_at_target_margin),
        "-" if row.price_over_median is None else f"{figure(row.price_over_median, 3)}{apart}",
        f"{offer.valid_from:%Y-%m-%d}",
    )


def _reached(utilisation: float | None) -> str:
    return "never" if (utilisation or 0) > 1 else percent(utilisation)


def _across(across: AcrossModels) -> str:
    titles = ("model", "GPUs", "modelled", "listed", "least", "most", "listings", "margin at median")
    known = [row for row in across.models if row.infeasible is None]
    lines = [
        "Output : input over the models of the catalog",
        table(titles, [_ratio(row) for row in known]),
        f"median over {across.compared} models: modelled {figure(across.modelled_ratio_median, 3)}, "
        f"listed {figure(across.listed_ratio_median, 3)}; "
        f"rank correlation {figure(across.rank_correlation, 2)}",
    ]
    lines += [f"  {row.model}: {row.infeasible}" for row in across.models if row.infeasible is not None]
    return "\n".join(lines)


def _ratio(row: ListedRatio) -> tuple[str, ...]:
    price = row.price_per_request_median
    return (
        row.model,
        str(row.accelerators),
        figure(row.modelled_ratio, 3),
        figure(row.listed_ratio_median, 3),
        figure(row.listed_ratio_least, 3),
        figure(row.listed_ratio_most, 3),
        str(row.listings),
        "-" if price is None else percent(row.margin_at_median),
    )
