"""A request with separate pools becomes two deployments and their prices; every default is named."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from service.application.deployment import Deployment, Deployments
from service.application.errors import ApplicationError, InvalidRequestError, UnknownIdError
from service.application.gpu_price import ChosenPrice, GpuPriceChooser
from service.application.ports import CatalogSnapshot
from service.application.requests import (
    DecodePoolRequest,
    EstimateRequest,
    FormatsRequest,
    PoolsRequest,
    PrefillPoolRequest,
    PriceRequest,
    ServingRequest,
)
from service.application.resolve import Resolved, resolve
from service.engine.errors import EngineError
from service.engine.pools import Workers

DEFAULT_PREFILL_LOAD: Final = 0.9
"""Share of its capacity at which a planned prefill pool works. aiconfigurator matches the rates of the pools
with the same factor, for the bubbles of a prefill pipeline (`_RATE_MATCHING_PREFILL_DEGRADATION_FACTOR`
in `sdk/picking.py` of github.com/ai-dynamo/aiconfigurator)."""
LEAST_LOAD: Final = 0.01
MOST_LOAD: Final = 0.99
"""At which prompts already wait for fifty others on average (equation D5)."""
MAX_WORKERS: Final = 65_536
NOT_WITH_POOLS: Final = "not-with-pools"
_REFUSED: Final = ("load_profile", "costs", "closure", "include", "utilisation_range")
_PARTS: Final = ("accelerator", "layout", "serving", "formats", "price")
_FIELD_OF_KIND: Final = {
    "accelerator": "accelerator",
    "engine": "serving.engine",
    "engine release": "serving.release",
    "format": "formats",
}
"""What an id that the catalog does not know was given as, where the catalog does not say."""
Part = TypeVar("Part")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class PooledRequest:
    """A request with both pools in full."""

    whole: Resolved
    """With the decode pool's deployment and price."""
    prefill: Deployment
    prefill_price: ChosenPrice
    workers: Workers | None
    """None where they are planned."""
    load: float
    """Largest of the prefill pool."""


def refuse_pools(request: EstimateRequest) -> None:
    """Refuse a request with pools where an answer can only be of one replica.

    Raises
    ------
    InvalidRequestError
        With the field ``pools``.
    """
    if request.pools is not None:
        raise InvalidRequestError(
            "pools are of estimates; this answer describes replicas that prefill and decode. Leave pools "
            "out, or ask for an estimate.",
            field="pools",
            code=NOT_WITH_POOLS,
        )


def resolve_pools(
    request: EstimateRequest,
    snapshot: CatalogSnapshot,
    now: datetime,
    kept: tuple[Deployments, GpuPriceChooser],
) -> PooledRequest:
    """Fill in a request with pools.

    Raises
    ------
    ApplicationError, EngineError
        Whatever the request gets wrong, with its field.
    """
    _refuse_what_has_no_pools(request)
    deployments, prices = kept
    pools = request.pools or PoolsRequest()
    asked = pools.prefill or PrefillPoolRequest()
    decode = deployments.of(request, snapshot)
    whole = resolve(request, decode, snapshot, now, prices)
    derived = _prefill_request(request, asked, decode)
    prefill = of_prefill(lambda: deployments.of(derived, snapshot))
    _check_cache(prefill, decode)
    price = of_prefill(
        lambda: _prefill_price(whole, (request.price, asked.price), prefill, (snapshot, prices))
    )
    _check_currency(price, whole.price)
    workers = _workers(asked, pools.decode)
    load = _load(whole, asked, workers)
    filled = PrefillPoolRequest(
        accelerator=prefill.accelerator.id,
        layout=prefill.layout_request,
        formats=prefill.formats_request,
        # How many decode together is a decode worker's; a prefill worker's steps end at the token budget.
        serving=replace(prefill.serving_request, max_batch=None),
        price=price.request,
        workers=asked.workers,
        load=load,
    )
    point = replace(whole.point, replicas=None)
    defaulted = {*whole.request.defaulted, *_unsaid(filled, asked, "pools.prefill")}
    resolved = replace(
        whole.request,
        operating_point=point,
        pools=PoolsRequest(filled, pools.decode),
        defaulted=tuple(sorted(defaulted - {"operating_point.replicas"})),
    )
    whole = replace(whole, request=resolved, point=point)
    return PooledRequest(whole, prefill, price, workers, load or DEFAULT_PREFILL_LOAD)


