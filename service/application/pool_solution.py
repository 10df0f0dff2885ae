"""A request with separate pools at its operating point: what each pool does and what it is paid for."""

from dataclasses import dataclass, replace

import numpy as np

from service.application.deployment import MAX_ACCELERATORS, Deployment
from service.application.errors import InvalidRequestError, LimitExceededError
from service.application.gpu_price import ChosenPrice
from service.application.pool_request import NOT_WITH_POOLS, PooledRequest, of_prefill
from service.application.rate_rows import apply_increment
from service.economics.rates import Bill, bill
from service.engine.attribution import (
    OUTPUT,
    UNCACHED,
    Attribution,
    Subject,
    attribute,
    busy_seconds,
)
from service.engine.disaggregation import Side, Transfer, handed_over, transfer_between
from service.engine.load import Load, make_load
from service.engine.memory import plan_memory
from service.engine.operating_point import Limits, Replica
from service.engine.pool_points import PoolPoint, solve_cheapest, solve_in_flight, solve_rate
from service.engine.pools import Plant, Sizing
from service.engine.prefill_pool import PrefillWorker
from service.engine.spans import Array
from service.engine.speculation import serve
from service.engine.units import SECONDS_PER_HOUR
from service.engine.workload import CachedLimit, Mix, Moments, reduce_mix


@dataclass(frozen=True)
class PoolPart:
    """One pool at the operating point."""

    deployment: Deployment
    price: ChosenPrice
    subject: Subject
    attribution: Attribution
    workers: float
    capacity: float
    """Requests per second."""
    working_seconds: float
    """Of its workers for one request of the whole."""
    paid_seconds: float
    bill: Bill

    @property
    def accelerators(self) -> float:
        """Of all workers."""
        return self.workers * self.deployment.layout.accelerators


@dataclass(frozen=True)
class PooledSolution:
    """Both pools at one operating point."""

    request: PooledRequest
    plant: Plant
    transfer: Transfer
    point: PoolPoint
    moments: Moments
    """Of all requests, as the caller has them."""
    prefill: PoolPart
    decode: PoolPart
    utilisation: float
    """Share of paid time in which the deployment works; under arrivals that of the decode pool."""

    @property
    def bill(self) -> Bill:
        """What one request costs in both pools."""
        return Bill(
            self.prefill.bill.per_request + self.decode.bill.per_request,
            self.prefill.bill.accelerator_seconds_per_request
            + self.decode.bill.accelerator_seconds_per_request,
        )


def solve_pools(request: PooledRequest) -> PooledSolution:
    """Solve the operating point of a resolved request with pools and split both pools' time.

    Raises
    ------
    InvalidRequestError, LimitExceededError, EngineError
        A mix that decodes nothing, too many accelerators, no operating point.
    """
    plant, moments, transfer = _plant(request)
    point = _point(request, plant)
    _check_size(request, point)
    whole, rate = request.whole, point.requests_per_second
    arrivals = whole.point.kind == "arrival_rate"
    at_work = 1.0 if arrivals else whole.request.utilisation or 1.0
    view = whole.request.kv_view or "by_pass"

    def part(
        machine: tuple[Deployment, ChosenPrice], subject: Subject, figures: tuple[float, float, float]
    ) -> PoolPart:
        deployment, price = machine
        workers, capacity, working = figures
        accelerators = workers * deployment.layout.accelerators
        return PoolPart(
            deployment=deployment,
            price=price,
            subject=subject,
            attribution=attribute(subject, view),
            workers=workers,
            capacity=capacity,
            working_seconds=working,
            paid_seconds=workers / (rate * at_work),
            bill=bill(accelerators, float(price.amount) / SECONDS_PER_HOUR, rate, at_work),
        )

    prefilling, decoding = _subjects(request, plant, point, moments)
    prefill = part(
        (request.prefill, request.prefill_price),
        prefilling,
        (point.workers.prefill, point.prefill_capacity, sum(busy_seconds(prefilling))),
    )
    decode = part(
        (whole.deployment, whole.price),
        decoding,
        (point.workers.decode, point.decode_capacity, _decoding_seconds(plant, point, decoding)),
    )
    utilisation = rate / point.decode_capacity if arrivals else at_work
    return PooledSolution(request, plant, transfer, point, moments[0], prefill, decode, utilisation)


_AllMoments = tuple[Moments, Moments, Moments]
"""Of all requests; of their prefill; of those that decode, as the caller has them."""


def _plant(request: PooledRequest) -> tuple[Plant, _AllMoments, Transfer]:
    whole, mix = request.whole, request.whole.mix
    sender, receiver = request.prefill, whole.deployment
    alone = replace(mix, output_tokens=np.ones_like(mix.output_tokens))
    share, decoding = _decoding(mix)
    # Every prompt comes with its keys: to a decode worker all of it is cached.
    handed = replace(decoding, cached_tokens=decoding.input_tokens - 1.0)
    prefill_moments = _reduced(alone, sender)
    prefill_load = serve(sender.table, prefill_moments)
    handed_moments = _reduced(handed, receiver)
    decode_load = handed_over(serve(receiver.table, handed_moments))
    transfer = transfer_between(
        Side(sender.table, make_load(sender.table, handed_moments), _link(sender)),
        Side(receiver.table, decode_load, _link(receiver)),
    )
    plant = Plant(
        decode=Replica(receiver.table, decode_load, receiver.policy, transfer.seconds),
        prefill=_prefill_worker(sender, prefill_load, transfer, share),
        decoding_share=share,
        transfer_seconds=transfer.seconds,
        prefill_cost=_worker_price(sender, request.prefill_price) / _worker_price(receiver, whole.price),
        received_per_second=transfer.received_per_second,
    )
    return plant, (_reduced(mix, receiver), prefill_moments, _reduced(decoding, receiver)), transfer


