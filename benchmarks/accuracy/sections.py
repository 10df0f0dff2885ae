"""Sections of the report; every sentence that carries a figure is made from it."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from benchmarks.accuracy.comparison import Theirs
from benchmarks.accuracy.judged import Array, FirstTokens, Judged, Mask, measured_of
from benchmarks.accuracy.text import Errors, macro, number, percent, table
from benchmarks.published_systems import Compared
from service.application.calibrate import LeftOut
from service.application.coverage import correlation_of, held_by_intervals
from service.application.spreads import CORRELATION

TARGETS = (
    ("TPOT, architecture left out, mean over architectures: median", "tpot", "median", 0.15),
    ("TPOT, architecture left out, mean over architectures: p90", "tpot", "p90", 0.45),
    ("TTFT under protocol, architecture left out, pooled: median", "ttft", "median", 0.25),
)
FAR_OFF = 0.4
"""|ln| of modelled over published from which a published figure counts as far off."""
GROUPS = ("architecture", "accelerator", "engine", "format")


def targets(judged: Judged) -> str:
    """Return the targets beside what is reached."""
    plain, judgement = judged.plain, judged.made.by_architecture
    names = judged.labels["architecture"][plain]
    reached = {
        "tpot": macro(judgement.tpot[plain], names),
        "ttft": Errors.of(judgement.ttft[plain]),
    }
    rows = []
    for title, which, statistic, limit in TARGETS:
        value = getattr(reached[which], statistic)
        verdict = "met" if value <= limit else "missed"
        rows.append((title, percent(limit), percent(value), verdict))
    return "## Targets\n\n" + table(("what", "at most", "reached", ""), rows)


def summary(with_suspect: Judged, without: Judged) -> str:
    """Return the errors in and out of sample, with and without suspect rows, pooled and macro."""
    rows = []
    for title, judged in (("without suspect rows", without), ("with suspect rows", with_suspect)):
        plain = judged.plain
        names = judged.labels["architecture"][plain]
        for how, found in _judgements(judged):
            for what, logs in (("TPOT", found.tpot[plain]), ("TTFT", found.ttft[plain])):
                pooled, mean = Errors.of(logs), macro(logs, names)
                rows.append(
                    (f"{what}, {how}, {title}", str(pooled.count), *pooled.cells(), *mean.cells()[:2])
                )
    titles = ("", "runs", "median", "p90", "bias", "macro median", "macro p90")
    return (
        "## In sample and out\n\n"
        "Shown is |predicted / measured - 1| over runs that did not speculate for sure. *Macro* is the mean "
        "over architectures of each one's figure. A family of accelerators left out leaves the other "
        "one to fit.\n\n" + table(titles, rows) + "\n\n" + _speculating(without)
    )


def by_group(judged: Judged) -> str:
    """Return the errors with the architecture left out, by kind of group."""
    plain, found = judged.plain, judged.made.by_architecture
    rows = []
    for kind in GROUPS:
        labels = judged.labels[kind][plain]
        for group in np.unique(labels):
            inside = labels == group
            tpot, ttft = Errors.of(found.tpot[plain][inside]), Errors.of(found.ttft[plain][inside])
            rows.append((f"{kind} {group}", str(tpot.count), *tpot.cells(), *ttft.cells()))
    titles = (
        "", "runs", "TPOT median", "TPOT p90", "TPOT bias", "TTFT median", "TTFT p90", "TTFT bias"
    )  # fmt: skip
    return "## By group, architecture left out\n\n" + table(titles, rows)


def first_token_section(judged: Judged, found: FirstTokens) -> str:
    """Return TTFT by what of it is predicted, in sample: three different figures against one measurement."""
    plain = judged.plain
    engines = judged.labels["engine"][plain]
    rows = []
    for engine in (*np.unique(engines), "all"):
        inside = np.ones(engines.shape, dtype=bool) if engine == "all" else engines == engine
        for title, logs in (
            ("bare prefill", found.bare),
            ("steady state", found.steady),
            ("run protocol", found.protocol),
        ):
            errors = Errors.of(logs[plain][inside])
            rows.append((f"{engine}: {title}", str(errors.count), *errors.cells()))
    return (
        "## Time to first token: bare, steady and under the run's protocol\n\n"
        "Measured TTFT is a mean over a whole benchmark run, its first wave of simultaneous requests and the "
        "HTTP front end included. The bare prefill of one prompt and the steady state of an endless closed "
        "loop are other figures; only the replay of the run is meant to agree (in sample).\n\n"
        + table(("", "runs", "median", "p90", "bias"), rows)
    )


def repeats(judged: Judged) -> str:
    """Return how far equal runs are apart: no prediction of them can do better."""
    same: dict[tuple[object, ...], list[int]] = {}
    for place in np.flatnonzero(judged.plain).tolist():
        row = judged.cases[place].row
        asked = (row.protocol, row.input_tokens, row.output_tokens, row.concurrency, row.layout)
        served = (row.model, row.accelerator, row.engine, row.precision, row.gemm_format, row.expert_format)
        same.setdefault((*asked, *served), []).append(place)
    groups = [places for places in same.values() if len(places) > 1]
    rows = []
    for what, measured in zip(("TPOT", "TTFT"), measured_of(judged.cases), strict=True):
        logs = [np.log(measured[places]) - np.log(measured[places]).mean() for places in groups]
        errors = Errors.of(np.concatenate(logs)) if logs else Errors.of(np.array([]))
        rows.append((what, str(errors.count), *errors.cells()[:2]))
    return (
        "## What measurement itself repeats\n\n"
        f"{len(groups)} configurations were measured more than once, on other days or releases. Distance of "
        "each from their geometric mean, which no prediction that knows neither can undercut:\n\n"
        + table(("", "runs", "median", "p90"), rows)
    )


def coverage(judged: Judged) -> str:
    """Return how often 80 % intervals hold left-out measurements."""
    plain = judged.plain
    cases = [case for case, chosen in zip(judged.cases, plain, strict=True) if chosen]
    left_out = _part(judged.made.by_architecture, plain)
    held = held_by_intervals(cases, left_out)
    rows = []
    groups = [("all", np.ones(len(cases), dtype=bool))]
    for kind in ("engine", "family"):
        labels = judged.labels[kind][plain]
        groups += [(f"{kind} {group}", labels == group) for group in np.unique(labels)]
    for name, inside in groups:
        found = held.over(name, inside)
        cells = (percent(found.tpot), percent(found.ttft), percent(found.throughput))
        rows.append((name, str(found.rows), *cells))
    overall = held.over("all", groups[0][1])
    within = all(0.75 <= share <= 0.85 for share in (overall.tpot, overall.ttft, overall.throughput))
    verdict = "all three lie" if within else "not all three lie"
    correlation = correlation_of(left_out)
    return (
        "## Do intervals hold what they say?\n\n"
        "Share of measurements inside the 80 % interval around a prediction whose fit has not seen the "
        "architecture; the interval's spread has not seen it either. Throughput is C / (TTFT + "
        "(n - 1) TPOT), "
        f"its interval drawn from both. Over all runs {verdict} in 75 to 85 %.\n\n"
        + table(("", "runs", "TPOT", "TTFT", "throughput"), rows)
        + f"\n\nResiduals of TPOT and TTFT correlate by {correlation['values']:.2f} "
        f"({correlation['ranks']:.2f} by rank); intervals are drawn with {CORRELATION:g}."
    )


def compared(judged: Judged, theirs: Theirs, seconds: float) -> str:
    """Return the same rows by both, on the rows the other package can run."""
    plain, ours = judged.plain, judged.made.by_architecture
    names = judged.labels["architecture"]
    run = plain & np.isfinite(theirs.tpot)
    rows = []
    for title, logs, chosen in (
        ("TPOT, aiconfigurator", theirs.tpot, run),
        ("TPOT, pertoken, architecture left out", ours.tpot, run),
        ("TPOT, pertoken, architecture left out, all rows", ours.tpot, plain),
        ("TTFT, aiconfigurator", theirs.ttft, run),
        ("TTFT, pertoken, architecture left out", ours.ttft, run),
        ("TTFT, pertoken, architecture left out, all rows", ours.ttft, plain),
    ):
        pooled, mean = Errors.of(logs[chosen]), macro(logs[chosen], names[chosen])
        rows.append((title, str(pooled.count), *pooled.cells(), *mean.cells()[:2]))
    reasons = "; ".join(f"{reason} {count}" for reason, count in theirs.reasons) or "none"
    return (
        "## The same rows by aiconfigurator\n\n"
        "`aiconfigurator` 0.12 with its default databases, means of the run's lengths, requests "
        "in flight over "
        "attention ranks as its batch; nothing of ours was fitted to its sample or tuned to it. "
        "Its TTFT knows "
        f"no run protocol. It runs {percent(run.sum() / plain.sum())} of the {plain.sum()} rows that did not "
        f"speculate; the others end in: {reasons}.\n\n"
        + table(("", "rows", "median", "p90", "bias", "macro median", "macro p90"), rows)
        + f"\n\nTime of one prediction: {1e3 * theirs.seconds:.1f} ms there (median of a call, "
        "database loaded "
        f"and its version known), {1e3 * seconds:.1f} ms here (CPU, the replay of the whole run included)."
    )


def published(found: Sequence[Compared]) -> str:
    """Return published figures of whole systems beside the modelled ones."""
    rows = [
        (
            f"{row.system}: {row.case} ({row.quantity})",
            number(row.published),
            number(row.modelled),
            f"{row.ratio:.2f}",
            f"{row.ratio_without_communication:.2f}",
            row.level,
        )
        for row in found
    ]
    titles = ("system and case", "published", "modelled", "ratio", "ratio, hidden", "calibration")
    return (
        "## Published systems\n\n"
        "Nothing was tuned to these; cases and sources stand in `benchmarks/published/`, the last column is "
        "the level of the calibration in force. *Hidden*: were all communication done behind compute and "
        "nothing paid for that. DeepSeek's pools run two micro-batches (`serving.overlap: two_batch`), as "
        "published.\n\n" + table(titles, rows) + "\n\n" + _communication(found)
    )


def _communication(found: Sequence[Compared]) -> str:
    """Say whether communication explains the figures that are far off."""
    far = [row for row in found if abs(np.log(row.ratio)) > FAR_OFF]
    limit = f"a factor of {np.exp(FAR_OFF):.2g}"
    if not far:
        return f"None is off by more than {limit}."
    said = f"{len(far)} of {len(found)} are off by more than {limit}."
    explained = [
        row for row in far if abs(np.log(row.ratio_without_communication)) < abs(np.log(row.ratio)) / 2
    ]
    if not explained:
        return said
    return (
        f"{said} In {len(explained)} of them hiding communication removes more than half of the difference: "
        "the engine adds it to a step where no second micro-batch hides it (N and S7 of "
        "[equations.md](equations.md)). PaLM's weights lay so on the chips that there was less of it."
    )


def _judgements(judged: Judged) -> Iterator[tuple[str, LeftOut]]:
    yield "in sample", judged.made.inside
    yield "architecture left out", judged.made.by_architecture
    yield "accelerator family left out", judged.made.by_family


def _speculating(judged: Judged) -> str:
    found = judged.made.by_architecture
    rows = []
    for kind, title in (("mtp", "speculated"), ("unknown", "may have speculated")):
        inside = judged.labels["speculative"] == kind
        tpot, ttft = Errors.of(found.tpot[inside]), Errors.of(found.ttft[inside])
        rows.append((title, str(tpot.count), *tpot.cells(), *ttft.cells()))
    titles = ("", "runs", "TPOT median", "p90", "bias", "TTFT median", "p90", "bias")
    return (
        "Runs that speculated, or may have, apart (architecture left out; those marked unknown are predicted "
        "as plain decoding, so a positive bias is what speculation would look like):\n\n"
        + table(titles, rows)
    )


def _part(found: LeftOut, chosen: Mask) -> LeftOut:
    return LeftOut(found.tpot[chosen], found.ttft[chosen])


def measured_and_predicted(judged: Judged) -> Mapping[str, tuple[Array, Array]]:
    """Return (measured, predicted) by TPOT and TTFT with the architecture left out, seconds."""
    tpot, ttft = measured_of(judged.cases)
    found = judged.made.by_architecture
    return {"TPOT": (tpot, tpot * np.exp(found.tpot)), "TTFT": (ttft, ttft * np.exp(found.ttft))}
