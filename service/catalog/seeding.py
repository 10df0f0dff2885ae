"""Seeds a catalog: the files of ``hardware_catalog/`` and the list prices of the genai-prices package."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from service.catalog.importers.genai_prices import read_genai_prices
from service.catalog.importing import ImportOutcome, last_applied_digest, run_import
from service.catalog.seed_loader import BATCH_NAME, SeedError, read_seeds, seed_digest

ACTOR = "seed"


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What seeding did, by batch."""

    outcomes: dict[str, ImportOutcome]

    @property
    def changed(self) -> bool:
        """Whether any batch wrote a revision."""
        return any(outcome.revision is not None for outcome in self.outcomes.values())

    @property
    def held(self) -> tuple[str, ...]:
        """Why batches were held, if any were."""
        return tuple(
            reason
            for outcome in self.outcomes.values()
            if outcome.state == "held" and outcome.plan is not None
            for reason in outcome.plan.held
        )


def seed(engine: Engine, directory: Path) -> SeedReport:
    """Bring a migrated catalog up to the seed files; seeding twice changes nothing.

    The files are reviewed where they are kept, so what would be held of them is applied, and one row
    that cannot be used refuses them all; the package's prices are held like any import's.

    Raises
    ------
    SeedError
        Where a seed file is not usable or a row of it refers to something unknown.
    """
    own = seed_files(engine, directory)
    package = run_import(engine, read_genai_prices().batch, actor=ACTOR)
    _raise_rejected(package)
    return SeedReport({BATCH_NAME: own, "genai-prices": package})


def seed_files(engine: Engine, directory: Path) -> ImportOutcome:
    """Apply the seed files alone; see :func:`seed`."""
    with engine.connect() as connection:
        if last_applied_digest(connection, BATCH_NAME) == seed_digest(directory):
            return ImportOutcome("unchanged", None, None, None)
    outcome = run_import(engine, read_seeds(directory, datetime.now(UTC)), actor=ACTOR, reviewed=True)
    _raise_rejected(outcome)
    return outcome


def _raise_rejected(outcome: ImportOutcome) -> None:
    if outcome.state == "rejected" and outcome.plan is not None:
        raise SeedError([f"{rejected.origin}: {rejected.reason}" for rejected in outcome.plan.rejected])
