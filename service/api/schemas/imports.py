"""Bodies and answers of imports."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time
from typing import Annotated

from pydantic import BaseModel, StringConstraints

from service.api.schemas.fields import REQUEST_CONFIG
from service.api.schemas.writes import Day, Note, Slug
from service.application.write_ports.imports import (
    ImportRecord,
    ImportState,
    ImportSubmission,
    ImportSummary,
    PlannedRow,
    RejectedRow,
    SourceDisagreement,
)

Content = Annotated[str, StringConstraints(min_length=1)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^https://[!-~]+$")]


class ImportBody(BaseModel):
    """A source of prices to read."""

    model_config = REQUEST_CONFIG

    source: Slug
    """genai-prices, litellm, openrouter, skypilot, gpuhunt, own-yaml or own-csv."""
    url: Url | None = None
    """Where it lies: https, on a host that the service asks. Where it is published, if left out."""
    content: Content | None = None
    """The text of the source, instead of an address."""
    provider: Slug | None = None
    """Whose prices a file of skypilot or gpuhunt has; only there, and needed."""
    observed_on: Day | None = None
    """The day on which undated prices were seen (UTC); today where left out."""
    reason: Note = ""
    """Why; kept in the audit log."""

    def submission(self) -> ImportSubmission:
        """Return what to read."""
        day = self.observed_on
        observed_on = None if day is None else datetime.combine(day, time(), UTC)
        return ImportSubmission(self.source, self.url, self.content, self.provider, observed_on)


class ApplyBody(BaseModel):
    """Whether what an import found is written."""

    model_config = REQUEST_CONFIG

    despite_hold: bool = False
    """True applies an import that is held, by somebody who looked at why."""
    reason: Note = ""
    """Why; kept in the audit log."""


IMPORT_BODIES: tuple[type[BaseModel], ...] = (ImportBody, ApplyBody)


@dataclass(frozen=True, slots=True)
class ImportView:
    """An import, and what it changes or would change.

    Each list holds its first 1000 rows; the counts are whole.
    """

    id: int
    name: str
    state: ImportState
    url: str | None
    """Where the source was fetched; null for content that was sent, and for an installed package."""
    content_sha256: str | None
    """Null until the source was fetched."""
    base_revision: int
    """The revision that the source was compared with; while validating, the newest when it was asked for."""
    applied_revision: int | None
    """The revision that was written, if one was."""
    observed_at: datetime
    recorded_at: datetime
    detail: str
    """Why it was rejected as a whole, or why nothing had to be written; empty where neither is so."""
    counts: Mapping[str, int]
    """How many rows are added, changed, withdrawn, unchanged, rejected, held; and disagreements."""
    added: tuple[PlannedRow, ...]
    changed: tuple[PlannedRow, ...]
    withdrawn: tuple[PlannedRow, ...]
    rejected: tuple[RejectedRow, ...]
    held: tuple[str, ...]
    """Why a person must look first; empty where the import may be applied as it is."""
    disagreements: tuple[SourceDisagreement, ...]
    """Where other sources say otherwise, and which of the two counts."""


@dataclass(frozen=True, slots=True)
class ImportPage:
    """Part of the imports, the newest first."""

    data: tuple[ImportSummary, ...]
    next_cursor: str | None
    """`cursor` of the next page; null at the end."""
    catalog_revision: int


def view_import(record: ImportRecord) -> ImportView:
    """Return an import as it is shown."""
    summary, report = record.summary, record.report
    return ImportView(
        **{item.name: getattr(summary, item.name) for item in fields(summary)},
        **{item.name: getattr(report, item.name) for item in fields(report)},
        url=record.url,
        detail=record.detail,
    )
