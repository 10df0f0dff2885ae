"""Rows of measured runs: what each column takes, what stands in where it is empty, what is refused."""

import pytest

from service.calibration.measured import MeasuredRow, Pool, RowError, is_disaggregated, read_row, read_rows
from service.engine.types import Layout

REPLICA = {
    "model": "meta-llama/Llama-3.1-8B",
    "accelerator": "h100_sxm",
    "engine": "vllm",
    "input_tokens": "1000",
    "output_tokens": "200",
    "concurrency": "16",
}
POOLS = {
    "model": "deepseek-ai/DeepSeek-V3",
    "accelerator": "gb200",
    "engine": "trtllm",
    "input_tokens": "1024",
    "output_tokens": "8192",
    "concurrency": "2048",
    "prefill_batch_size": "1",
    "prefill_num_workers": "2",
    "prefill_tp_size": "1",
    "prefill_pp_size": "1",
    "prefill_attention_dp_size": "8",
    "prefill_moe_tp_size": "1",
    "prefill_moe_ep_size": "8",
    "decode_batch_size": "64",
    "decode_num_workers": "1",
    "decode_tp_size": "4",
    "decode_pp_size": "1",
    "decode_attention_dp_size": "8",
    "decode_moe_tp_size": "2",
    "decode_moe_ep_size": "16",
}


def _row(**cells: str) -> MeasuredRow:
    return read_row({**REPLICA, **cells})


def _problem(values: dict[str, str]) -> str:
    with pytest.raises(RowError) as caught:
        read_row(values)
    return str(caught.value)


def test_a_row_of_required_columns_alone_is_a_plain_run_of_fixed_lengths_on_one_accelerator() -> None:
    row = _row()
    assert (row.protocol, row.speculative, row.suspect) == ("fixed", "none", "")
    assert (row.mean_input_tokens, row.mean_output_tokens) == (1000.0, 200.0)
    assert (row.layout, row.accelerators) == (Layout(), 1)
    assert (row.precision, row.gemm_format, row.expert_format, row.engine_version) == (None, None, None, "")
    assert (row.ttft_seconds, row.tpot_seconds, row.power_watts) == (None, None, None)
    assert (row.prefill, row.decode) == (None, None)


def test_inferencex_lengths_have_the_mean_of_a_uniform_law_on_eight_to_ten_tenths() -> None:
    row = _row(protocol="inferencex")
    assert (row.mean_input_tokens, row.mean_output_tokens) == pytest.approx((900.0, 180.0))
    assert (row.input_tokens, row.output_tokens) == (1000.0, 200.0)


def test_means_that_are_stated_come_before_those_of_the_protocol() -> None:
    row = _row(protocol="inferencex", mean_input_tokens="950.5", mean_output_tokens="1")
    assert (row.mean_input_tokens, row.mean_output_tokens) == (950.5, 1.0)


def test_a_mean_length_is_never_below_one_token() -> None:
    row = _row(protocol="inferencex", output_tokens="1")
    assert row.mean_output_tokens == 1.0


def test_times_are_read_in_milliseconds_and_a_zero_is_a_gap() -> None:
    row = _row(ttft_ms="61.5", tpot_ms="7.25", measured_power_w="512")
    assert (row.ttft_seconds, row.tpot_seconds, row.power_watts) == pytest.approx((0.0615, 0.00725, 512.0))
    assert _row(ttft_ms="0", tpot_ms="0.0").tpot_seconds is None


def test_cells_are_read_without_the_blanks_around_them_and_the_row_is_kept_as_it_was() -> None:
    values = {**REPLICA, "engine": " vllm ", "concurrency": " 16", "note": "kept"}
    row = read_row(values)
    assert (row.engine, row.concurrency) == ("vllm", 16.0)
    assert row.values is values


@pytest.mark.parametrize("speculative", ["none", "mtp", "unknown"])
def test_the_three_words_for_speculation_are_taken(speculative: str) -> None:
    assert _row(speculative=speculative).speculative == speculative


@pytest.mark.parametrize(
    ("cells", "layout"),
    [
        ({"gpus": "8"}, Layout(tp=8)),
        ({"tp": "4"}, Layout(tp=4)),
        ({"gpus": "8", "tp": "8", "attention_dp": "1", "moe_tp": "8", "moe_ep": "1"}, Layout(tp=8)),
        ({"gpus": "8", "tp": "8", "moe_tp": "1", "moe_ep": "8"}, Layout(tp=8, moe_ep=8)),
        ({"gpus": "8", "tp": "8", "moe_ep": "4"}, Layout(tp=8, moe_ep=4)),
        ({"gpus": "8", "tp": "8", "moe_tp": "2"}, Layout(tp=8, moe_ep=4)),
        ({"gpus": "8", "attention_dp": "8", "moe_ep": "8"}, Layout(attention_dp=8, moe_ep=8)),
        ({"attention_dp": "4"}, Layout(attention_dp=4)),
        ({"gpus": "8", "tp": "2"}, Layout(tp=2, attention_dp=4)),
        ({"gpus": "8", "tp": "2", "pp": "4"}, Layout(tp=2, pp=4)),
        ({"gpus": "16", "tp": "2", "attention_dp": "4", "pp": "2"}, Layout(2, 2, 4, 1)),
        # What a dense model's log says of experts that it has not.
        ({"gpus": "8", "tp": "8", "moe_tp": "1", "moe_ep": "1"}, Layout(tp=8)),
    ],
)
def test_a_layout_is_completed_from_what_is_stated(cells: dict[str, str], layout: Layout) -> None:
    row = _row(**cells)
    assert row.layout == layout
    # tp x attention_dp x pp = gpus, and moe_tp x moe_ep is a stage of them.
    assert (
        row.accelerators
        == layout.tp * layout.attention_dp * layout.pp
        == int(cells.get("gpus", row.accelerators))
    )
    assert layout.moe_tp * layout.moe_ep == layout.tp * layout.attention_dp


