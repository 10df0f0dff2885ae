"""Prints every figure of speed beside its target: ``python -m benchmarks``.

About four minutes on two cores; ``--batches`` adds batches of a million lines by four clients, some ten more.
"""

import argparse

from benchmarks import engine_speed, http_batch, http_estimates, import_interference, startup, usage_pricing
from benchmarks.table import HEADER, machine


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run over HTTP")
    parser.add_argument("--rounds", type=int, default=5, help="of alternating runs over HTTP")
    parser.add_argument("--port", type=int, default=8140, help="first of three that are free")
    parser.add_argument("--batches", action="store_true", help="also batches of a million lines")
    chosen = parser.parse_args()
    print(machine(), HEADER, sep="\n", flush=True)
    for rows in (
        engine_speed.rows(),
        http_estimates.rows(chosen.seconds, chosen.rounds, chosen.port),
        usage_pricing.rows(20_000),
        import_interference.rows(chosen.rounds * 2, chosen.port),
        startup.rows(chosen.port),
    ):
        for row in rows:
            print(row, flush=True)
    if chosen.batches:
        for what in http_batch.PATHS:
            http_batch.run(what, http_batch.LINES[what], list(http_batch.CLIENTS), chosen.port)
    print(machine())


if __name__ == "__main__":
    main()
