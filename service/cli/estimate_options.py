"""What ``pertoken estimate`` takes on the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer


@dataclass(frozen=True)
class EstimateOptions:
    """What ``pertoken estimate`` takes; each is named after the field of the body that it sets."""

    model_argument: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Catalog id or alias of the model.")
    ] = None
    accelerator_argument: Annotated[
        str | None, typer.Argument(metavar="ACCELERATOR", help="Catalog id or alias of the accelerator.")
    ] = None
    model: Annotated[str | None, typer.Option(help="Instead of the first argument.")] = None
    accelerator: Annotated[str | None, typer.Option(help="Instead of the second argument.")] = None
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A Hugging Face config.json instead of a model's id.")
    ] = None
    request: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A whole request body as JSON; other options replace parts of it."),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as the API gives it.")] = False

    input_tokens: Annotated[
        int | None, typer.Option(help="Tokens of a request's prompt, cached ones included.")
    ] = None
    output_tokens: Annotated[int | None, typer.Option(help="Tokens of a request's answer.")] = None
    cached_share: Annotated[
        float | None, typer.Option(help="Share of the prompt found in the prefix cache, 0 to 1.")
    ] = None

    gpus: Annotated[
        int | None, typer.Option(help="Accelerators of one replica; tensor parallelism takes what is left.")
    ] = None
    tp: Annotated[int | None, typer.Option(help="Tensor parallelism.")] = None
    pp: Annotated[int | None, typer.Option(help="Pipeline parallelism.")] = None
    attention_dp: Annotated[int | None, typer.Option(help="Data parallelism of attention.")] = None
    moe_ep: Annotated[int | None, typer.Option(help="Expert parallelism.")] = None

    precision: Annotated[
        str | None, typer.Option(help="Formats as a recipe, for example bf16, fp8, fp4.")
    ] = None
    weights: Annotated[str | None, typer.Option(help="Format of the weights.")] = None
    experts: Annotated[str | None, typer.Option(help="Format of routed experts.")] = None
    activations: Annotated[str | None, typer.Option(help="Format of the activations.")] = None
    kv_cache: Annotated[str | None, typer.Option(help="Format of the KV cache.")] = None
    engine: Annotated[
        str | None, typer.Option(help="Serving engine, for example vllm, sglang, tensorrt-llm.")
    ] = None
    release: Annotated[str | None, typer.Option(help="Release of the serving engine.")] = None
    draft_tokens: Annotated[
        int | None, typer.Option(help="Tokens that multi-token prediction drafts in a step.")
    ] = None
    acceptance: Annotated[
        float | None, typer.Option(help="Chance that a draft is accepted, 0 to 1; 0.75 by default.")
    ] = None
    overlap: Annotated[
        str | None,
        typer.Option(help="two_batch: half of a step computes while the other's tokens travel."),
    ] = None

    concurrency: Annotated[float | None, typer.Option(help="Requests in flight on one replica.")] = None
    requests_per_second: Annotated[
        float | None, typer.Option(help="Arrivals over all replicas; utilisation then follows.")
    ] = None
    replicas: Annotated[int | None, typer.Option(help="Replicas that share the arrivals.")] = None
    max_ttft_seconds: Annotated[
        float | None, typer.Option(help="Cheapest point with a time to first token within this limit.")
    ] = None
    max_tpot_seconds: Annotated[
        float | None, typer.Option(help="Cheapest point with a time per output token within this limit.")
    ] = None
    statistic: Annotated[
        Literal["mean", "p50", "p90", "p95", "p99"] | None, typer.Option(help="What the limits bind.")
    ] = None
    utilisation: Annotated[
        float | None, typer.Option(help="Share of paid time in which replicas work, 0 to 1.")
    ] = None

    price_per_gpu_hour: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Your own price; needs --currency.")
    ] = None
    currency: Annotated[str | None, typer.Option(help="ISO 4217 code, for example USD.")] = None
    provider: Annotated[str | None, typer.Option(help="Take the accelerator's price from this provider.")] = (
        None
    )
    region: Annotated[str | None, typer.Option(help="... in this region.")] = None
    commitment: Annotated[str | None, typer.Option(help="... on_demand, spot, reserved_1y, ...")] = None
    split: Annotated[
        Literal["shapley", "phase", "marginal"] | None,
        typer.Option(help="How joint cost is shared between token kinds."),
    ] = None
    kv_view: Annotated[
        Literal["by_pass", "by_cause"] | None, typer.Option(help="Who pays for a read of the KV cache.")
    ] = None

    include: Annotated[
        list[str] | None,
        typer.Option(metavar="splits|resource_prices", help="Also print this part; may be repeated."),
    ] = None

    uncertainty: Annotated[
        bool, typer.Option("--uncertainty", help="Print P10, P50 and P90 of the headline figures.")
    ] = False
    samples: Annotated[int | None, typer.Option(help="Samples behind them; 256 where left out.")] = None
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same intervals.")] = None

    calibration: Annotated[str | None, typer.Option(help="Name of a calibration set.")] = None
    as_of: Annotated[str | None, typer.Option(metavar="TIME", help="Prices valid at this day or time.")] = (
        None
    )
    known_at: Annotated[
        str | None, typer.Option(metavar="rN|TIME", help="Prices as believed at this revision or time.")
    ] = None
