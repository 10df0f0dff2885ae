"""Request lengths of a real service, small enough to ship: from a public trace to a few hundred numbers.

``python -m essay.lengths NAME FORMAT TRACE`` writes ``essay/lengths/NAME.json``. The trace itself stays out.
"""

import json
import sys
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from service.application.requests import SampleRequest
from service.application.traces import TraceFormat, TraceLimits, read_trace

FOLDER = Path(__file__).parent / "lengths"
OUTPUT_GROUPS, INPUT_GROUPS = 40, 25
"""Requests are cut into 40 groups of equal count by output, each into 25 by input; means stand for groups."""
SOURCES = {
    "azure-conversation-2023": "Azure Public Dataset, AzureLLMInferenceTrace_conv (November 2023), CC-BY 4.0",
    "mooncake-conversation": "Mooncake, FAST'25 release, conversation trace, Apache-2.0",
}
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lengths:
    """Lengths of the requests of one trace."""

    name: str
    source: str
    requests: int
    mean_input: float
    mean_output: float
    sample: tuple[SampleRequest, ...]
    """1 000 means of groups of equal count."""
    output: Array
    """Output lengths that occur, ascending."""
    output_requests: Array
    """Requests of each."""

    def share_reaching(self, position: int) -> float:
        """Return the share of requests with at least so many output tokens."""
        return float(self.output_requests[self.output >= position].sum() / self.requests)

    def share_of_runs_joined(self, position: int) -> float:
        """Return the share of all decode runs in which the output token at a position, from 1, is read.

        A request of T output tokens makes T - 1 decode runs after prefill; output m is read in T - m of
        them. Summed over requests, those with fewer than m tokens included: E[max(T - m, 0)] / E[T - 1].
        """
        later = np.maximum(self.output - position, 0.0) @ self.output_requests
        return float(later / ((self.output - 1.0) @ self.output_requests))


def condense(requests: Array, name: str) -> dict[str, Any]:
    """Return what is shipped of a trace.

    Parameters
    ----------
    requests
        Input, cached and output tokens, shape (N, 3); at least 1 000 rows.
    name
        A key of ``SOURCES``.
    """
    order = requests[np.argsort(requests[:, 2], kind="stable")]
    cells = [
        cell
        for group in _cut(order, OUTPUT_GROUPS)
        for cell in _cut(group[np.argsort(group[:, 0], kind="stable")], INPUT_GROUPS)
    ]
    output, count = np.unique(requests[:, 2].astype(int), return_counts=True)
    return {
        "source": SOURCES[name],
        "requests": int(requests.shape[0]),
        "mean_input": round(float(requests[:, 0].mean()), 3),
        "mean_output": round(float(requests[:, 2].mean()), 3),
        "sample": [[round(float(cell[:, 0].mean())), round(float(cell[:, 2].mean()))] for cell in cells],
        "output_histogram": [output.tolist(), count.tolist()],
    }


def _cut(rows: Array, parts: int) -> list[Array]:
    """Cut into parts whose sizes differ by one at most, the larger ones spread evenly: no end weighs more."""
    edges = np.linspace(0, rows.shape[0], parts + 1).round().astype(int)
    return [rows[first:last] for first, last in pairwise(edges)]


@cache
def read_lengths(name: str) -> Lengths:
    """Read shipped lengths."""
    content = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    output, count = (np.array(row, dtype=np.float64) for row in content["output_histogram"])
    return Lengths(
        name=name,
        source=content["source"],
        requests=content["requests"],
        mean_input=content["mean_input"],
        mean_output=content["mean_output"],
        sample=tuple(SampleRequest(*row) for row in content["sample"]),
        output=output,
        output_requests=count,
    )


def write(name: str, form: str, trace: Path) -> None:
    """Condense a trace into the shipped file.

    Raises
    ------
    InvalidRequestError
        A trace that cannot be read.
    """
    chosen: TraceFormat = "mooncake_jsonl" if form == "mooncake_jsonl" else "azure_csv"
    limits = TraceLimits(context_tokens=2**31, cache="none")
    content = condense(read_trace(trace.read_text(encoding="utf-8"), chosen, limits).requests, name)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
