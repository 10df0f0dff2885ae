"""What ``pertoken curve``, ``tariff`` and ``compare`` take beside the options of an estimate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from service.cli.estimate_options import EstimateOptions

PLOT = typer.Option(metavar="FILE.png|svg", help="Also draw it into a file; needs the extra `plots`.")


@dataclass(frozen=True)
class CurveOptions(EstimateOptions):
    """Options of ``pertoken curve``."""

    axis: Annotated[
        Literal[
            "position",
            "input_tokens",
            "output_tokens",
            "batch",
            "context",
            "cached_share",
            "input_to_output_ratio",
            "utilisation",
            "price",
        ]
        | None,
        typer.Option(help="What the curve runs over; position, the tokens of one request, if left out."),
    ] = None
    points: Annotated[int | None, typer.Option(help="2 to 20000; 200 if left out.")] = None
    start: Annotated[float | None, typer.Option(help="First value of the axis.")] = None
    stop: Annotated[float | None, typer.Option(help="Last value of the axis.")] = None
    spacing: Annotated[Literal["linear", "log"] | None, typer.Option(help="Of the points.")] = None
    view: Annotated[
        Literal["by_pass", "by_cause"] | None,
        typer.Option(help="Of position: who pays for a read of the cache, reader or read."),
    ] = None
    request_input_tokens: Annotated[
        int | None,
        typer.Option(help="Prompt of the one request that the curve is about; the mean one if left out."),
    ] = None
    request_output_tokens: Annotated[int | None, typer.Option(help="... its answer.")] = None
    request_cached_tokens: Annotated[
        int | None, typer.Option(help="... of its prompt, found in the cache.")
    ] = None
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND[=VALUE]",
            help="Another cache beside the curve: no_kv_cache, window=4096, eviction=1024, kv_format=fp8, "
            "kv_heads=1, sparse_attention=2048. May be repeated.",
        ),
    ] = None
    plot: Annotated[Path | None, PLOT] = None


@dataclass(frozen=True)
class TariffOptions(EstimateOptions):
    """Options of ``pertoken tariff``."""

    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A trace of a real service instead of lengths.")
    ] = None
    trace_format: Annotated[
        Literal["azure_csv", "mooncake_jsonl"] | None,
        typer.Option(help="Its format; told by .csv or .jsonl if left out."),
    ] = None
    cache: Annotated[
        Literal["none", "prefix"] | None,
        typer.Option(help="Whether prefixes that the trace repeats count as cached."),
    ] = None
    cache_blocks: Annotated[
        int | None, typer.Option(help="Blocks of 512 tokens that the prefix cache holds; all if left out.")
    ] = None
    try_prices: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=INPUT/CACHED/OUTPUT",
            help="Prices per million tokens to be tried on the mix, in --currency; INPUT/OUTPUT charges "
            "cached tokens like others. May be repeated.",
        ),
    ] = None
    long_output_tokens: Annotated[
        int | None, typer.Option(help="Length of a product with long outputs; 65536 if left out.")
    ] = None
    prefix_tokens: Annotated[int | None, typer.Option(help="Length of a prefix to be kept.")] = None
    prefix_seconds: Annotated[float | None, typer.Option(help="For how long it is kept.")] = None
    tier: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PER_GB_HOUR@BYTES_PER_SECOND",
            help="A place to keep the prefix: its price, and how fast it is read back. May be repeated.",
        ),
    ] = None
    subscription_price: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Price of a flat plan for a period.")
    ] = None
    median_requests: Annotated[
        float | None, typer.Option(help="Requests a period that half of the subscribers exceed.")
    ] = None
    p90_requests: Annotated[
        float | None, typer.Option(help="Requests a period that one subscriber in ten exceeds.")
    ] = None
    target_margin: Annotated[float | None, typer.Option(help="Of the plan; 0 if left out.")] = None
    plot: Annotated[Path | None, PLOT] = None


@dataclass(frozen=True)
class CompareOptions(EstimateOptions):
    """Options of ``pertoken compare``."""

    priced_as: Annotated[
        str | None,
        typer.Option(
            metavar="PROVIDER/MODEL_ID",
            help="Compare a --config with this listing of a closed model; the architecture is then an "
            "assumption.",
        ),
    ] = None
    target_margin: Annotated[
        float | None, typer.Option(help="Wanted share of the price; 0.3 if left out.")
    ] = None
    across_models: Annotated[
        bool,
        typer.Option("--across-models", help="Also all models of the catalog: listed and modelled ratios."),
    ] = False
    plot: Annotated[Path | None, PLOT] = None
