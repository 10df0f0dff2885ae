"""Measured runs of serving engines as rows: what a CSV says, checked, with the defaults of its columns.

Two kinds of files are read, told apart by their columns: one replica that does everything
(``aggregated``), and separate pools for prefill and decode (``disaggregated``). A row that cannot be
used says why; it never stops the others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Final, Literal

from service.engine.types import Layout
from service.engine.units import MILLI

SHORTEST_SHARE: Final = 0.8
"""InferenceX draws lengths uniformly on [0.8 L, L]."""
REQUESTS_PER_SLOT: Final = 10
"""InferenceX sends ten requests for each one in flight."""
MOST_TOKENS: Final = 1e8
MOST_IN_FLIGHT: Final = 1e5
"""A run is replayed request by request; nobody has measured near so many at once on one deployment."""
MOST_ACCELERATORS: Final = 65_536
_POOL_COLUMNS: Final = frozenset(
    f"{kind}_{name}"
    for kind in ("prefill", "decode")
    for name in (
        "batch_size", "num_workers", "tp_size", "pp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size",
    )
)  # fmt: skip

Speculative = Literal["none", "mtp", "unknown"]
Protocol = Literal["inferencex", "fixed"]


class RowError(ValueError):
    """A row says something that cannot be; the message names the column."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Workers of one kind in a disaggregated deployment."""

    workers: int
    layout: Layout
    batch_per_rank: float | None
    """Allotment of sequences per attention-DP rank."""


@dataclass(frozen=True, slots=True)
class MeasuredRow:
    """One run: what was served on what, how it was asked, and what was measured; seconds and tokens."""

    values: Mapping[str, str]
    """The row as read."""
    model: str
    accelerator: str
    engine: str
    engine_version: str
    precision: str | None
    gemm_format: str | None
    expert_format: str | None
    speculative: Speculative
    suspect: str
    protocol: Protocol
    input_tokens: float
    """Nominal; the mean follows from the protocol."""
    output_tokens: float
    mean_input_tokens: float
    mean_output_tokens: float
    concurrency: float
    layout: Layout | None
    """None where the pools say it."""
    prefill: Pool | None
    decode: Pool | None
    ttft_seconds: float | None
    tpot_seconds: float | None
    power_watts: float | None

    @property
    def accelerators(self) -> int:
        """Accelerators of the whole deployment."""
        if self.layout is not None:
            return self.layout.accelerators
        pools = [pool for pool in (self.prefill, self.decode) if pool is not None]
        return sum(pool.workers * pool.layout.accelerators for pool in pools)


def is_disaggregated(columns: Iterable[str]) -> bool:
    """Tell which of the two kinds of files a header belongs to."""
    return not _POOL_COLUMNS.isdisjoint(columns)


def read_rows(lines: Iterable[Mapping[str, str]]) -> Iterator[MeasuredRow | RowError]:
    """Read rows of a CSV, each to a row or to what is wrong with it."""
    for values in lines:
        try:
            yield read_row(values)
        except RowError as error:
            yield error


def read_row(values: Mapping[str, str]) -> MeasuredRow:
    """Read one row.

    Raises
    ------
    RowError
        A required column is missing or empty, or a value is not what its column takes.
    """
    cells = {str(key): (value or "").strip() for key, value in values.items() if key is not None}
    pools = is_disaggregated(cells)
    default_protocol = "inferencex" if pools else "fixed"
    protocol = _choice(cells, "protocol", ("inferencex", "fixed"), default_protocol)
    speculative = _choice(cells, "speculative", ("none", "mtp", "unknown"), "none")
    prompt = _number(cells, "input_tokens", 1.0, MOST_TOKENS)
    output = _number(cells, "output_tokens", 1.0, MOST_TOKENS)
    shrink = (1.0 + SHORTEST_SHARE) / 2.0 if protocol == "inferencex" else 1.0
    return MeasuredRow(
        values=values,
        model=_text(cells, "model"),
        accelerator=_text(cells, "accelerator"),
        engine=_text(cells, "engine"),
        engine_version=cells.get("engine_version", ""),
        precision=cells.get("precision") or None,
        gemm_format=cells.get("gemm_quant") or None,
        expert_format=cells.get("moe_quant") or None,
        speculative="mtp" if speculative == "mtp" else "unknown" if speculative == "unknown" else "none",
        suspect=cells.get("suspect", ""),
        protocol="inferencex" if protocol == "inferencex" else "fixed",
        input_tokens=prompt,
        output_tokens=output,
        mean_input_tokens=_mean_length(cells, "mean_input_tokens", prompt * shrink),
        mean_output_tokens=_mean_length(cells, "mean_output_tokens", output * shrink),
        concurrency=_number(cells, "concurrency", 1.0, MOST_IN_FLIGHT),
        layout=None if pools else _layout(cells),
        prefill=_pool(cells, "prefill") if pools else None,
        decode=_pool(cells, "decode") if pools else None,
        ttft_seconds=_milliseconds(cells, "ttft_ms"),
        tpot_seconds=_milliseconds(cells, "tpot_ms"),
        power_watts=_optional(cells, "measured_power_w", 0.0),
    )


