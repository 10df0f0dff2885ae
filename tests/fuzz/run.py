"""``python -m tests.fuzz.run --examples 100`` lets Schemathesis loose on every operation of the service.

All checks, with an admin key and without one, on a server of its own over a copy of the seeded catalog;
nothing is excluded. Prints what Schemathesis prints and ends with 1 where it found something.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from service.catalog.database import migrate, open_engine
from service.catalog.seeding import seed
from service.resources import hardware_catalog_directory
from tests.builders.live import make_key
from tests.builders.server import REPOSITORY, serving

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


PHASES = "examples,coverage,fuzzing,stateful"


def fuzz(
    url: str, *, examples: int, with_key: bool, phases: str = PHASES, seed_number: int = 1
) -> subprocess.CompletedProcess[str]:
    """Run Schemathesis against a service over a database that it may change.

    Parameters
    ----------
    url
        Of a seeded catalog.
    examples
        Most cases an operation and phase.
    with_key
        Whether requests carry an admin key.
    phases
        Of Schemathesis.
    seed_number
        Of the generator.
    """
    key = make_key(url, "admin")
    # A machine that this keeps busy may be late with a look at the database; that is no outage.
    environment = {**os.environ, "PERTOKEN_DATABASE_URL": url, "PERTOKEN_POLL_INTERVAL_SECONDS": "5"}
    with serving("service.bootstrap:create_service", environment) as port:
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run"]
        command += [f"http://127.0.0.1:{port}/openapi.json", "--checks", "all", "--continue-on-failure"]
        command += [
            "--max-examples",
            str(examples),
            "--seed",
            str(seed_number),
            "--no-color",
            "--phases",
            phases,
        ]
        if with_key:
            command += ["--header", f"Authorization: Bearer {key}"]
        told_where = {**os.environ, "PERTOKEN_FUZZED": f"http://127.0.0.1:{port}"}
        return subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env=told_where
        )


def main() -> int:
    """Seed a catalog, fuzz with and without a key; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database-url", help="An empty database; an SQLite file where left out.")
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for with_key in (True, False):
            url = options.database_url or f"sqlite:///{folder}/{with_key}.db"
            engine = open_engine(url)
            migrate(engine)
            seed(engine, hardware_catalog_directory())
            engine.dispose()
            told = fuzz(url, examples=options.examples, with_key=with_key, seed_number=options.seed)
            sys.stdout.write(f"{'with' if with_key else 'without'} a key\n{told.stdout}{told.stderr}")
            failed = failed or told.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
