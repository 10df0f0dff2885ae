"""Options of ``pertoken estimate`` as a request body; the same fields, the same names."""

from typing import Any

from service.application.errors import InvalidRequestError
from service.application.resolve import DEFAULT_WORKLOAD
from service.cli.estimate_options import EstimateOptions
from service.cli.files import read_config, read_json_object

_CONCURRENCY, _ARRIVALS, _CHEAPEST = "concurrency", "arrival_rate", "cheapest"


def body_of(options: EstimateOptions) -> dict[str, Any]:
    """Return the body that the options spell, on top of the file of ``--request``.

    Raises
    ------
    InvalidRequestError
        Where a file cannot be read or options contradict each other.
    """
    body = read_json_object(options.request, "request") if options.request else {}
    model, accelerator = _names(options)
    _set(body, "model", model)
    _set(body, "accelerator", accelerator)
    if options.config:
        body["config"] = read_config(options.config)
    for name in ("utilisation", "split", "kv_view", "calibration", "as_of", "known_at"):
        _set(body, name, getattr(options, name))
    _set(body, "include", options.include)
    merge_part(body, "layout", _layout(options))
    names = ("engine", "release", "draft_tokens", "acceptance", "overlap")
    merge_part(body, "serving", {name: getattr(options, name) for name in names})
    roles = ("precision", "weights", "experts", "activations", "kv_cache")
    merge_part(body, "formats", {role: getattr(options, role) for role in roles})
    _merge_operating_point(body, _operating_point(options))
    merge_part(body, "price", _price(options))
    _set_workload(body, options)
    if options.uncertainty or options.samples is not None or options.seed is not None:
        body.setdefault("uncertainty", {})
        merge_part(body, "uncertainty", {"samples": options.samples, "seed": options.seed})
    return body


def _names(options: EstimateOptions) -> tuple[str | None, str | None]:
    """Return model and accelerator; a lone argument beside a model given otherwise is the accelerator."""
    first, second = options.model_argument, options.accelerator_argument
    elsewhere = options.model or options.config or options.request
    if first and second is None and elsewhere and not options.accelerator:
        first, second = None, first
    return _one_of("model", first, options.model), _one_of("accelerator", second, options.accelerator)


def _one_of(field: str, argument: str | None, option: str | None) -> str | None:
    if argument and option and argument != option:
        raise InvalidRequestError(
            f"The {field} is given twice: {argument!r} and --{field} {option!r}.", field=field
        )
    return argument or option


def _layout(options: EstimateOptions) -> dict[str, Any]:
    """Return the layout; ``--gpus`` gives tensor parallelism what the other axes leave."""
    layout = {name: getattr(options, name) for name in ("tp", "pp", "attention_dp", "moe_ep")}
    if options.gpus is None:
        return layout
    if options.gpus < 1:
        raise InvalidRequestError(
            f"--gpus is {options.gpus}; it must be at least 1.", field="layout", code="layout-does-not-match"
        )
    others = (options.pp or 1) * (options.attention_dp or 1)
    wanted = others * (options.tp or max(options.gpus // others, 1) if others > 0 else 1)
    if wanted != options.gpus:
        raise InvalidRequestError(
            f"--gpus {options.gpus} is not tp x pp x attention_dp = "
            f"{options.tp or 'tp'} x {options.pp or 1} x {options.attention_dp or 1}.",
            field="layout",
            code="layout-does-not-match",
        )
    layout["tp"] = options.gpus // others
    return layout


def _operating_point(options: EstimateOptions) -> dict[str, Any]:
    point = {
        "concurrency": options.concurrency,
        "requests_per_second": options.requests_per_second,
        "replicas": options.replicas,
        "max_ttft_seconds": options.max_ttft_seconds,
        "max_tpot_seconds": options.max_tpot_seconds,
        "statistic": options.statistic,
    }
    limits = options.max_ttft_seconds is not None or options.max_tpot_seconds is not None
    kinds = {
        _CONCURRENCY: options.concurrency is not None,
        _ARRIVALS: options.requests_per_second is not None,
        _CHEAPEST: limits,
    }
    asked = [kind for kind, wanted in kinds.items() if wanted]
    if len(asked) > 1:
        raise InvalidRequestError(
            f"The operating point is given in {len(asked)} ways: {', '.join(asked)}.",
            field="operating_point.kind",
            code="operating-point-given-twice",
            accepted={"one_of": ["--concurrency", "--requests-per-second", "--max-ttft/tpot-seconds"]},
        )
    return {"kind": asked[0] if asked else None, **point}


def _price(options: EstimateOptions) -> dict[str, Any]:
    return {
        "amount": options.price_per_gpu_hour,
        "currency": options.currency,
        "provider": options.provider,
        "region": options.region,
        "commitment": options.commitment,
    }


def _set_workload(body: dict[str, Any], options: EstimateOptions) -> None:
    """Put lengths into the body: into its one class, or a first one.

    A length left out beside one that is given is the use case's default, which the answer lists.
    """
    given = {
        name: getattr(options, name)
        for name in ("input_tokens", "output_tokens", "cached_share")
        if getattr(options, name) is not None
    }
    if not given:
        return
    classes = object_in(body, "workload").get("classes") or [{}]
    if not isinstance(classes, list) or not isinstance(classes[0], dict):
        return  # not a list of classes: whoever reads the body says so
    if len(classes) > 1:
        raise InvalidRequestError(
            f"--{next(iter(given)).replace('_', '-')} fits one class; the request file has {len(classes)}.",
            field="workload.classes",
        )
    chosen = {} if "sample" in classes[0] else _other_lengths({**classes[0], **given})
    body["workload"] = {"classes": [{**classes[0], **given, **chosen}]}
    if chosen:
        body["defaulted"] = [*body.get("defaulted", []), *(f"workload.classes.0.{name}" for name in chosen)]


def _other_lengths(given: dict[str, Any]) -> dict[str, Any]:
    """Return the default of each length that is not given: one option is enough."""
    default = DEFAULT_WORKLOAD[0]
    lengths = {"input_tokens": default.input_tokens, "output_tokens": default.output_tokens}
    return {name: length for name, length in lengths.items() if given.get(name) is None}


def _merge_operating_point(body: dict[str, Any], values: dict[str, Any]) -> None:
    """Merge the point; one of another kind replaces that of the request file."""
    asked = values["kind"]
    if asked and object_in(body, "operating_point").get("kind") not in (None, asked):
        del body["operating_point"]
    merge_part(body, "operating_point", values)


def merge_part(body: dict[str, Any], name: str, values: dict[str, Any], path: str = "") -> None:
    """Put values that are given into an object inside the body; ``path`` is its name in an error."""
    given = {key: value for key, value in values.items() if value is not None}
    if given:
        body[name] = {**object_in(body, name, path), **given}


def object_in(body: dict[str, Any], name: str, path: str = "") -> dict[str, Any]:
    """Return an object inside the body, empty where there is none.

    Raises
    ------
    InvalidRequestError
        Where something else stands there.
    """
    part = body.get(name)
    if part is not None and not isinstance(part, dict):
        where = path or name
        raise InvalidRequestError(f"{where} is {repr(part)[:60]}; it has to be an object.", field=where)
    return part or {}


def _set(body: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        body[name] = value
