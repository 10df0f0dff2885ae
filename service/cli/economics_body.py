"""Options of ``pertoken curve``, ``tariff`` and ``compare`` as requests, on top of ``--request FILE``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from service.application.compare_requests import CompareRequest, PricedAs
from service.application.curve_requests import CounterfactualSpec, CurveRequest, CurveSpec
from service.application.errors import InvalidRequestError
from service.application.tariff_requests import (
    PrefixRequest,
    PriceSheet,
    SubscriptionRequest,
    TariffRequest,
    TraceRequest,
)
from service.cli.economics_options import CompareOptions, CurveOptions, TariffOptions
from service.cli.estimate_body import body_of
from service.cli.request_body import read_estimate_request, read_part, read_parts

MAX_TRACE_BYTES = 2**25
KnownAt = Callable[[str], int]
_WHAT_IF = {
    "no_kv_cache": None,
    "window": "tokens",
    "eviction": "tokens",
    "sparse_attention": "tokens",
    "kv_heads": "kv_heads",
    "kv_format": "format",
}


def curve_request(options: CurveOptions, known_at: KnownAt) -> CurveRequest:
    """Return the request that the options spell.

    Raises
    ------
    InvalidRequestError
        For what a file or an option gets wrong, with its field.
    """
    body = body_of(options)
    curve, counterfactuals = body.pop("curve", None) or {}, body.pop("counterfactuals", None) or []
    _require_object(curve, "curve")
    given = {name: getattr(options, name) for name in ("axis", "points", "start", "stop", "spacing", "view")}
    curve = {"axis": "position", **curve, **_stated(given)}
    one = {
        name: getattr(options, f"request_{name}")
        for name in ("input_tokens", "output_tokens", "cached_tokens")
    }
    if _stated(one):
        _require_object(curve.get("request") or {}, "curve.request")
        curve["request"] = {**(curve.get("request") or {}), **_stated(one)}
    if options.what_if:
        counterfactuals = [_what_if(text) for text in options.what_if]
    return CurveRequest(
        estimate=read_estimate_request(body, known_at),
        curve=read_part(CurveSpec, curve, "curve"),
        counterfactuals=read_parts(CounterfactualSpec, counterfactuals, "counterfactuals"),
    )


def tariff_request(options: TariffOptions, known_at: KnownAt) -> TariffRequest:
    """Return the request that the options spell.

    Raises
    ------
    InvalidRequestError
        For what a file or an option gets wrong, with its field.
    """
    body = body_of(options)
    own = ("trace", "prices", "long_output_tokens", "prefix", "subscription")
    parts = {name: body.pop(name) for name in own if body.get(name) is not None}
    estimate = read_estimate_request(body, known_at)
    currency = None if estimate.price is None else estimate.price.currency
    parts |= _tariff_parts(options, currency)
    length = parts.get("long_output_tokens")
    if length is not None and type(length) is not int:
        raise InvalidRequestError("long_output_tokens has to be a whole number.", field="long_output_tokens")
    return TariffRequest(
        estimate=estimate,
        trace=_optional(TraceRequest, parts, "trace"),
        prices=read_parts(PriceSheet, parts.get("prices", []), "prices"),
        long_output_tokens=length,
        prefix=_optional(PrefixRequest, parts, "prefix"),
        subscription=_optional(SubscriptionRequest, parts, "subscription"),
    )


def compare_request(options: CompareOptions, known_at: KnownAt) -> CompareRequest:
    """Return the request that the options spell.

    Raises
    ------
    InvalidRequestError
        For what a file or an option gets wrong, with its field.
    """
    body = body_of(options)
    own = ("priced_as", "target_margin", "across_models")
    parts = {name: body.pop(name) for name in own if body.get(name) is not None}
    if options.priced_as is not None:
        provider, _, listed = options.priced_as.partition("/")
        if not provider or not listed:
            raise InvalidRequestError(
                f"--priced-as is {options.priced_as!r}; PROVIDER/MODEL_ID is expected: openai/gpt-4o.",
                field="priced_as",
            )
        parts["priced_as"] = {"provider": provider, "provider_model_id": listed}
    if options.target_margin is not None:
        parts["target_margin"] = options.target_margin
    estimate = read_estimate_request(body, known_at)
    priced_as = _optional(PricedAs, parts, "priced_as")
    return CompareRequest(
        estimate=estimate,
        priced_as=priced_as,
        target_margin=_number(parts.get("target_margin"), "target_margin"),
        across_models=options.across_models or parts.get("across_models") is True or None,
    )


def _tariff_parts(options: TariffOptions, currency: str | None) -> dict[str, Any]:
    """Return what the options say; amounts on the command line are in the currency of ``--currency``."""
    parts: dict[str, Any] = {}
    if options.trace is not None:
        parts["trace"] = _trace(options, options.trace)
    if options.long_output_tokens is not None:
        parts["long_output_tokens"] = options.long_output_tokens
    if options.try_prices:
        parts["prices"] = [_sheet(text, _currency(currency, "--try-prices")) for text in options.try_prices]
    if options.prefix_tokens is not None:
        tiers = [_tier(text, _currency(currency, "--tier")) for text in options.tier or ()]
        prefix = {"tokens": options.prefix_tokens, "seconds": options.prefix_seconds, "tiers": tiers}
        parts["prefix"] = _stated(prefix)
    elif options.tier or options.prefix_seconds is not None:
        raise InvalidRequestError("--tier and --prefix-seconds need --prefix-tokens.", field="prefix.tokens")
    if options.subscription_price is not None:
        names = ("median_requests", "p90_requests", "target_margin")
        parts["subscription"] = {
            "price": options.subscription_price,
            "currency": _currency(currency, "--subscription-price"),
            **_stated({name: getattr(options, name) for name in names}),
        }
    return parts


def _trace(options: TariffOptions, path: Path) -> dict[str, Any]:
    form = options.trace_format or {".csv": "azure_csv", ".jsonl": "mooncake_jsonl"}.get(path.suffix.lower())
    if form is None:
        raise InvalidRequestError(
            f"{path} ends neither in .csv nor in .jsonl; name its format.",
            field="trace.format",
            accepted={"trace_format": ["azure_csv", "mooncake_jsonl"]},
        )
    try:
        if path.stat().st_size > MAX_TRACE_BYTES:
            raise InvalidRequestError(f"{path} cannot be used: it is larger than 32 MiB.", field="trace")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"{path} cannot be used: {error}.", field="trace") from error
    return _stated(
        {"format": form, "text": text, "cache": options.cache, "cache_blocks": options.cache_blocks}
    )


def _what_if(text: str) -> dict[str, Any]:
    kind, _, value = text.replace("-", "_").partition("=")
    if kind not in _WHAT_IF:
        raise InvalidRequestError(
            f"--what-if is {text!r}, which is none that is known.",
            field="counterfactuals",
            code="invalid-choice",
            accepted={"kinds": list(_WHAT_IF)},
        )
    name = _WHAT_IF[kind]
    if name is None or not value:
        return {"kind": kind}
    if name == "format":
        return {"kind": kind, name: text.partition("=")[2]}
    if not (value.isascii() and value.isdigit()):
        raise InvalidRequestError(f"--what-if {text}: {value!r} is no whole number.", field="counterfactuals")
    return {"kind": kind, name: int(value)}


def _sheet(text: str, currency: str) -> dict[str, Any]:
    name, _, rates = text.partition("=")
    amounts = rates.split("/")
    if not name or len(amounts) not in (2, 3):
        raise InvalidRequestError(
            f"--try-prices is {text!r}; NAME=INPUT/OUTPUT or NAME=INPUT/CACHED/OUTPUT is expected.",
            field="prices",
        )
    cached = {"cached_input": amounts[1]} if len(amounts) == 3 else {}
    return {"name": name, "currency": currency, "input": amounts[0], "output": amounts[-1], **cached}


def _tier(text: str, currency: str) -> dict[str, Any]:
    name, _, rest = text.partition("=")
    price, _, speed = rest.partition("@")
    try:
        rate = float(speed)
    except ValueError as error:
        raise InvalidRequestError(
            f"--tier is {text!r}; NAME=PER_GB_HOUR@BYTES_PER_SECOND is expected, such as host=0.002@5e10.",
            field="prefix.tiers",
        ) from error
    return {"name": name, "currency": currency, "per_gigabyte_hour": price, "bytes_per_second": rate}


def _currency(currency: str | None, option: str) -> str:
    if currency is None:
        raise InvalidRequestError(
            f"{option} is an amount and needs --currency; nothing is USD by default.",
            field="price.currency",
            code="currency-missing",
        )
    return currency


def _optional(owner: type[Any], parts: Mapping[str, Any], name: str) -> Any:
    return read_part(owner, parts[name], name) if name in parts else None


def _number(value: Any, field: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool | str | list | dict):
        raise InvalidRequestError(f"{field} is {value!r}; it has to be a number.", field=field)
    return float(value)


def _stated(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _require_object(value: Any, field: str) -> None:
    if not isinstance(value, dict):
        raise InvalidRequestError(f"{field} is {repr(value)[:60]}; it has to be an object.", field=field)
