"""Parts that the pages of all answers share: explanations, and where the figures come from."""

from collections.abc import Sequence

from service.application.answers import OperatingPoint, Provenance, RowUsed
from service.cli.tables import figure, pairs, percent, wrapped


def paragraph(title: str, sentences: Sequence[str]) -> str:
    """Return a title with its sentences below it; empty where there are none."""
    return (
        "\n".join([title, *(wrapped(f"  {sentence}", "    ") for sentence in sentences)]) if sentences else ""
    )


def heading(model: str, accelerator: str, point: OperatingPoint) -> str:
    """Return what is served, and the operating point of one replica in a line."""
    limit = point.limited_by.replace("_", " ")
    state = (
        f"{figure(point.batch)} sequences decode together, held there by {limit}; "
        f"{percent(point.utilisation)} of paid time at work"
    )
    return f"{model} on {accelerator}\n{state}"


def sources(provenance: Provenance, digest: str, defaulted: Sequence[str]) -> str:
    """Return the rows, versions and defaults that an answer rests on."""
    lines = [
        ("price", "; ".join(_row(row) for row in provenance.rows if row.kind == "gpu_price") or "given"),
        ("calibration", f"{provenance.calibration} ({provenance.calibration_level})"),
        ("equations", ", ".join(provenance.equations)),
        ("version", f"engine {provenance.engine_version}, catalog {provenance.catalog_digest[:12]}"),
        ("digest", digest[:19]),
    ]
    if defaulted:
        lines.append(("chosen for you", ", ".join(defaulted)))
    return "Where it comes from (all rows: --json)\n" + pairs(lines)


def _row(row: RowUsed) -> str:
    since = f", {row.valid_from_basis} {row.valid_from:%Y-%m-%d}" if row.valid_from else ""
    return f"{row.value} {row.key} ({row.source}{since})"
