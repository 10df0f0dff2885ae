"""A tariff as a page of plain text for a person."""

from collections.abc import Iterator

from service.application.tariff_answers import MarginSpread, TariffAnswer
from service.cli.answer_pages import heading, paragraph, sources
from service.cli.tables import duration, figure, pairs, percent, table

_KINDS = ("uncached_input", "cached_input", "output")


def tariff_text(answer: TariffAnswer) -> str:
    """Return the whole page, sections parted by empty lines."""
    return "\n\n".join(section for section in _sections(answer) if section)


def _sections(answer: TariffAnswer) -> Iterator[str]:
    yield heading(answer.model, answer.accelerator, answer.operating_point) + "\n" + _mix(answer)
    yield _fair(answer)
    yield _spreads(answer)
    yield _transfers(answer)
    yield _cached(answer)
    yield _prefix(answer)
    yield _subscription(answer)
    yield paragraph("Why", answer.explanation)
    yield paragraph("Mind", (*answer.mix.first_bad_lines, *answer.warnings))
    chosen = answer.resolved.get("defaulted")
    yield sources(answer.provenance, answer.digest, chosen if isinstance(chosen, list) else [])


def _mix(answer: TariffAnswer) -> str:
    mix = answer.mix
    left_out = f"; {mix.bad_lines} bad lines left out" if mix.bad_lines else ""
    return (
        f"{mix.requests} requests, on average {figure(mix.mean_input_tokens)} tokens in, "
        f"{percent(mix.cached_share)} of them cached, {figure(mix.mean_output_tokens)} out{left_out}"
    )


def _fair(answer: TariffAnswer) -> str:
    fair, check = answer.fair_per_million_tokens, answer.recovery
    rows = [(name.replace("_", " "), figure(fair[name])) for name in _KINDS]
    return "\n".join(
        [
            "Fair linear tariff: recovers the cost of the mix, margins vary least",
            table(("token", f"{answer.currency} per million"), rows),
            f"output : input = {figure(answer.output_to_input_ratio, 3)}",
            f"a request costs {check.currency} {figure(check.bill_per_request, 6)}; "
            f"the tariff brings {figure(check.sum_per_request, 6)}",
        ]
    )


def _spreads(answer: TariffAnswer) -> str:
    titles = ("prices", "input", "cached", "output", "margin", "lose", "p5", "p50", "p95", "moved")
    lines = ["Margins under prices per million tokens: of the mix, and by request"]
    lines.append(table(titles, [_spread(one) for one in answer.spreads]))
    lines.append("lose: share of requests that cost more than they bring; p5 to p95: margin of a request;")
    lines.append("moved: share of the cost that exact prices of every position would move to another payer")
    return "\n".join(lines)


def _spread(one: MarginSpread) -> tuple[str, ...]:
    return (
        one.name,
        *(figure(one.per_million_tokens[name]) for name in _KINDS),
        percent(one.margin),
        percent(one.losing_share),
        *(percent(one.margin_quantiles[name]) for name in ("p5", "p50", "p95")),
        f"{100 * one.moved_by_exact_prices:.1f} %",
    )


def _transfers(answer: TariffAnswer) -> str:
    titles = ("requests", "share", "tokens in", "out", "of cost", "of revenue", "pays for others")
    rows = [
        (
            row.group,
            percent(row.share_of_requests),
            figure(row.mean_input_tokens),
            figure(row.mean_output_tokens),
            percent(row.share_of_cost),
            percent(row.share_of_revenue),
            f"{100 * row.subsidy:+.2f} %",
        )
        for row in answer.spreads[0].transfers
    ]
    return "Who pays for whom under the fair tariff\n" + table(titles, rows)


def _cached(answer: TariffAnswer) -> str:
    cached, long = answer.cached, answer.long_output
    rows = [
        (
            "a cached token",
            f"{answer.currency} {figure(cached.cached_by_pass)} per million, or "
            f"{figure(cached.cached_by_cause)} if it pays for each later read of it",
        ),
        (
            "a hit earns",
            f"{percent(cached.discount_by_pass)} off an uncached token's {figure(cached.uncached)} "
            f"({percent(cached.discount_by_cause)}); it saves {figure(cached.saved_by_a_hit)} per million",
        ),
    ]
    if long.surcharge_here is not None:
        alone = "" if long.surcharge_alone is None else f", {100 * long.surcharge_alone:+.0f} % served alone"
        rows.append(
            (
                f"{long.output_tokens} tokens out",
                f"need {100 * long.surcharge_here:+.0f} % on the output rate among this mix{alone}",
            )
        )
    elif long.infeasible is None:
        rows.append((f"{long.output_tokens} tokens out", "no surcharge: the fair tariff charges no output"))
    if long.infeasible is not None:
        rows.append((f"{long.output_tokens} tokens out", long.infeasible))
    return "Cached tokens and long outputs\n" + pairs(rows)


def _prefix(answer: TariffAnswer) -> str:
    if answer.prefix is None:
        return ""
    prefix = answer.prefix
    kept = "cost" if prefix.seconds is None else f"for {duration(prefix.seconds)}"
    titles = ("kept in", "GB", "an hour", kept, "worth it for", "reload", "note")
    rows = [
        (
            row.tier,
            figure(row.size_gigabytes),
            figure(row.per_hour),
            figure(row.cost_of_keeping),
            "ever" if row.break_even_seconds is None else duration(row.break_even_seconds),
            duration(row.reload_seconds),
            row.note,
        )
        for row in prefix.tiers
    ]
    first = (
        f"Keeping a prefix of {prefix.tokens} tokens; a hit saves {answer.currency} "
        f"{figure(prefix.saved_by_a_hit)}"
    )
    return f"{first}\n{table(titles, rows)}"


def _subscription(answer: TariffAnswer) -> str:
    plan = answer.subscription
    if plan is None:
        return ""
    cap = "not needed"
    if plan.cap_for_target is not None:
        cap = (
            f"{figure(plan.cap_for_target)} requests, which {percent(plan.share_capped)} of subscribers reach"
        )
    return f"A flat plan at {answer.currency} {figure(plan.price)}\n" + pairs(
        [
            (
                "breaks even at",
                f"{figure(plan.break_even_requests)} requests; {figure(plan.mean_requests)} on average",
            ),
            ("at a loss", f"{percent(plan.share_at_loss)} of subscribers"),
            ("margin", percent(plan.margin)),
            (f"cap for {percent(plan.target_margin)}", cap),
        ]
    )
