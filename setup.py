"""Maps the top-level data folders into the package; the rest stands in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

CATALOG_FOLDERS = sorted(path.name for path in Path("hardware_catalog").iterdir() if path.is_dir())

setup(
    packages=[
        *find_packages(include=["service", "service.*"]),
        "service._migrations",
        "service._migrations.versions",
        "service._hardware_catalog",
        *(f"service._hardware_catalog.{name}" for name in CATALOG_FOLDERS),
    ],
    package_dir={
        "service._migrations": "migrations",
        "service._hardware_catalog": "hardware_catalog",
    },
    package_data={
        "": ["py.typed", "*.yaml", "*.html", "*.css", "*.js", "*.svg", "*.json", "*.mako", "*.md"],
        "service.web": ["static/*"],
    },
)
