"""The version of this build."""

from importlib.metadata import PackageNotFoundError, version


def build_version() -> str:
    """Return the installed distribution's version; ``0`` in a tree that was never installed."""
    try:
        return version("pertoken")
    except PackageNotFoundError:
        return "0"


VERSION = build_version()
