"""What ``pertoken estimate`` takes of separate pools."""

from dataclasses import dataclass
from typing import Annotated

import typer

from service.cli.estimate_options import EstimateOptions


@dataclass(frozen=True)
class PooledEstimateOptions(EstimateOptions):
    """Options of an estimate, and those of prefill workers; all others are then of decode workers."""

    pools: Annotated[
        bool,
        typer.Option("--pools", help="Prefill by workers of their own; other options are of decode workers."),
    ] = False
    prefill_workers: Annotated[
        int | None, typer.Option(help="Prefill workers, with --decode-workers; planned if left out.")
    ] = None
    decode_workers: Annotated[int | None, typer.Option(help="Decode workers.")] = None
    prefill_load: Annotated[
        float | None, typer.Option(help="Largest load of planned prefill workers, 0 to 1; 0.9 by default.")
    ] = None
    prefill_accelerator: Annotated[
        str | None, typer.Option(help="Accelerator of prefill workers, where another.")
    ] = None
    prefill_tp: Annotated[int | None, typer.Option(help="Tensor parallelism of a prefill worker.")] = None
    prefill_pp: Annotated[int | None, typer.Option(help="... pipeline parallelism.")] = None
    prefill_attention_dp: Annotated[int | None, typer.Option(help="... data parallelism of attention.")] = (
        None
    )
    prefill_moe_ep: Annotated[int | None, typer.Option(help="... expert parallelism.")] = None
    prefill_precision: Annotated[str | None, typer.Option(help="Formats of prefill workers.")] = None
    prefill_engine: Annotated[str | None, typer.Option(help="Serving engine of prefill workers.")] = None
    prefill_price_per_gpu_hour: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Price of their accelerators, in --currency.")
    ] = None
    prefill_provider: Annotated[
        str | None, typer.Option(help="Take the price of their accelerators from this provider.")
    ] = None
