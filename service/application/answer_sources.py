"""What an answer rests on: catalog rows, calibration, equations, and a digest over all that decides it."""

import hashlib
from datetime import datetime

import orjson

from service.application.answers import Provenance, RowUsed
from service.application.deployment import Deployment
from service.application.gpu_price import ChosenPrice
from service.application.ports import CatalogSnapshot
from service.application.resolve import Resolved
from service.engine.version import ENGINE_VERSION

EQUATIONS = ("W1-W6", "R1-R9", "N1-N4", "S1-S7", "B1-B8", "M1", "P1-P3", "C1", "E1-E3", "U1-U6")


def provenance_of(
    resolved: Resolved, snapshot: CatalogSnapshot, now: datetime, further: tuple[str, ...] = ()
) -> Provenance:
    """Return what an answer rests on; ``further`` equations beside those of every estimate."""
    info, deployment = snapshot.info, resolved.deployment
    rows = [*deployment_rows(deployment)]
    if deployment.model is not None:
        rows.insert(0, _row("model", deployment.model.id, deployment.model.source))
    price = price_row(resolved.price)
    if price is not None:
        rows.append(price)
    return Provenance(
        engine_version=ENGINE_VERSION,
        catalog_revision=info.revision,
        catalog_digest=info.digest,
        catalog_age_seconds=max(0.0, (now - info.loaded_at).total_seconds()),
        calibration=deployment.calibration.name,
        calibration_level=deployment.calibration.level,
        rows=tuple(rows),
        equations=(*EQUATIONS, *further),
    )


def deployment_rows(deployment: Deployment) -> tuple[RowUsed, ...]:
    """Return the accelerator and the calibration that a deployment rests on."""
    accelerator, calibration = deployment.accelerator, deployment.calibration
    return (
        _row("accelerator", accelerator.id, accelerator.source),
        _row("calibration", calibration.name, calibration.level),
    )


def price_row(chosen: ChosenPrice) -> RowUsed | None:
    """Return the catalog row behind a price; None where the caller gave the amount."""
    price = chosen.row
    if price is None:
        return None
    return RowUsed(
        kind="gpu_price",
        key=f"{price.provider}/{price.accelerator}/{price.region}/{price.commitment}",
        row_id=price.stamp.row_id,
        revision_from=price.stamp.revision_from,
        valid_from=price.stamp.valid_from,
        valid_to=price.stamp.valid_to,
        valid_from_basis=price.stamp.valid_from_basis,
        source=price.source,
        value=f"{price.price.amount} {price.price.currency} per {price.price.per}",
    )


def _row(kind: str, key: str, source: str) -> RowUsed:
    return RowUsed(kind, key, None, None, None, None, None, source, "")


def digest_of(resolved: Resolved) -> str:
    """Return a digest over the resolved request, the rows used, the calibration and the engine version.

    ``as_of``, ``known_at`` and ``defaulted`` stay out: the rows they selected are in.
    """
    request, row = resolved.request, resolved.price.row
    content = (
        request.model,
        request.accelerator,
        request.layout,
        request.serving,
        request.formats,
        request.workload,
        request.operating_point,
        request.utilisation,
        request.price,
        request.split,
        request.kv_view,
        request.closure,
        request.include,
        request.costs,
        request.load_profile,
        request.utilisation_range,
        *(() if request.uncertainty is None else (request.uncertainty,)),
        resolved.deployment.content,
        ENGINE_VERSION,
        str(resolved.price.amount),
        None if row is None else row.stamp.valid_from,
    )
    return "sha256:" + hashlib.sha256(orjson.dumps(content, default=str)).hexdigest()