def _refuse_what_has_no_pools(request: EstimateRequest) -> None:
    point, price = request.operating_point, request.price
    pools = request.pools or PoolsRequest()
    prefill = pools.prefill or PrefillPoolRequest()
    wrong = [name for name in _REFUSED if getattr(request, name) is not None]
    if request.split == "marginal":
        wrong.append("split")
    if point is not None and point.replicas is not None:
        wrong.append("operating_point.replicas")
    for path, one in (("price", price), ("pools.prefill.price", prefill.price)):
        if one is not None and one.basis not in (None, "rental"):
            wrong.append(f"{path}.basis")
    serving = prefill.serving
    if serving is not None:
        named = {
            "draft_tokens": bool(serving.draft_tokens),
            "acceptance": serving.acceptance is not None,
            "max_batch": serving.max_batch is not None,
        }
        wrong += [f"pools.prefill.serving.{name}" for name, given in named.items() if given]
    if wrong:
        why = _HINTS.get(wrong[0].rsplit(".", 1)[-1], "not modelled")
        raise InvalidRequestError(
            f"{wrong[0]} is {why} with pools; leave it out.",
            field=wrong[0],
            code=NOT_WITH_POOLS,
            accepted={"leave_out": wrong},
        )


_HINTS: Final = {
    "split": "marginal, which is not modelled",
    "replicas": "of replicas; pools.prefill.workers and pools.decode.workers are the numbers that count",
    "basis": "not rental, and only rental is modelled",
    "draft_tokens": "of workers that decode, and not a prefill worker's,",
    "acceptance": "of workers that decode, and not a prefill worker's,",
    "max_batch": "of workers that decode, and not a prefill worker's,",
}


def _prefill_request(
    request: EstimateRequest, asked: PrefillPoolRequest, decode: Deployment
) -> EstimateRequest:
    """Return the request whose deployment is a prefill worker: the top level with what differs."""
    own_engine = asked.serving is not None and asked.serving.engine not in (None, decode.policy.name)
    serving = asked.serving if own_engine else _merged(asked.serving, request.serving)
    own_recipe = asked.formats is not None and asked.formats.precision is not None
    formats = asked.formats if own_recipe else _merged(asked.formats, request.formats)
    formats = formats or FormatsRequest()
    if formats.kv_cache is None:
        # Decode workers read what prefill workers write.
        formats = replace(formats, kv_cache=decode.formats_request.kv_cache)
    return replace(
        request,
        accelerator=asked.accelerator or request.accelerator,
        layout=_merged(asked.layout, request.layout),
        formats=formats,
        # Drafts are made by the workers that decode.
        serving=replace(serving or ServingRequest(), draft_tokens=0, acceptance=None),
        calibration=decode.calibration.name,
    )


def _merged(asked: Part | None, default: Part | None) -> Part | None:
    """Return a part with what it leaves open taken from another."""
    if asked is None or default is None:
        return asked or default
    given: dict[str, Any] = {
        item.name: getattr(asked, item.name)
        for item in fields(asked)  # type: ignore[arg-type]  # parts are dataclasses
        if getattr(asked, item.name) is not None
    }
    return replace(default, **given)  # type: ignore[type-var]


def of_prefill(make: Callable[[], Answer]) -> Answer:
    """Return what is made of the prefill pool; what it gets wrong is told under its path."""
    try:
        return make()
    except (ApplicationError, EngineError) as error:
        if isinstance(error, UnknownIdError) and not error.field:
            error.field = _FIELD_OF_KIND.get(error.kind, "")
        if error.field.split(".", 1)[0] in _PARTS:
            error.field = f"pools.prefill.{error.field}"
        raise


def _prefill_price(
    whole: Resolved,
    said: tuple[PriceRequest | None, PriceRequest | None],
    prefill: Deployment,
    catalog: tuple[CatalogSnapshot, GpuPriceChooser],
) -> ChosenPrice:
    """Return the price of a prefill worker's accelerators: the top level's with what differs.

    Those of another kind take their own row of the catalog, in the same currency and commitment.
    ``said`` is what the caller asked for of the whole and of the prefill pool.
    """
    snapshot, prices = catalog
    request, (top, asked) = whole.request, said
    if prefill.accelerator.id == whole.deployment.accelerator.id:
        if asked is None or asked == PriceRequest():
            return whole.price
        wanted = _other_price(asked, top or PriceRequest())
    else:
        wanted = asked or PriceRequest()
        if wanted.amount is None and wanted.commitment is None and request.price is not None:
            wanted = replace(wanted, commitment=request.price.commitment)
    if wanted.amount is None and wanted.currency is None:
        wanted = replace(wanted, currency=whole.price.currency)
    if request.as_of is None:
        raise ValueError("A resolved request states as_of.")
    return prices.choose(snapshot, wanted, (prefill.accelerator.id, request.as_of, request.known_at))


