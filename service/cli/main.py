"""The command ``pertoken``. Heavy imports wait until a command needs them: ``--help`` stays quick."""

import os
import sys

# Before anything imports numpy. The arrays here are small: threads of BLAS wait for each other longer than
# they work, and the service has workers and a pool of its own. Whoever sets the variable is left alone.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
from typing import Annotated

import typer

from service.cli import (
    accelerators,
    calibrate,
    compare,
    curve,
    estimate,
    import_,
    keys,
    models,
    prices,
    server,
    tariff,
    usage,
    validate,
)

# Rich would cost a third of the start-up time for boxes around the help.
app = typer.Typer(
    name="pertoken",
    help="What a token of a language model costs on given hardware, why, and what providers charge.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"pertoken {version('pertoken')}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take what stands before a command."""


server.register(app)
estimate.register(app)
curve.register(app)
tariff.register(app)
compare.register(app)
models.register(app)
accelerators.register(app)
prices.register(app)
import_.register(app)
usage.register(app)
keys.register(app)
validate.register(app)
calibrate.register(app)


def main() -> None:
    """Run a command; turn its errors into a message and an exit code."""
    try:
        app(prog_name="pertoken")
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("PERTOKEN_TRACEBACK"):
            raise
        from service.cli.failures import describe, exit_code_of

        print(describe(error), file=sys.stderr)
        sys.exit(exit_code_of(error))


if __name__ == "__main__":
    main()
