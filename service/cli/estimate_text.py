"""An estimate as a page of plain text for a person."""

from collections.abc import Iterator

from service.application.answers import (
    Bound,
    EstimateAnswer,
    ListPriceComparison,
    OperatingPoint,
    Rate,
)
from service.application.requests import EstimateRequest, WorkloadClass
from service.application.spreads import factor_90
from service.application.uncertainty_answers import PriceSpread
from service.cli.answer_pages import paragraph, sources
from service.cli.cost_parts_text import cost_bases_text, resource_prices_text, splits_text
from service.cli.pool_text import pools_heading, pools_price, pools_text
from service.cli.tables import amount, duration, figure, gigabytes, pairs, percent, table

_LIST_TITLES = (
    "provider",
    "model id",
    "",
    "input",
    "cached",
    "output",
    "out:in",
    "margin",
    "even at",
)


def estimate_text(answer: EstimateAnswer) -> str:
    """Return the whole page, sections parted by empty lines."""
    return "\n\n".join(section for section in _sections(answer) if section)


def _sections(answer: EstimateAnswer) -> Iterator[str]:
    yield _heading(answer)
    yield _rates(answer)
    yield _rates_by_class(answer)
    yield splits_text(answer)
    yield cost_bases_text(answer)
    yield resource_prices_text(answer)
    yield _energy(answer)
    yield pools_text(answer)
    yield f"Steady state of one {_unit(answer)}\n" + pairs(_state(answer))
    yield _uncertainty(answer)
    yield "What limits a step\n" + table(
        ("step", "bound by", "time", "FLOP/byte", "ridge", "MFU", "MBU"),
        [_bound_row(bound) for bound in answer.bounds],
    )
    yield _list_prices(answer)
    yield paragraph("Why", answer.explanation)
    yield paragraph("Mind", answer.warnings)
    yield sources(answer.provenance, answer.digest, answer.resolved.defaulted)


def _unit(answer: EstimateAnswer) -> str:
    return "replica" if answer.pools is None else "decode worker"


def _heading(answer: EstimateAnswer) -> str:
    hourly = amount(answer.cost_per_accelerator_hour)
    if answer.pools is not None:
        hourly = pools_price(answer.pools)
    price = f"{answer.currency} {hourly} per accelerator-hour"
    where = f"{answer.accelerators_per_replica} x {answer.accelerator}"
    lines = [
        f"{answer.model} on {where if answer.pools is None else pools_heading(answer.pools)}",
        f"{price}, {percent(answer.operating_point.utilisation)} of it at work",
        *_workload_lines(answer.resolved),
    ]
    return "\n".join(lines)


def _workload_lines(request: EstimateRequest) -> Iterator[str]:
    classes = request.workload or ()
    for item in classes:
        yield _lengths(item) if len(classes) == 1 else f"{item.name}: {_lengths(item)}"


def _lengths(item: WorkloadClass) -> str:
    if item.sample is not None:
        return f"a sample of {len(item.sample)} requests"
    cached = f", {percent(item.cached_share)} of it cached" if item.cached_share else ""
    return f"{item.input_tokens} tokens in{cached}, {item.output_tokens} out"


def _rates(answer: EstimateAnswer) -> str:
    resources = list(answer.rates[0].share_by_resource) if answer.rates else []
    titles = ("token", f"{answer.currency} per million", "tokens a request", *resources)
    rows = [
        (
            _kind(rate),
            figure(rate.per_million_tokens),
            figure(rate.tokens_per_request),
            *(percent(rate.share_by_resource.get(name)) for name in resources),
        )
        for rate in answer.rates
    ]
    check = answer.conservation
    return "\n".join(
        [
            f"Cost (split: {answer.split})",
            table(titles, rows),
            f"output : input = {figure(answer.output_to_input_ratio, 3)}",
            f"a request costs {check.currency} {figure(check.bill_per_request, 6)}; "
            f"tokens x rates give {figure(check.sum_per_request, 6)}",
        ]
    )


def _rates_by_class(answer: EstimateAnswer) -> str:
    if len({rate.class_name for rate in answer.rates_by_class}) < 2:
        return ""
    rows = [
        (
            str(rate.class_name),
            _kind(rate),
            figure(rate.per_million_tokens),
            figure(rate.tokens_per_request),
        )
        for rate in answer.rates_by_class
    ]
    return "By class\n" + table(
        ("class", "token", f"{answer.currency} per million", "tokens a request"), rows
    )


def _energy(answer: EstimateAnswer) -> str:
    """Return joules by kind of token, and what a request draws by part."""
    energy = answer.energy
    rows = [
        (
            _kind(rate),
            figure(energy.joules_per_token[rate.kind]),
            figure(energy.facility_joules_per_token[rate.kind]),
        )
        for rate in answer.rates
    ]
    parts = ", ".join(f"{name} {figure(joules)}" for name, joules in energy.joules_per_request.items())
    around = f"host {figure(energy.host_watts)} W, network {figure(energy.network_watts)} W"
    return "\n".join(
        [
            f"Energy (power assumed, in 8 of 10 cases within x{figure(factor_90(energy.log_spread), 3)})",
            table(("token", "joules, accelerators", "joules, facility"), rows),
            f"an accelerator draws {figure(energy.working_watts)} W at work, "
            f"{figure(energy.waiting_watts)} W waiting; beside it {around}; "
            f"PUE {figure(energy.power_usage_effectiveness)}",
            f"joules a request: {parts}",
        ]
    )