def _layout(cells: Mapping[str, str]) -> Layout:
    """Return the layout of a row; ``tp x attention_dp = gpus = moe_tp x moe_ep``, ``gpus`` by default tp."""
    gpus = _count(cells, "gpus")
    tp, attention_dp = _count(cells, "tp"), _count(cells, "attention_dp")
    pp = _count(cells, "pp") or 1
    if attention_dp is None:
        attention_dp = 1 if tp is None or gpus is None or gpus % (tp * pp) else gpus // (tp * pp)
    if tp is None:
        tp = max((gpus or 1) // (attention_dp * pp), 1)
    if gpus is not None and tp * attention_dp * pp != gpus:
        raise RowError(f"gpus is {gpus}, but tp {tp} x attention_dp {attention_dp} x pp {pp} needs "
                       f"{tp * attention_dp * pp}.")  # fmt: skip
    return Layout(tp, pp, attention_dp, _expert_parallel(cells, ("moe_tp", "moe_ep"), tp * attention_dp))


def _expert_parallel(cells: Mapping[str, str], names: tuple[str, str], ranks: int) -> int:
    moe_tp, moe_ep = _count(cells, names[0]), _count(cells, names[1])
    if moe_ep is None:
        moe_ep = 1 if moe_tp is None else max(ranks // moe_tp, 1)
    if moe_tp == 1 and moe_ep == 1:
        # A dense model's columns say 1 x 1 whatever its layout.
        return 1
    if moe_tp is not None and moe_tp * moe_ep != ranks:
        raise RowError(f"{names[0]} {moe_tp} x {names[1]} {moe_ep} is {moe_tp * moe_ep}, but {ranks} "
                       "accelerators hold the experts.")  # fmt: skip
    return moe_ep


def _pool(cells: Mapping[str, str], kind: str) -> Pool:
    tp = _count(cells, f"{kind}_tp_size") or 1
    attention_dp = _count(cells, f"{kind}_attention_dp_size") or 1
    names = (f"{kind}_moe_tp_size", f"{kind}_moe_ep_size")
    return Pool(
        workers=_count(cells, f"{kind}_num_workers") or 1,
        layout=Layout(
            tp,
            _count(cells, f"{kind}_pp_size") or 1,
            attention_dp,
            _expert_parallel(cells, names, tp * attention_dp),
        ),
        batch_per_rank=_optional(cells, f"{kind}_batch_size", 0.0),
    )


def _text(cells: Mapping[str, str], name: str) -> str:
    value = cells.get(name, "")
    if not value:
        raise RowError(f"{name} is missing." if name not in cells else f"{name} is empty.")
    return value


def _choice(cells: Mapping[str, str], name: str, accepted: Sequence[str], default: str) -> str:
    value = cells.get(name, "") or default
    if value not in accepted:
        raise RowError(f"{name} is {value!r}; accepted are {', '.join(accepted)}.")
    return value


def _number(cells: Mapping[str, str], name: str, least: float, most: float = inf) -> float:
    text = _text(cells, name)
    try:
        value = float(text)
    except ValueError:
        raise RowError(f"{name} is {text!r}, which is no number.") from None
    if not isfinite(value) or value < least:
        raise RowError(f"{name} is {text}; it must be a number of at least {least:g}.")
    if value > most:
        raise RowError(f"{name} is {text}; it must be at most {most:g}.")
    return value


def _optional(cells: Mapping[str, str], name: str, least: float, most: float = inf) -> float | None:
    return _number(cells, name, least, most) if cells.get(name) else None


def _mean_length(cells: Mapping[str, str], name: str, otherwise: float) -> float:
    stated = _optional(cells, name, 1.0, MOST_TOKENS)
    return max(otherwise, 1.0) if stated is None else stated


def _count(cells: Mapping[str, str], name: str) -> int | None:
    value = _optional(cells, name, 1.0, MOST_ACCELERATORS)
    if value is not None and value != int(value):
        raise RowError(f"{name} is {cells[name]}; it must be a whole number.")
    return None if value is None else int(value)


def _milliseconds(cells: Mapping[str, str], name: str) -> float | None:
    value = _optional(cells, name, 0.0)
    # A measured zero is a gap in the log, not a time.
    return value * MILLI if value else None
