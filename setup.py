"""Maps the top-level data folders into the package; the rest stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["service", "service.*"]),
        "service._migrations",
        "service._hardware_catalog",
    ],
    package_dir={
        "service._migrations": "migrations",
        "service._hardware_catalog": "hardware_catalog",
    },
    package_data={
        "": ["py.typed", "**/*.yaml", "**/*.html", "**/*.css", "**/*.js", "**/*.svg", "**/*.json"],
        "service._migrations": ["*.py", "*.mako", "versions/*.py"],
        "service._hardware_catalog": ["*.yaml", "*.md", "**/*.yaml"],
    },
)