def _uncertainty(answer: EstimateAnswer) -> str:
    """Return the intervals of the headline figures, one a line."""
    found = answer.uncertainty
    if found is None:
        return ""
    rows = [
        (name, figure(item.p10), figure(item.p50), figure(item.p90)) for name, item in found.figures.items()
    ]
    price = f"{found.price.currency} {figure(found.price.lowest)} to {figure(found.price.highest)} per hour"
    lines = [
        f"How sure ({found.samples} samples, seed {found.seed}; calibration {found.calibration_level})",
        table(("figure", "P10", "P50", "P90"), rows),
        f"spread of ln: TPOT {figure(found.tpot_log_spread, 3)}, TTFT {figure(found.ttft_log_spread, 3)}, "
        f"power {figure(found.power_log_spread, 3)}; price {price} over {found.price.rows} rows",
    ]
    if found.prefill_log_spread is not None:
        lines.append(_prefill_spread(found.prefill_log_spread, found.prefill_price))
    if found.utilisation_low is not None:
        ends = f"{percent(found.utilisation_low)} to {percent(found.utilisation_high)}"
        lines.append(f"utilisation {ends}")
    if found.overloaded_share > 0:
        lines.append(f"{percent(found.overloaded_share)} of the samples cannot serve these arrivals")
    return "\n".join(lines)


def _prefill_spread(log_spread: float, price: PriceSpread | None) -> str:
    prices = "the same price"
    if price is not None:
        ends = f"{price.currency} {figure(price.lowest)} to {figure(price.highest)} per hour"
        prices = f"price {ends} over {price.rows} rows"
    return f"prefill pool: spread of ln of its steps {figure(log_spread, 3)}; {prices}"


def _kind(rate: Rate) -> str:
    return rate.kind.replace("_", " ")


def _state(answer: EstimateAnswer) -> list[tuple[str, str]]:
    latency, throughput, memory = answer.latency, answer.throughput, answer.memory
    speed = figure(latency.interactivity_tokens_per_second, 3)
    return [
        ("decoding together", _batch(answer.operating_point)),
        ("requests", _load(answer.operating_point, _unit(answer))),
        (
            "first token",
            f"{duration(latency.ttft_seconds)} (waiting {duration(latency.ttft_waiting_seconds)}, "
            f"prefill {duration(latency.ttft_prefill_seconds)}, p99 {duration(latency.ttft_p99_seconds)})",
        ),
        (
            "each further token",
            f"{duration(latency.tpot_seconds)} = {speed} a second "
            f"({duration(latency.inter_token_mixed_step_seconds)} in a step that carries a prompt)",
        ),
        ("whole request", duration(latency.end_to_end_seconds)),
        (
            "output tokens/s",
            f"{figure(throughput.output_tokens_per_second)}, "
            f"{figure(throughput.output_tokens_per_second_per_accelerator)} of each accelerator",
        ),
        ("use of peaks", f"FLOP/s {percent(answer.mfu)}, memory bandwidth {percent(answer.mbu)}"),
        (
            "memory",
            f"{gigabytes(memory.weights_bytes)} weights + {gigabytes(memory.cache_bytes)} cache "
            f"of {gigabytes(memory.usable_bytes)} usable, room for {figure(memory.max_batch)} sequences",
        ),
    ]


def _batch(point: OperatingPoint) -> str:
    return f"{figure(point.batch)} sequences, held there by {point.limited_by.replace('_', ' ')}"


def _load(point: OperatingPoint, unit: str) -> str:
    text = f"{figure(point.concurrency)} in flight, {figure(point.requests_per_second)} a second"
    return text if point.replicas == 1 else f"{text}, over {point.replicas} {unit}s"


def _bound_row(bound: Bound) -> tuple[str, ...]:
    return (
        bound.step,
        bound.resource,
        duration(bound.seconds),
        figure(bound.flop_per_byte, 3),
        figure(bound.ridge_flop_per_byte, 3),
        percent(bound.mfu),
        percent(bound.mbu),
    )


def _list_prices(answer: EstimateAnswer) -> str:
    """Return the providers of this very model, those of a quantised one apart, the rest as a count."""
    if not answer.list_prices:
        return "List prices\n  No provider in the catalog lists this model."
    lines = ["List prices per million tokens; margin on this mix, and the utilisation at which it is nil"]
    for relation, title in (("same", ""), ("quantised", "quantised")):
        items = [item for item in answer.list_prices if item.offer.relation == relation]
        if items:
            lines += [f"{title}:"] if title else []
            lines.append(table(_LIST_TITLES, [_list_price_row(item) for item in items]))
    others = [item for item in answer.list_prices if item.offer.relation not in ("same", "quantised")]
    if others:
        lines.append(f"and {len(others)} listings of models derived from it (--json)")
    return "\n".join(lines)


def _list_price_row(item: ListPriceComparison) -> tuple[str, ...]:
    even = "never" if (item.breakeven_utilisation or 0) > 1 else percent(item.breakeven_utilisation)
    offer = item.offer
    return (
        offer.provider if offer.routed_from is None else f"{offer.provider} (routes {offer.routed_from})",
        offer.provider_model_id,
        offer.currency,
        amount(offer.input_per_million),
        amount(offer.cached_input_per_million),
        amount(offer.output_per_million),
        figure(offer.output_to_input_ratio, 3),
        percent(item.margin),
        even,
    )
