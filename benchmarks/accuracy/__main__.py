"""Writes the accuracy report: fits the measured runs, judges the fit on runs it has not seen.

The measured runs are not in the repository, so their files are named; the page names their digest::

    python -m benchmarks.accuracy --data aggregated.csv --pools disaggregated.csv --models CONFIGS \
        [--aiconfigurator OUT.csv] [--out docs/accuracy.md]

Plots need the extra ``plots``; the comparison needs what ``benchmarks/aiconfigurator_rows.py`` wrote.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.accuracy import sections
from benchmarks.accuracy.comparison import read_theirs
from benchmarks.accuracy.judged import Judged, first_tokens, judge, predict_disaggregated
from benchmarks.accuracy.plots import write_plots
from benchmarks.accuracy.pools import disaggregated
from benchmarks.accuracy.text import page
from benchmarks.accuracy.worst import worst
from benchmarks.catalog import seeded_catalog
from benchmarks.published_systems import compare_all
from service.application.cases import CaseBuilder
from service.bootstrap import read_snapshot
from service.cli.measured_files import config_reader, read_csv

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Write the page."""
    asked = _arguments()
    with seeded_catalog() as settings:
        snapshot = read_snapshot(settings)
    builder = CaseBuilder(snapshot, config_reader(asked.models))
    rows = read_csv(asked.data)[1]
    judged, suspect = judge(rows, builder), judge(rows, builder, suspect=True)
    first = first_tokens(judged)
    parts = [_head(judged), sections.targets(judged), sections.summary(suspect, judged)]
    parts += [
        sections.by_group(judged),
        _figures(judged, asked.out),
        sections.coverage(judged),
        worst(judged),
    ]
    parts += [sections.repeats(judged), sections.first_token_section(judged, first)]
    if asked.pools:
        pools = predict_disaggregated(read_csv(asked.pools)[1], builder, judged)
        parts.append(disaggregated(pools))
    if asked.aiconfigurator:
        theirs = read_theirs(asked.aiconfigurator, judged)
        parts.append(sections.compared(judged, theirs, first.seconds))
    parts.append(sections.published(compare_all(snapshot)))
    asked.out.write_text(page(parts), encoding="utf-8")
    sys.stdout.write(f"{asked.out}: written\n")


def _head(judged: Judged) -> str:
    document = judged.made.document
    return (
        "# Accuracy\n\n"
        "<!-- Written by python -m benchmarks.accuracy; do not edit by hand. -->\n\n"
        "How far predictions are from measured runs of vLLM, SGLang and TensorRT-LLM, on runs "
        "that the fit has "
        "and has not seen. The protocol of the fit: one parameter per accelerator family, engine, operator "
        "class and format, none per model or run; architectures and accelerator families left "
        "out in turn.\n\n"
        f"{len(judged.cases)} runs fitted, {judged.made.unused} not used; SHA-256 of their data "
        f"`{document['data_digest']}`. The measured runs are not part of the repository: `make accuracy "
        "DATA=folder` makes the fit and this page from them."
    )


def _figures(judged: Judged, out: Path) -> str:
    written = write_plots(judged, out.with_suffix(""))
    if not written:
        return ""
    shown = "\n".join(f"![{title}]({path.relative_to(out.parent).as_posix()})" for title, path in written)
    return f"## Predicted against measured\n\n{shown}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy")
    parser.add_argument("--data", type=Path, required=True, help="measured runs of one replica")
    parser.add_argument("--pools", type=Path, help="measured runs of separate pools")
    parser.add_argument("--models", type=Path, help="config.json files named <org>--<name>.json")
    parser.add_argument("--aiconfigurator", type=Path, help="what benchmarks/aiconfigurator_rows.py wrote")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs" / "accuracy.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
