"""Predicts measured rows with the ``aiconfigurator`` package, for comparison.

Run it by the interpreter of an environment of its own that has the package; it needs nothing of ours::

    python3.11 -m venv .venv-aic && .venv-aic/bin/pip install aiconfigurator
    .venv-aic/bin/python benchmarks/aiconfigurator_rows.py DATA.csv OUT.csv

Writes, for each row of DATA.csv by its place in it, ``ttft_ms``, ``tpot_ms``, ``seconds`` (of the call)
or ``error``. Default databases of the newest engine version that the package has. Requests in flight over
attention ranks are its batch; lengths are the run's means. Rows that speculated are left out.
"""

import csv
import logging
import sys
import time
import warnings
from functools import cache
from pathlib import Path
from typing import Any

MODELS = {
    "meta-llama/Llama-3.1-70B": "meta-llama/Meta-Llama-3.1-70B",
    "meta-llama/Llama-3.1-8B-Instruct": "meta-llama/Meta-Llama-3.1-8B",
    "nvidia/Llama-3.1-8B-Instruct-FP8": "meta-llama/Meta-Llama-3.1-8B",
    "nvidia/DeepSeek-R1-NVFP4": "deepseek-ai/DeepSeek-R1",
}
"""Names under which the package bundles the same architecture."""
GEMM = {"bf16": "bfloat16", "fp8": "fp8", "fp8_block": "fp8_block", "int4_wo": "int4_wo", "nvfp4": "nvfp4"}
EXPERTS = {**GEMM, "mxfp4": "w4a16_mxfp4"}
COLUMNS = ("row", "ttft_ms", "tpot_ms", "seconds", "error")


def main() -> None:
    """Predict the rows of a file."""
    logging.disable(logging.CRITICAL)
    warnings.filterwarnings("ignore")
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    with source.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with target.open("w", buffering=1, newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for number, row in enumerate(rows):
            if row.get("speculative") != "mtp":
                writer.writerow({"row": number, **predict(row)})


def predict(row: dict[str, str]) -> dict[str, Any]:
    """Return what the package says of a row, or why it says nothing."""
    from aiconfigurator.cli.api import cli_estimate

    try:
        arguments = asked(row)
        start = time.perf_counter()
        found = cli_estimate(**arguments)
    except Exception as error:  # noqa: BLE001 - whatever it raises is its answer to this row
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"}
    seconds = time.perf_counter() - start
    return {"ttft_ms": float(found.ttft), "tpot_ms": float(found.tpot), "seconds": f"{seconds:.4f}"}


@cache
def newest_version(system: str, backend: str) -> str:
    """Return the version whose database the package takes by default; finding it reads hundreds of files."""
    from aiconfigurator.sdk.perf_database import get_latest_database_version

    return str(get_latest_database_version(system, backend))


def asked(row: dict[str, str]) -> dict[str, Any]:
    """Return the call's arguments."""
    ranks = int(row["attention_dp"])
    arguments: dict[str, Any] = {
        "model_path": MODELS.get(row["model"], row["model"]),
        "system_name": row["accelerator"],
        "backend_name": row["engine"],
        "backend_version": newest_version(row["accelerator"], row["engine"]),
        "isl": round(float(row["mean_input_tokens"])),
        "osl": round(float(row["mean_output_tokens"])),
        "batch_size": max(round(float(row["concurrency"]) / ranks), 1),
        "tp_size": int(row["tp"]),
        "attention_dp_size": ranks,
        "moe_tp_size": int(row["moe_tp"] or 1),
        "moe_ep_size": int(row["moe_ep"] or 1),
    }
    if row.get("gemm_quant"):
        arguments["gemm_quant_mode"] = GEMM[row["gemm_quant"]]
    if row.get("moe_quant"):
        arguments["moe_quant_mode"] = EXPERTS[row["moe_quant"]]
    return arguments


if __name__ == "__main__":
    main()
