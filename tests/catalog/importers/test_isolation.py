"""Parsing in a process of its own: the same drafts come back, and limits hold."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.catalog.importers import litellm, own_files, skypilot
from service.catalog.importers.isolation import ParseLimits, parse_apart
from service.catalog.importers.reading import ReadContext, SourceError
from tests.catalog.importers.test_adapters import OWN_CSV, OWN_YAML

DATA = Path(__file__).parent / "data"
CONTEXT = ReadContext(
    source="a-source",
    observed_at=datetime(2026, 11, 23, tzinfo=UTC),
    content_digest="d",
    accelerators={"l40s": "l40s", "h100": "h100-sxm"},
    provider="acme",
)


def test_what_the_child_read_is_what_the_adapter_reads() -> None:
    for name, read, content in (
        ("litellm", litellm.read, (DATA / "litellm.json").read_bytes()),
        ("skypilot", skypilot.read, (DATA / "skypilot_nebius.csv").read_bytes()),
        ("own-yaml", own_files.read_own_yaml, OWN_YAML),
        ("own-csv", own_files.read_own_csv, OWN_CSV),
    ):
        assert parse_apart(name, content, CONTEXT) == read(content, CONTEXT)


def test_what_the_adapter_refuses_the_child_refuses_in_the_same_words() -> None:
    with pytest.raises(SourceError, match="web page"):
        parse_apart("litellm", b"<html>", CONTEXT)


def test_a_source_that_needs_more_memory_than_is_admitted_is_refused() -> None:
    # Fifty million list items take about 400 MiB once they are parsed.
    content = b'{"m": [' + b"0," * 50_000_000 + b"0]}"
    with pytest.raises(SourceError, match="MiB"):
        parse_apart("litellm", content, CONTEXT, ParseLimits(memory_bytes=512 * 2**20))


def test_a_source_that_takes_longer_than_is_admitted_is_refused() -> None:
    content = b'{"m": "' + b"a" * 60_000_000 + b'"}'
    with pytest.raises(SourceError, match=r"time|seconds"):
        parse_apart("litellm", content, replace(CONTEXT, provider=None), ParseLimits(seconds=1))
