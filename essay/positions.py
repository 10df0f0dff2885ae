"""Figures by position: what the n-th token of a request costs, and how many share the run it is made in."""

from typing import Any

from essay.lengths import Lengths, read_lengths
from essay.workshop import LLAMA, Workshop
from service.application.curve_answers import CurveAnswer
from service.application.requests import SampleRequest

Figures = dict[str, Any]
LONG_PROMPT = SampleRequest(input_tokens=120_000, output_tokens=1_000)
LONG_OUTPUT = SampleRequest(input_tokens=1_000, output_tokens=10_001)
PLOTTED = SampleRequest(input_tokens=4_000, output_tokens=4_000)
SHARE_POSITIONS = (10, 100, 250, 500)


def position_figures(workshop: Workshop) -> Figures:
    """Return the figures of the sections on positions."""
    prompt = workshop.curve(LLAMA, axis="position", view="by_pass", request=LONG_PROMPT, points=400)
    at = {n: _input_cost(workshop, n) for n in (11, 1_001, 10_001, 100_001)}
    late = {n: _output_cost(workshop, n, "by_pass") for n in (11, 10_001)}
    by_cause = {n: _output_cost(workshop, n, "by_cause") for n in (11, 10_001)}
    traces = [read_lengths("azure-conversation-2023"), read_lengths("mooncake-conversation")]
    checked = workshop.curve(LLAMA, axis="position", request=PLOTTED, points=50)
    return {
        "input": at,
        "input_10001_over_11": at[10_001] / at[11],
        "input_100001_over_11": at[100_001] / at[11],
        "output": late,
        "output_by_cause": by_cause,
        "output_10001_over_11": late[10_001] / late[11],
        "output_by_cause_11_over_10001": by_cause[11] / by_cause[10_001],
        "integral_bound": "1e-9",
        "integral_error": checked.conservation.relative_difference if checked.conservation else 1.0,
        "azure": _trace(traces[0]),
        "mooncake": _trace(traces[1]),
        "charts": {
            "positions": _parts(prompt),
            "early-late": _views(workshop),
            "runs": [row for trace in traces for row in _runs(trace)],
        },
    }


def _cost_at(curve: CurveAnswer, position: float) -> float:
    return curve.series["cost"][list(curve.x).index(position)]


def _input_cost(workshop: Workshop, position: int) -> float:
    """Return the cost of an input token, per million, of a prompt long enough to have it."""
    curve = workshop.curve(
        LLAMA,
        axis="position",
        view="by_pass",
        request=LONG_PROMPT,
        start=position,
        stop=position + 1,
        points=2,
    )
    return _cost_at(curve, position)


def _output_cost(workshop: Workshop, position: int, view: str) -> float:
    """Return the cost of an output token, per million; the first comes out of prefill and is no run."""
    first = LONG_OUTPUT.input_tokens + position
    curve = workshop.curve(
        LLAMA, axis="position", view=view, request=LONG_OUTPUT, start=first - 1, stop=first, points=2
    )
    return _cost_at(curve, first)


def _parts(curve: CurveAnswer) -> list[Figures]:
    return [
        {"position": at, "part": words, "cost": cost}
        for name, words in (("linear", "everything else"), ("attention", "attention"))
        for at, cost in zip(curve.x, curve.series[name], strict=True)
        if at <= LONG_PROMPT.input_tokens
    ]


def _views(workshop: Workshop) -> list[Figures]:
    rows = []
    for view, words in (
        ("by_pass", "charged to the run that reads"),
        ("by_cause", "charged to the token read"),
    ):
        first = PLOTTED.input_tokens + 2
        curve = workshop.curve(
            LLAMA,
            axis="position",
            view=view,
            request=PLOTTED,
            start=first,
            stop=PLOTTED.input_tokens + PLOTTED.output_tokens - 1,
            points=60,
        )
        rows += [
            {"position": at - PLOTTED.input_tokens, "view": words, "cost": cost}
            for at, cost in zip(curve.x, curve.series["cost"], strict=True)
        ]
    return rows


def _trace(lengths: Lengths) -> Figures:
    return {
        "source": lengths.source,
        "requests": lengths.requests,
        "mean_input": lengths.mean_input,
        "mean_output": lengths.mean_output,
        "mix": lengths.mean_input / lengths.mean_output,
        "reach": {n: lengths.share_reaching(n) for n in SHARE_POSITIONS},
        "join": {n: lengths.share_of_runs_joined(n) for n in SHARE_POSITIONS},
    }


def _runs(lengths: Lengths) -> list[Figures]:
    step = 20
    name = "chat (Azure)" if lengths.name.startswith("azure") else "chat with long prompts (Mooncake)"
    return [
        {"position": at, "trace": name, "joined": lengths.share_of_runs_joined(at)}
        for at in range(1, 801, step)
    ]
