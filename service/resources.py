"""Where the data that travels with the package lies, in a checkout and in an installed wheel.

A wheel carries the top-level folders ``migrations`` and ``hardware_catalog`` inside the package, as
``service/_migrations`` and ``service/_hardware_catalog`` (``setup.py``); a checkout has them beside it.
"""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent


def _folder(name: str, marker: str) -> Path:
    """Return the installed folder, else the checkout's.

    Raises
    ------
    FileNotFoundError
        Where neither holds ``marker``.
    """
    candidates = (_PACKAGE / f"_{name}", _PACKAGE.parent / name)
    for candidate in candidates:
        if (candidate / marker).is_file():
            return candidate
    looked = " and ".join(str(candidate / marker) for candidate in candidates)
    raise FileNotFoundError(f"The installation lacks its {name} folder; looked for {looked}.")


def migrations_directory() -> Path:
    """Return the Alembic environment (``env.py`` and ``versions/``)."""
    return _folder("migrations", "env.py")


def hardware_catalog_directory() -> Path:
    """Return the folder of seed files."""
    return _folder("hardware_catalog", "units.yaml")