_ROW_FIELDS: Final = ("provider", "region", "commitment", "gpus_per_instance", "source")


def _other_price(asked: PriceRequest, top: PriceRequest) -> PriceRequest:
    """Return a price with what it leaves open taken from another, as far as the two go together.

    An amount names no row, and a row no amount; another provider has regions and sizes of its own.
    """
    names_row = any(getattr(asked, name) is not None for name in _ROW_FIELDS)
    if asked.amount is not None:
        top = replace(top, **dict.fromkeys(_ROW_FIELDS))
    elif names_row:
        top = replace(top, amount=None)
    if asked.provider not in (None, top.provider):
        top = replace(top, region=None, gpus_per_instance=None, source=None)
    return _merged(asked, top) or PriceRequest()


def _check_cache(prefill: Deployment, decode: Deployment) -> None:
    written, read = prefill.formats.kv_cache.name, decode.formats.kv_cache.name
    if written != read:
        raise InvalidRequestError(
            f"pools.prefill.formats.kv_cache is {written}, but decode workers read {read}; both pools need "
            "one format of the cache.",
            field="pools.prefill.formats.kv_cache",
            accepted={"kv_cache": read},
        )


def _check_currency(prefill: ChosenPrice, decode: ChosenPrice) -> None:
    if prefill.currency != decode.currency:
        raise InvalidRequestError(
            f"pools.prefill.price is in {prefill.currency}, price in {decode.currency}; give both in one "
            "currency.",
            field="pools.prefill.price.currency",
            code="currency-mismatch",
            accepted={"currency": decode.currency},
        )


def _workers(prefill: PrefillPoolRequest, decode: DecodePoolRequest | None) -> Workers | None:
    given = {
        "pools.prefill.workers": prefill.workers,
        "pools.decode.workers": None if decode is None else decode.workers,
    }
    for path, count in given.items():
        if count is not None and not 1 <= count <= MAX_WORKERS:
            raise InvalidRequestError(
                f"{path} is {count}; it must be from 1 to {MAX_WORKERS}.",
                field=path,
                accepted={"minimum": 1, "maximum": MAX_WORKERS},
            )
    missing = [path for path, count in given.items() if count is None]
    if len(missing) == 1:
        raise InvalidRequestError(
            f"{missing[0]} is missing; give the workers of both pools, or of none to have them planned.",
            field=missing[0],
        )
    if missing:
        return None
    return Workers(*(float(count or 0) for count in given.values()))


def _load(whole: Resolved, asked: PrefillPoolRequest, workers: Workers | None) -> float | None:
    """Return the largest load of the prefill pool; None where it follows from workers and requests."""
    follows = workers is not None and whole.point.kind != "cheapest"
    if asked.load is None:
        return None if follows else DEFAULT_PREFILL_LOAD
    if follows:
        raise InvalidRequestError(
            f"pools.prefill.load follows from the workers and {whole.point.kind}; leave one of them out.",
            field="pools.prefill.load",
            code="utilisation-is-an-output",
        )
    if not LEAST_LOAD <= asked.load <= MOST_LOAD:
        raise InvalidRequestError(
            f"pools.prefill.load is {asked.load}; it must be from {LEAST_LOAD:g} to {MOST_LOAD:g}.",
            field="pools.prefill.load",
            accepted={"minimum": LEAST_LOAD, "maximum": MOST_LOAD},
        )
    return asked.load


def _unsaid(filled: object, asked: object | None, path: str) -> list[str]:
    """Return the paths of what a filled part states and the caller did not."""
    found: list[str] = []
    for item in fields(filled):  # type: ignore[arg-type]  # parts are dataclasses
        value, said = getattr(filled, item.name), getattr(asked, item.name, None)
        here = f"{path}.{item.name}"
        if hasattr(value, "__dataclass_fields__"):
            found += _unsaid(value, said, here)
        elif value is not None and said is None:
            found.append(here)
    return found
