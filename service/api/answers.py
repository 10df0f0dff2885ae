"""From a body to the bytes of its answer, without HTTP around it; what one line of a batch is, too."""

from dataclasses import replace
from datetime import datetime

from service.api.deps import CatalogPort, Services
from service.api.strict_json import parse_strict_json
from service.api.translate import read_estimate
from service.application.answers import EstimateAnswer
from service.application.ports import CatalogSnapshot
from service.application.render import to_json_text


def compute_estimate(
    body: bytes, snapshot: CatalogSnapshot, services: Services, now: datetime
) -> EstimateAnswer:
    """Return the answer to one estimate as a caller wrote it.

    Parameters
    ----------
    body
        JSON text.
    snapshot
        The catalog that answers.
    services
        Holds the use case.
    now
        The time that ``as_of`` defaults to.

    Raises
    ------
    UnreadableJsonError
        If the text is not JSON.
    ProblemError
        If the body breaks its schema.
    ApplicationError, EngineError
        If the use case refuses.
    """
    answer = services.estimate(read_estimate(parse_strict_json(body), snapshot), snapshot, now)
    provenance = replace(answer.provenance, catalog_age_seconds=unconfirmed_seconds(services.catalog))
    return replace(answer, provenance=provenance)


def unconfirmed_seconds(catalog: CatalogPort) -> float:
    """Return for how long the database has not confirmed the catalog; 0 while it does at every look.

    The time since the last look would change an answer's bytes from one request to the next and tell
    nothing; whole seconds of an outage do.
    """
    age = catalog.age_seconds()
    return 0.0 if age is None or catalog.database_reachable() else float(round(age))


def encode_answer(answer: EstimateAnswer) -> bytes:
    """Return the JSON text of an answer; same build, same answer, same bytes."""
    # The answer is not validated again on its way out: a test validates real answers against the
    # published schema instead.
    return to_json_text(answer).encode()
