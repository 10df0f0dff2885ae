"""A fitted set as the document that ships: entries by scope, their spreads, the digest of the data."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from service.application.calibrate import Fitted, LeftOut, scopes_of
from service.calibration.measured import MeasuredRow
from service.calibration.published import PUBLISHED, scaled
from service.calibration.scopes import FittedSet
from service.engine.spans import Array
from service.engine.types import Calibration, Efficiency

P90: Final = 1.2815515655446004
"""The standard normal's 90th percentile."""
COVERED: Final = 0.8
POOLED_ROWS: Final = 100.0
"""Rows that the pooled spread counts for beside a scope's own."""
WIDER_SCOPE: Final = 1.15
WIDEST_SCOPE: Final = 1.6
"""Factors on the spread of left-out families, for scopes that have no run of the family or engine, or
of neither. Assumed: the sample has two families and three engines."""
_SIGNIFICANT: Final = 5
_FORMATTED: Final = ("gemm", "experts")


def calibration_document(
    fitted: Fitted, judged: tuple[LeftOut, LeftOut], identity: tuple[str, str, str]
) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    fitted
        The fit.
    judged
        Residuals with the architecture left out, and with the accelerator family left out.
    identity
        Name of the set, id of its source, digest of its data.
    """
    name, source, digest = identity
    architecture, family = judged
    found, scopes = fitted.set, scopes_of(fitted.cases)
    plain = np.array([case.row.speculative == "none" for case in fitted.cases])
    pooled = (spread(architecture.tpot[plain]), spread(architecture.ttft[plain]))
    wide = (spread(family.tpot[plain]) * WIDER_SCOPE, spread(family.ttft[plain]) * WIDER_SCOPE)
    widest = (wide[0] / WIDER_SCOPE * WIDEST_SCOPE, wide[1] / WIDER_SCOPE * WIDEST_SCOPE)
    vendors = sorted({case.accelerator.spec.vendor for case in fitted.cases})
    entries = [_entry(found, (None, None), widest, source)]
    # All runs are of these vendors: what holds in general is what is known of them.
    entries += [{"vendor": vendor} | _entry(found, (None, None), wide, source) for vendor in vendors]
    entries += [_entry(found, (None, engine), wide, source) for engine in found.engines]
    entries += [_entry(found, (known, None), wide, source) for known in found.families]
    entries += _published_entries(found, widest)
    for scope in sorted(set(scopes)):
        inside = plain & np.array([place == scope for place in scopes])
        own = tuple(
            blended_spread(logs[inside], middle)
            for logs, middle in zip((architecture.tpot, architecture.ttft), pooled, strict=True)
        )
        entries.append(_entry(found, scope, (own[0], own[1]), source))
    return {
        "name": name,
        "default": True,
        "data_digest": digest,
        "entries": entries,
        "source": source,
        "note": f"Fitted to {len(fitted.cases)} measured runs by pertoken calibrate; see docs/accuracy.md.",
    }


def data_digest(rows: Iterable[MeasuredRow]) -> str:
    """Return SHA-256 over the rows' cells, whatever the file's line ends and order of columns."""
    digest = hashlib.sha256()
    for row in rows:
        cells = {key: value for key, value in row.values.items() if key}
        digest.update(json.dumps(cells, sort_keys=True).encode())
    return digest.hexdigest()


def spread(logs: Array) -> float:
    """Return the normal spread whose central 80 % holds 80 % of the residuals."""
    known = np.abs(logs[np.isfinite(logs)])
    return float(np.quantile(known, COVERED) / P90) if known.size else 0.5


def blended_spread(logs: Array, pooled: float) -> float:
    """Return a scope's spread, drawn towards the pooled one where it has few runs."""
    rows = int(np.isfinite(logs).sum())
    own = spread(logs)
    return float(np.sqrt((rows * own**2 + POOLED_ROWS * pooled**2) / (rows + POOLED_ROWS)))


def _published_entries(found: FittedSet, spreads: tuple[float, float]) -> list[dict[str, Any]]:
    """Return the entries of families that no run was measured on but whose kernels were."""
    entries = []
    for published in PUBLISHED:
        if published.family in found.families:
            continue
        for engine in (None, *found.engines):
            calibration = scaled(found.calibration(None, engine), published)
            document = _written(calibration, (published.family, engine), spreads, published.source)
            entries.append(document | {"basis": "published", "note": published.note})
    return entries


def _entry(
    found: FittedSet, scope: tuple[str | None, str | None], spreads: tuple[float, float], source: str
) -> dict[str, Any]:
    return _written(found.calibration(*scope), scope, spreads, source)


def _written(
    calibration: Calibration,
    scope: tuple[str | None, str | None],
    spreads: tuple[float, float],
    source: str,
) -> dict[str, Any]:
    family, engine = scope
    document: dict[str, Any] = {}
    if family:
        document["family"] = family
    if engine:
        document["engine"] = engine
    document["basis"] = "fitted"
    document["operators"] = {
        name: _efficiency(eta, spreads[0]) for name, eta in calibration.operators.items() if "@" not in name
    }
    document["formats"] = {
        stored: {
            name: _efficiency(calibration.operators[f"{name}@{stored}"], spreads[0]) for name in _FORMATTED
        }
        for stored in _formats(calibration)
    }
    for name in (
        "launch_seconds_per_layer", "host_seconds_per_step", "host_seconds_per_sequence",
        "collective_latency_seconds", "scale_up_efficiency", "scale_out_efficiency", "expert_imbalance",
    ):  # fmt: skip
        document[name] = _rounded(getattr(calibration, name))
    extra = {name: _rounded(value) for name, value in calibration.extra.items()}
    document["extra"] = extra | {
        "tpot_log_spread": _rounded(spreads[0]),
        "ttft_log_spread": _rounded(spreads[1]),
    }
    document["source"] = source
    return document


def _formats(calibration: Calibration) -> Sequence[str]:
    return sorted({name.split("@")[1] for name in calibration.operators if "@" in name})


def _efficiency(eta: Efficiency, log_spread: float) -> Mapping[str, float]:
    figures = {"compute": _rounded(min(eta.compute, 1.0)), "memory": _rounded(min(eta.memory, 1.0))}
    if eta.half_rate_tokens:
        figures["half_rate_tokens"] = _rounded(eta.half_rate_tokens)
    return figures | {"log_spread": _rounded(log_spread)}


def _rounded(value: float) -> float:
    return float(f"{value:.{_SIGNIFICANT}g}")
