"""Parts of an estimate's page for those who ask: bases, the fleet, splits side by side, resource prices."""

from service.application.answers import EstimateAnswer
from service.cli.tables import figure, pairs, percent, table

_KINDS = ("uncached_input", "cached_input", "output")


def cost_bases_text(answer: EstimateAnswer) -> str:
    """Return the bases, where costs, a load profile or a range of utilisation were stated."""
    request = answer.resolved
    if request.costs is None and request.load_profile is None and request.utilisation_range is None:
        return ""
    further = list(answer.cost_bases[0].reserved_per_request_at) if answer.cost_bases else []
    titles = ("basis", "GPU-hour", "waiting", "reserved", "active", "idle", "one more", "input", "output")
    rows = [
        (
            line.basis,
            figure(line.per_working_accelerator_hour),
            figure(line.per_waiting_accelerator_hour),
            figure(line.reserved_per_request),
            figure(line.active_per_request),
            figure(line.idle_per_request),
            figure(line.marginal_per_request),
            figure(line.per_million_tokens["uncached_input"]),
            figure(line.per_million_tokens["output"]),
            *(figure(line.reserved_per_request_at[share]) for share in further),
        )
        for line in answer.cost_bases
    ]
    at = [f"at {percent(float(share))}" for share in further]
    lines = [
        f"Cost bases, {answer.currency} per GPU-hour, per request and per million tokens",
        table((*titles, *at), rows),
    ]
    return "\n".join([*lines, *_fleet(answer)])


def _fleet(answer: EstimateAnswer) -> list[str]:
    fleet = answer.fleet
    if fleet is None:
        return []
    replicas = f"{figure(min(fleet.replicas))} to {figure(max(fleet.replicas))}"
    return [
        f"Over the day {replicas} replicas, at work {percent(fleet.utilisation)} of the time, at most "
        f"{percent(fleet.peak_utilisation)}; {percent(fleet.scaling_share)} of the requests add capacity"
    ]


def splits_text(answer: EstimateAnswer) -> str:
    """Return the rates of every rule side by side, where asked for."""
    if not answer.splits:
        return ""
    titles = (
        "split",
        "",
        "input",
        "cached",
        "output",
        "out:in",
        "adds up to",
        "for attention",
        "for requests",
    )
    rows = []
    for row in answer.splits:
        why = row.marginal
        rows.append(
            (
                row.rule,
                row.variant.replace("_", " "),
                *(figure(row.per_million_tokens[kind]) for kind in _KINDS),
                figure(row.output_to_input_ratio, 3),
                f"{100 * row.sum_over_bill:.1f} %",
                "-" if why is None else f"{100 * why.from_attention:+.1f} %",
                "-" if why is None else f"{100 * why.from_request_terms:+.1f} %",
            )
        )
    return f"Splits side by side, {answer.currency} per million tokens\n{table(titles, rows)}"


def resource_prices_text(answer: EstimateAnswer) -> str:
    """Return what resources cost at the operating point, where asked for."""
    found = answer.resource_prices
    if found is None:
        return ""
    rows = [
        (
            row.resource,
            figure(row.per_unit),
            f"per {row.unit}",
            figure(row.units_per_request),
            percent(row.share_of_bill),
        )
        for row in found.prices
    ]
    cache, held = found.kv_cache_shadow_per_gigabyte_second, found.kv_cache_gigabyte_seconds_per_request
    worth = (
        f"{figure(cache)} per GB-second; a request holds {figure(held)}"
        if cache > 0
        else f"nothing: {found.limited_by.replace('_', ' ')}, not memory, limits the batch"
    )
    return "\n".join(
        [
            f"Resources, {found.currency}",
            table(("resource", "price", "unit", "a request uses", "of the bill"), rows),
            pairs(
                [
                    ("KV cache is worth", worth),
                    ("steps wait for", f"{found.decode_bound} (decode), {found.mixed_bound} (with a prompt)"),
                ]
            ),
        ]
    )
