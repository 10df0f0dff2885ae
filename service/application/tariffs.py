"""The use case of tariffs: fair linear rates for a mix, and what any rates do to its requests."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from service.application.answer_sources import digest_of, provenance_of
from service.application.answers import Conservation
from service.application.curve_positions import units_of
from service.application.digests import digest_with
from service.application.errors import InvalidRequestError
from service.application.estimate import (
    Estimator,
    Solution,
    point_of,
    solve_resolved,
    split_of,
)
from service.application.list_comparison import Prepared
from service.application.ports import CatalogSnapshot
from service.application.rate_rows import KIND_NAMES, mix_rates
from service.application.render import plain_request, request_to_json_values
from service.application.requests import EstimateRequest
from service.application.tariff_answers import (
    LongOutput,
    MarginSpread,
    MixSummary,
    TariffAnswer,
    TransferRow,
)
from service.application.tariff_parts import (
    cached_pricing,
    costs_of,
    kept_prefix,
    long_output,
    require_currency,
    subscription,
)
from service.application.tariff_requests import PriceSheet, TariffRequest
from service.application.traces import Trace, TraceLimits, read_trace
from service.economics.rates import Array
from service.economics.tariff import (
    QUANTILES,
    Ledger,
    Margins,
    bands,
    fair_tariff,
    margins_under,
    transfers,
)
from service.engine.units import TOKENS_PER_MILLION
from service.engine.workload import make_mix

BANDS = 5


class TariffMaker:
    """Makes tariffs with what an estimator keeps."""

    def __init__(self, estimator: Estimator) -> None:
        self._estimator = estimator

    def make(self, request: TariffRequest, snapshot: CatalogSnapshot, now: datetime) -> TariffAnswer:
        """Make the fair tariff of a mix.

        Raises
        ------
        ApplicationError, EngineError
            Everything a readable request can get wrong, infeasible included.
        """
        solution, trace = self._solve(request, snapshot, now)
        units, resolved = units_of(solution), solution.resolved
        mix = resolved.mix
        rows = np.stack((mix.input_tokens, mix.cached_tokens, mix.output_tokens), axis=1)
        tokens = np.stack((rows[:, 0] - rows[:, 1], rows[:, 1], rows[:, 2]), axis=1)
        ledger = Ledger(tokens, costs_of(solution, units, rows), mix.weight)
        shapley = np.array([rate.per_million_tokens for rate in mix_rates(split_of(solution, "shapley")[0])])
        fair = fair_tariff(ledger, shapley / TOKENS_PER_MILLION)
        groups = _groups(solution, ledger)
        sheets = _sheets(request.prices, (fair, shapley / TOKENS_PER_MILLION), resolved.price.currency)
        sheets += _listed(self._estimator.listings(resolved, snapshot), resolved.price.currency)
        spreads = tuple(_spread(name, source, rates, (ledger, groups)) for name, source, rates in sheets)
        long = long_output(solution, fair, request.long_output_tokens)
        wanted = _wanted(request)
        return TariffAnswer(
            model=resolved.deployment.model_id,
            accelerator=resolved.deployment.accelerator.id,
            currency=resolved.price.currency,
            mix=_summary(ledger, trace),
            fair_per_million_tokens=_per_million(fair),
            output_to_input_ratio=float(fair[2] / fair[0]) if fair[0] > 0 else None,
            cost_per_request=solution.bill.per_request,
            recovery=_recovery(ledger, fair, solution),
            spreads=spreads,
            long_output=long,
            cached=cached_pricing(solution, units),
            prefix=None if request.prefix is None else kept_prefix(solution, units, request.prefix),
            subscription=None
            if request.subscription is None
            else subscription(solution, request.subscription),
            operating_point=point_of(solution),
            explanation=_explain(spreads[0], long, resolved.price.currency),
            warnings=resolved.deployment.warnings,
            provenance=provenance_of(resolved, snapshot, now, ("P4", "P7", "T1-T4")),
            resolved={**_estimate_part(resolved.request, trace), **wanted},
            digest=digest_with(digest_of(resolved), wanted),
        )

    def _solve(
        self, request: TariffRequest, snapshot: CatalogSnapshot, now: datetime
    ) -> tuple[Solution, Trace | None]:
        """Solve the operating point of the workload, or of the trace in its place."""
        asked = request.trace
        if asked is None:
            return self._estimator.solve(request.estimate, snapshot, now), None
        if request.estimate.workload is not None:
            raise InvalidRequestError(
                "workload and trace both give the mix; give one of the two.", field="trace"
            )
        resolved = self._estimator.resolve(request.estimate, snapshot, now)
        limits = TraceLimits(
            context_tokens=resolved.deployment.work.max_context_tokens,
            cache=asked.cache or "prefix",
            cache_blocks=asked.cache_blocks,
        )
        trace = read_trace(asked.text, asked.format, limits)
        count = trace.requests.shape[0]
        mix = make_mix(trace.requests, np.zeros(count, dtype=np.intp), np.ones(count))
        return solve_resolved(replace(resolved, mix=mix, class_names=("trace",))), trace


def _wanted(request: TariffRequest) -> dict[str, object]:
    """Return what was asked beside the estimate; a trace is told by its digest, not repeated."""
    wanted: dict[str, object] = {"prices": [plain_request(sheet) for sheet in request.prices]}
    for name in ("long_output_tokens", "prefix", "subscription"):
        value = getattr(request, name)
        if value is not None:
            wanted[name] = plain_request(value)
    trace = request.trace
    if trace is not None:
        wanted["trace"] = {
            "format": trace.format,
            "cache": trace.cache or "prefix",
            "cache_blocks": trace.cache_blocks,
            "sha256": hashlib.sha256(trace.text.encode("utf-8", "surrogatepass")).hexdigest(),
        }
    return wanted


def _estimate_part(request: EstimateRequest, trace: Trace | None) -> dict[str, object]:
    body = request_to_json_values(request)
    if trace is not None:
        del body["workload"]
        body["defaulted"] = [path for path in body["defaulted"] if path != "workload"]
    return body


def _summary(ledger: Ledger, trace: Trace | None) -> MixSummary:
    fresh, cached, output = ledger.mean_tokens.tolist()
    return MixSummary(
        requests=int(ledger.cost.size),
        mean_input_tokens=fresh + cached,
        mean_cached_tokens=cached,
        mean_output_tokens=output,
        cached_share=cached / (fresh + cached),
        bad_lines=0 if trace is None else trace.bad_count,
        first_bad_lines=() if trace is None else tuple(f"line {one.line}: {one.reason}" for one in trace.bad),
    )


def _per_million(rates: Array) -> Mapping[str, float]:
    return dict(zip(KIND_NAMES, (rates * TOKENS_PER_MILLION).tolist(), strict=True))


def _recovery(ledger: Ledger, rates: Array, solution: Solution) -> Conservation:
    revenue, bill = float(ledger.mean_tokens @ rates), solution.bill.per_request
    return Conservation(bill, revenue, abs(revenue / bill - 1.0), solution.resolved.price.currency)


Sheet = tuple[str, str, Array]


def _sheets(stated: Sequence[PriceSheet], own: tuple[Array, Array], currency: str) -> list[Sheet]:
    fair, shapley = own
    sheets: list[Sheet] = [("fair", "fair", fair), ("shapley", "shapley", shapley)]
    for number, one in enumerate(stated):
        require_currency(one.currency, currency, f"prices.{number}.currency")
        cached = one.input if one.cached_input is None else one.cached_input
        rates = np.array([float(one.input), float(cached), float(one.output)]) / TOKENS_PER_MILLION
        if rates.sum() <= 0:
            raise InvalidRequestError(
                f"The prices {one.name!r} are all zero; nothing is earned.", field=f"prices.{number}"
            )
        sheets.append((one.name, "stated", rates))
    return sheets


def _listed(listings: Sequence[Prepared], currency: str) -> list[Sheet]:
    """Return the list prices that providers ask for the model in the currency of the cost."""
    sheets: list[Sheet] = []
    for one in listings:
        if one.by_request is None or one.offer.currency != currency or not any(one.by_request):
            continue
        rates = np.array([float(amount) for amount in one.by_request]) / TOKENS_PER_MILLION
        sheets.append((f"{one.offer.provider}/{one.offer.provider_model_id}", "list", rates))
    return sheets


Groups = tuple[npt.NDArray[np.intp], tuple[str, ...]]


def _groups(solution: Solution, ledger: Ledger) -> Groups:
    """Return the classes of the mix, or bands of total length where it is one class."""
    mix, names = solution.resolved.mix, solution.resolved.class_names
    if mix.classes > 1:
        starts = np.zeros(mix.weight.size, dtype=np.intp)
        starts[mix.class_start[1:]] = 1
        return np.cumsum(starts), names
    length = ledger.tokens.sum(axis=1)
    band, edges = bands(length, ledger.weight, BANDS)
    return band, tuple(f"up to {edge:.0f} tokens" for edge in edges)


def _spread(name: str, source: str, rates: Array, mix: tuple[Ledger, Groups]) -> MarginSpread:
    ledger, (group, names) = mix
    under: Margins = margins_under(ledger, rates)
    rows = [
        TransferRow(
            group=label,
            share_of_requests=row.share_of_requests,
            share_of_cost=row.share_of_cost,
            share_of_revenue=row.share_of_revenue,
            subsidy=row.share_of_revenue - row.share_of_cost,
            mean_input_tokens=row.mean_tokens[0] + row.mean_tokens[1],
            mean_output_tokens=row.mean_tokens[2],
        )
        for label, row in zip(names, transfers(ledger, rates, group), strict=False)
    ]
    labels = [f"p{100 * at:g}" for at in QUANTILES]
    return MarginSpread(
        name=name,
        source=source,
        per_million_tokens=_per_million(rates),
        margin=under.total,
        losing_share=under.losing_share,
        losing_cost_share=under.losing_cost_share,
        margin_quantiles=dict(zip(labels, under.quantiles.tolist(), strict=True)),
        spread_over_mean_cost=under.spread,
        moved_by_exact_prices=under.moved,
        transfers=tuple(rows),
    )


def _explain(fair: MarginSpread, long: LongOutput, currency: str) -> tuple[str, ...]:
    rates = fair.per_million_tokens
    sentences = [
        f"The fair rates are {currency} {rates['uncached_input']:.4g}, {rates['cached_input']:.4g} and "
        f"{rates['output']:.4g} per million uncached input, cached input and output tokens; "
        f"{fair.losing_share:.0%} of the requests then cost more than they bring, and "
        f"{fair.moved_by_exact_prices:.1%} of the cost would change payer under exact prices."
    ]
    ranked = sorted(fair.transfers, key=lambda row: row.subsidy)
    if len(ranked) > 1 and ranked[-1].subsidy > 0:
        sentences.append(
            f"Under them '{ranked[-1].group}' pays {ranked[-1].subsidy:.2%} of all revenue more than it "
            f"costs, '{ranked[0].group}' {-ranked[0].subsidy:.2%} less."
        )
    if long.surcharge_here is not None:
        alone = "" if long.surcharge_alone is None else f", {long.surcharge_alone:+.0%} served alone"
        sentences.append(
            f"A request with {long.output_tokens} output tokens needs {long.surcharge_here:+.0%} on the "
            f"output rate among this mix{alone}."
        )
    return tuple(sentences)
