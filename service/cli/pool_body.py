"""Options of ``pertoken estimate`` on separate pools as the part of the body that they spell."""

from collections.abc import Mapping
from typing import Any

from service.cli.estimate_body import body_of, merge_part, object_in
from service.cli.pool_options import PooledEstimateOptions


def pooled_body_of(options: PooledEstimateOptions) -> dict[str, Any]:
    """Return the body that the options spell, pools included, on top of the file of ``--request``.

    Raises
    ------
    InvalidRequestError
        Where a file cannot be read, options contradict each other, or something else stands in their place.
    """
    body = body_of(options)
    prefill = _stated(
        accelerator=options.prefill_accelerator,
        workers=options.prefill_workers,
        load=options.prefill_load,
    )
    parts = {
        "layout": {name: getattr(options, f"prefill_{name}") for name in _AXES},
        "formats": {"precision": options.prefill_precision},
        "serving": {"engine": options.prefill_engine},
        "price": _price(options, body),
    }
    decode = _stated(workers=options.decode_workers)
    given = {name: stated for name, values in parts.items() if (stated := _stated(**values))}
    if not (options.pools or prefill or decode or given):
        return body
    pools = dict(object_in(body, "pools"))
    if prefill or given:
        inside = dict(object_in(pools, "prefill", "pools.prefill")) | prefill
        for name, values in given.items():
            merge_part(inside, name, values, f"pools.prefill.{name}")
        pools["prefill"] = inside
    if decode:
        merge_part(pools, "decode", decode, "pools.decode")
    body["pools"] = pools
    return body


_AXES = ("tp", "pp", "attention_dp", "moe_ep")


def _price(options: PooledEstimateOptions, body: Mapping[str, Any]) -> dict[str, Any]:
    amount = options.prefill_price_per_gpu_hour
    price = body.get("price")
    # One currency for both pools: the one of the decode workers' price.
    currency = price.get("currency") if amount is not None and isinstance(price, dict) else None
    return {"amount": amount, "provider": options.prefill_provider, "currency": currency}


def _stated(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
