"""Plain sentences with the numbers that carry them (METHOD 7)."""

from service.application.answers import Bound, Latency, OperatingPoint, Rate
from service.engine.step import StepTimes
from service.engine.units import MILLI

_NOT_OF_THE_ROOFLINE = {
    "network": "communication between accelerators",
    "overhead": "the engine's scheduling and kernel launches",
}

_KIND_WORDS = {
    "uncached_input": "an input token",
    "cached_input": "a cached input token",
    "output": "an output token",
}


def explain(
    rates: tuple[Rate, ...], bounds: tuple[Bound, ...], point: OperatingPoint, latency: Latency
) -> tuple[str, ...]:
    """Return what the figures mean, most important first."""
    step = (
        f"{_share(point.prefill_step_share)} of the steps carry a prefill chunk of {point.chunk_tokens:.0f} "
        f"tokens; such a step takes {latency.inter_token_mixed_step_seconds / MILLI:.1f} ms, one that only "
        f"decodes {latency.decode_step_seconds / MILLI:.1f} ms."
    )
    return explain_with(rates, bounds, point, (step, _limit(point)))


def explain_with(
    rates: tuple[Rate, ...], bounds: tuple[Bound, ...], point: OperatingPoint, serving: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the same where ``serving`` says how requests are served, in the middle."""
    by_kind = {rate.kind: rate for rate in rates}
    sentences = [_ratio(by_kind["output"], by_kind["uncached_input"], bounds, point)]
    cached, fresh = by_kind["cached_input"], by_kind["uncached_input"]
    if fresh.per_million_tokens > 0:
        share = cached.per_million_tokens / fresh.per_million_tokens
        seen = (
            ""
            if cached.tokens_per_request > 0
            else " (the limit for a first cached token; this mix has none)"
        )
        sentences.append(
            f"A cached input token costs {share:.1%} of a fresh one{seen}: it passes no layer again; what "
            "remains is that the tokens after it attend to it."
        )
    sentences += serving
    for rate in rates:
        if rate.tokens_per_request > 0:
            resource = max(rate.share_by_resource, key=lambda name: rate.share_by_resource[name])
            component = max(rate.share_by_component, key=lambda name: rate.share_by_component[name])
            sentences.append(
                f"Of what {_KIND_WORDS[rate.kind]} costs, {rate.share_by_resource[resource]:.0%} is "
                f"{resource}; the largest component is {component.replace('_', ' ')} "
                f"({rate.share_by_component[component]:.0%})."
            )
    return tuple(sentences)


def explain_overlap(times: StepTimes) -> tuple[str, ...]:
    """Return how steps run where two micro-batches may take turns; ``times`` of both kinds of step."""
    if times.batches is None:
        return ()
    decode, mixed = (float(batches) > 1.0 for batches in (times.batches[0], times.batches[-1]))
    if not (decode or mixed):
        return ("No step is quicker as two micro-batches: each would read the weights again.",)
    which = "Every step runs" if decode and mixed else f"A step that {_STEPS[decode]} runs"
    return (
        f"{which} as two micro-batches: one computes while the other's tokens travel between experts, and "
        "each reads the weights.",
    )


_STEPS = {True: "only decodes", False: "carries a prefill chunk"}


def _share(value: float) -> str:
    return "Fewer than 1%" if 0.0 < value < 0.01 else f"{value:.0%}"


def _ratio(output: Rate, fresh: Rate, bounds: tuple[Bound, ...], point: OperatingPoint) -> str:
    decode = next(bound for bound in bounds if bound.step == "decode")
    intensity = (
        f"does {decode.flop_per_byte:.0f} FLOP per byte against a ridge of {decode.ridge_flop_per_byte:.0f}"
    )
    bound = f"it is bound by {decode.resource}"
    if decode.resource in _NOT_OF_THE_ROOFLINE:
        # Then neither side of the ridge is the reason.
        intensity = (
            f"spends {decode.share_by_resource[decode.resource]:.0%} of its time on "
            f"{_NOT_OF_THE_ROOFLINE[decode.resource]}"
        )
        bound = f"its memory reads take {decode.share_by_resource['memory']:.0%}"
    if fresh.per_million_tokens <= 0:
        return f"Decode at batch {point.batch:.0f} {intensity}; {bound}."
    ratio = output.per_million_tokens / fresh.per_million_tokens
    return f"Output costs {ratio:.1f}x input because decode at batch {point.batch:.0f} {intensity}; {bound}."


_LIMITS = {
    "concurrency": "The batch is set by the requests in flight.",
    "arrivals": "The batch follows from the arrival rate.",
    "memory": "The batch cannot grow: the KV cache fills the memory beside the weights.",
    "max_batch": "The batch cannot grow: the engine's limit of sequences is reached.",
    "prefill": "The batch cannot grow: every step already carries a prefill chunk.",
    "tpot": "A larger batch would be cheaper but exceed the limit on the time per output token.",
    "ttft": "A larger batch would be cheaper but exceed the limit on the time to the first token.",
    "throughput": "A larger batch would complete fewer requests per second.",
    "prefill_pool": "The batch follows from what the prefill pool hands over at its largest load.",
    "transfer": "The batch cannot grow: the links bring no more prompts' caches a second.",
}


def why_no_larger(limited_by: str) -> str:
    """Return what keeps a batch from growing, as a sentence."""
    return _LIMITS[limited_by]


def _limit(point: OperatingPoint) -> str:
    amount = f"{point.concurrency:.4g}"
    verb = "request is" if amount == "1" else "requests are"
    return f"{_LIMITS[point.limited_by]} {amount} {verb} in flight in each replica."