def _prefill_worker(deployment: Deployment, load: Load, transfer: Transfer, share: float) -> PrefillWorker:
    """Return a worker; only the ``share`` of requests that decode sends its cache on."""
    replica = Replica(deployment.table, load, deployment.policy)
    memory = of_prefill(lambda: plan_memory(deployment.table, load, deployment.policy))
    return PrefillWorker(replica, memory, transfer.seconds, transfer.sent_per_second / share)


def _worker_price(deployment: Deployment, price: ChosenPrice) -> float:
    return deployment.layout.accelerators * float(price.amount)


def _reduced(mix: Mix, deployment: Deployment) -> Moments:
    policy = deployment.policy
    whole = float("inf") if policy.token_budget_covers_prompt else float(policy.token_budget)
    return reduce_mix(mix, deployment.table.spans, whole)


def _link(deployment: Deployment) -> float:
    spec, calibration = deployment.accelerator.spec, deployment.calibration
    return spec.scale_out_bandwidth_bytes_per_second * calibration.scale_out_efficiency


def _decoding(mix: Mix) -> tuple[float, Mix]:
    """Return the share of requests that decode, and the mix of those alone."""
    weight = np.where(mix.output_tokens > 1.0, mix.weight, 0.0)
    share = float(weight.sum())
    if share <= 0:
        raise InvalidRequestError(
            "Every request has one output token, which comes from prefill: the decode pool has nothing to "
            "do. Leave pools out, or give longer outputs.",
            field="workload.classes",
            code=NOT_WITH_POOLS,
        )
    return share, replace(mix, weight=weight / share)


def _point(request: PooledRequest, plant: Plant) -> PoolPoint:
    point = request.whole.point
    sizing = Sizing(request.workers, request.load)
    limits = Limits(point.max_ttft_seconds, point.max_tpot_seconds, point.statistic or "mean")
    if point.kind == "concurrency":
        return solve_in_flight(plant, sizing, point.concurrency or 1.0)
    if point.kind == "cheapest":
        return solve_cheapest(plant, sizing, limits)
    return solve_rate(plant, sizing, point.requests_per_second or 0.0, limits)


def _check_size(request: PooledRequest, point: PoolPoint) -> None:
    workers = point.workers
    total = workers.prefill * request.prefill.layout.accelerators
    total += workers.decode * request.whole.deployment.layout.accelerators
    if total > MAX_ACCELERATORS:
        raise LimitExceededError(
            f"The pools have {total:.9g} accelerators ({workers.prefill:.9g} prefill and "
            f"{workers.decode:.9g} decode workers); at most {MAX_ACCELERATORS} are accepted.",
            field="pools",
            accepted={"maximum_accelerators": MAX_ACCELERATORS},
        )


def _subjects(
    request: PooledRequest, plant: Plant, point: PoolPoint, moments: _AllMoments
) -> tuple[Subject, Subject]:
    """Return what is split in each pool: prefill as the caller's prompts, decode by whose keys it reads."""
    _, prefilled, decoded = moments
    prefill, decode = plant.prefill, plant.decode
    state = prefill.state_at(np.array([point.requests_per_second / point.workers.prefill]))
    # A first cached token is read by prefill in its own pool alone.
    limit = decoded.cached_limit
    nothing = np.zeros_like(limit.chunk_reads)
    decoded = replace(decoded, cached_limit=CachedLimit(nothing, limit.decode_pairs, nothing))
    return (
        Subject(prefill.replica.table, prefill.replica.load, prefilled, state),
        Subject(decode.table, decode.load, decoded, point.flow.state),
    )


def _decoding_seconds(plant: Plant, point: PoolPoint, subject: Subject) -> float:
    """Return the seconds that decode workers work for one request of all."""
    paid = point.workers.decode / point.requests_per_second
    if point.limited_by == "arrivals":
        # Between arrivals they wait.
        return min(plant.decoding_share * sum(busy_seconds(subject)), paid)
    return paid * min(float(point.flow.busy[0]), 1.0)


def pool_shares(solution: PooledSolution) -> tuple[Array, Array]:
    """Return who pays for the time of each pool, (9, 3, K, 4) each, sums 1, under the rule asked for."""
    parts = solution.prefill.attribution.shares, solution.decode.attribution.shares
    if solution.request.whole.request.split != "phase":
        return parts
    # By phase prefill's time is input's and decode's is output's; kinds of input keep their proportion.
    wanted = parts[0].sum(axis=(0, 2, 3))
    wanted[OUTPUT] = 0.0
    wanted = wanted / wanted.sum() if wanted.sum() > 0 else np.eye(3)[UNCACHED]
    return apply_increment(parts[0], wanted), apply_increment(parts[1], np.eye(3)[OUTPUT])