@pytest.mark.parametrize("column", REPLICA)
def test_a_required_column_that_is_missing_or_empty_is_named(column: str) -> None:
    assert (
        _problem({name: cell for name, cell in REPLICA.items() if name != column}) == f"{column} is missing."
    )
    assert _problem({**REPLICA, column: "  "}) == f"{column} is empty."


@pytest.mark.parametrize("text", ["many", "1,024", "nan", "inf", "-inf", "0", "-4", "0x10", "1e999"])
@pytest.mark.parametrize("column", ["input_tokens", "output_tokens", "concurrency"])
def test_a_length_or_load_that_is_no_number_of_at_least_one_is_named_with_its_value(
    column: str, text: str
) -> None:
    problem = _problem({**REPLICA, column: text})
    assert problem.startswith(f"{column} is ")
    assert text in problem


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        ({"tp": "2.5"}, ("tp", "2.5", "whole")),
        ({"gpus": "0"}, ("gpus", "0", "at least 1")),
        ({"gpus": "eight"}, ("gpus", "eight", "no number")),
        ({"ttft_ms": "fast"}, ("ttft_ms", "fast", "no number")),
        ({"tpot_ms": "-1"}, ("tpot_ms", "-1", "at least 0")),
        ({"measured_power_w": "700 W"}, ("measured_power_w", "700 W", "no number")),
        ({"mean_input_tokens": "0.5"}, ("mean_input_tokens", "0.5", "at least 1")),
        ({"protocol": "mlperf"}, ("protocol", "mlperf", "inferencex, fixed")),
        ({"speculative": "yes"}, ("speculative", "yes", "none, mtp, unknown")),
        ({"gpus": "8", "tp": "4", "attention_dp": "4"}, ("gpus is 8", "tp 4", "attention_dp 4", "16")),
        ({"gpus": "8", "tp": "3"}, ("gpus is 8", "tp 3")),
        ({"gpus": "4", "tp": "8"}, ("gpus is 4", "tp 8")),
        ({"gpus": "4", "attention_dp": "8"}, ("gpus is 4", "attention_dp 8")),
        ({"gpus": "8", "tp": "8", "moe_tp": "4", "moe_ep": "4"}, ("moe_tp 4", "moe_ep 4", "16", "8")),
        ({"gpus": "8", "tp": "8", "moe_tp": "3"}, ("moe_tp 3", "8")),
    ],
)
def test_a_cell_that_cannot_be_is_refused_with_column_and_value(
    cells: dict[str, str], parts: tuple[str, ...]
) -> None:
    problem = _problem({**REPLICA, **cells})
    assert [part for part in parts if part not in problem] == []


@pytest.mark.parametrize(
    "column", ["input_tokens", "output_tokens", "concurrency", "gpus", "mean_input_tokens", "tp"]
)
def test_a_number_beyond_any_deployment_is_refused_before_anything_is_computed(column: str) -> None:
    assert column in _problem({**REPLICA, column: "1e12"})


def test_pools_are_told_apart_by_their_columns_and_read_worker_by_worker() -> None:
    assert is_disaggregated(POOLS)
    assert not is_disaggregated(REPLICA)
    row = read_row(POOLS)
    assert row.layout is None
    assert row.prefill == Pool(2, Layout(1, 1, 8, 8), 1.0)
    assert row.decode == Pool(1, Layout(4, 1, 8, 16), 64.0)
    # 2 workers x 8 and 1 worker x 4 x 8.
    assert row.accelerators == 16 + 32
    assert row.protocol == "inferencex"
    assert row.mean_output_tokens == pytest.approx(0.9 * 8192)


def test_a_further_column_that_only_begins_like_a_pools_leaves_a_row_one_replica() -> None:
    row = _row(prefill_notes="warm", prefill_tokens_per_second="8000", gpus="2")
    assert row.layout == Layout(tp=2)
    assert row.protocol == "fixed"


def test_a_pool_of_nothing_stated_is_one_worker_on_one_accelerator() -> None:
    sparse = {**REPLICA, "prefill_num_workers": "", "decode_tp_size": ""}
    row = read_row(sparse)
    assert row.prefill == row.decode == Pool(1, Layout(), None)


@pytest.mark.parametrize(
    ("cells", "parts"),
    [
        ({"prefill_num_workers": "0.5"}, ("prefill_num_workers", "0.5")),
        ({"decode_tp_size": "x"}, ("decode_tp_size", "'x'")),
        ({"decode_moe_ep_size": "5"}, ("decode_moe_tp_size 2", "decode_moe_ep_size 5", "10", "32")),
        ({"decode_batch_size": "-3"}, ("decode_batch_size", "-3")),
    ],
)
def test_a_bad_cell_of_a_pool_is_named_in_full(cells: dict[str, str], parts: tuple[str, ...]) -> None:
    problem = _problem({**POOLS, **cells})
    assert [part for part in parts if part not in problem] == []


def test_a_bad_row_stops_no_other() -> None:
    lines = [REPLICA, {**REPLICA, "concurrency": "?"}, POOLS]
    found = list(read_rows(lines))
    assert [type(item) for item in found] == [MeasuredRow, RowError, MeasuredRow]
