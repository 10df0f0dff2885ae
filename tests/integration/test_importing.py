"""Imports on both databases: what is added, changed, withdrawn, held, rejected; twice is once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import Engine, func, select

from service.application.errors import ConflictError
from service.application.ports import Price, Selector
from service.catalog import tables
from service.catalog.content import load_content
from service.catalog.database import current_revision, open_engine, reading, writing
from service.catalog.drafts import ImportBatch, ListingDraft, ReferenceDraft
from service.catalog.import_plan import plan_import
from service.catalog.importing import ImportOutcome, apply_plan, record_import, run_import
from service.catalog.snapshot import Snapshot
from tests.builders.drafts import SOURCE, accelerator, batch, day, foundation, gpu_price, list_price


@pytest.fixture
def engine(catalog_engine: Engine) -> Engine:
    """A catalog with registries and one accelerator at revision 1."""
    run_import(catalog_engine, foundation(), actor="test")
    return catalog_engine


def take(engine: Engine, content: ImportBatch) -> ImportOutcome:
    return run_import(engine, content, actor="test")


def snapshot(engine: Engine) -> Snapshot:
    with reading(engine) as connection:
        return Snapshot.of(load_content(connection))


def counts(outcome: ImportOutcome) -> dict[str, int]:
    assert outcome.plan is not None
    return {name: count for name, count in outcome.plan.counts().items() if count}


def test_the_same_content_twice_is_a_no_op(engine: Engine) -> None:
    first = take(engine, batch(gpu_price("4"), list_price("1")))
    again = take(engine, batch(gpu_price("4"), list_price("1")))
    assert (first.state, first.revision, counts(first)) == ("applied", 2, {"added": 2})
    assert (again.state, again.revision, again.plan) == ("unchanged", None, None)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(tables.import_record)).scalar_one() == 2


def test_the_same_rows_under_another_digest_write_no_revision(engine: Engine) -> None:
    take(engine, batch(gpu_price("4"), digest="1"))
    outcome = take(engine, batch(gpu_price("4"), digest="2"))
    assert (outcome.state, outcome.revision, counts(outcome)) == ("applied", None, {"unchanged": 1})
    assert take(engine, batch(gpu_price("4"), digest="2")).state == "unchanged"


def test_going_back_to_earlier_content_applies_it_again(engine: Engine) -> None:
    take(engine, batch(gpu_price("4"), digest="1"))
    take(engine, batch(gpu_price("5"), digest="2"))
    assert take(engine, batch(gpu_price("4"), digest="1")).revision == 4
    assert snapshot(engine).gpu_prices(None, None, None)[0].price.amount == Decimal(4)


def test_a_sighting_that_is_seen_again_changes_nothing(engine: Engine) -> None:
    take(engine, batch(list_price("1", "2025-01-01", basis="observed"), digest="1"))
    outcome = take(engine, batch(list_price("1", "2025-05-01", basis="observed"), digest="2"))
    assert outcome.revision is None
    assert snapshot(engine).list_prices("acme", "m-1", day("2025-02-01"), None)


def test_a_sighting_of_another_price_is_a_change_on_its_day(engine: Engine) -> None:
    take(engine, batch(list_price("1", "2025-01-01", basis="observed"), digest="1"))
    outcome = take(engine, batch(list_price("2", "2025-05-01", basis="observed"), digest="2"))
    assert counts(outcome) == {"changed": 1}
    now = snapshot(engine)
    found = [row.price.amount for row in now.list_prices("acme", "m-1", None, None)]
    assert found == [Decimal(1), Decimal(2)]
    assert now.list_prices("acme", "m-1", day("2025-04-30"), None)[0].price.amount == Decimal(1)


def test_absence_withdraws_nothing_unless_the_source_is_complete(engine: Engine) -> None:
    many = [gpu_price("4", region=f"r{index}") for index in range(40)]
    take(engine, batch(*many, digest="1"))
    partly = take(engine, batch(*many[1:], digest="2"))
    assert counts(partly) == {"unchanged": 39}
    complete = take(engine, batch(*many[1:], digest="3", complete=(SOURCE,)))
    assert counts(complete) == {"unchanged": 39, "withdrawn": 1}
    now = snapshot(engine)
    assert len(now.gpu_prices(None, day("2025-05-31"), None)) == 40
    assert len(now.gpu_prices(None, day("2025-06-01"), None)) == 39


def test_only_rows_of_the_complete_source_are_withdrawn(engine: Engine) -> None:
    other = gpu_price("4", source="other-page")
    many = [gpu_price("4", region=f"r{index}") for index in range(40)]
    take(engine, batch(other, *many, digest="1"))
    outcome = take(engine, batch(*many, digest="2", complete=(SOURCE,)))
    assert outcome.revision is None


def test_a_large_withdrawal_is_held(engine: Engine) -> None:
    many = [gpu_price("4", region=f"r{index}") for index in range(40)]
    take(engine, batch(*many, digest="1"))
    outcome = take(engine, batch(*many[3:], digest="2", complete=(SOURCE,)))
    assert (outcome.state, outcome.revision) == ("held", None)
    assert outcome.plan is not None
    assert outcome.plan.held == (f"3 of 40 current rows of {SOURCE} would be withdrawn",)
    assert len(snapshot(engine).gpu_prices(None, day("2026-01-01"), None)) == 40
    accepted = run_import(
        engine, batch(*many[3:], digest="2", complete=(SOURCE,)), actor="test", reviewed=True
    )
    assert accepted.state == "applied"


@pytest.mark.parametrize(
    ("amount", "state"),
    [("12", "applied"), ("12.000001", "held"), ("1.3333333333", "held"), ("1.34", "applied"), ("0", "held")],
)
def test_a_change_of_more_than_three_times_is_held(engine: Engine, amount: str, state: str) -> None:
    take(engine, batch(gpu_price("4"), digest="1"))
    assert take(engine, batch(gpu_price(amount), digest="2")).state == state


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (replace(gpu_price("4"), accelerator="nothing"), "accelerator 'nothing'"),
        (gpu_price("4", source="nowhere"), "source 'nowhere'"),
        (list_price("4", meter="nothing"), "meter 'nothing'"),
        (gpu_price("4", "2025-01-01", "2025-01-01"), "not after"),
        (replace(gpu_price("4"), region=" "), "region is empty"),
        (replace(gpu_price("4"), price=Price(Decimal(4), "USD", "nothing")), "unit 'nothing'"),
        (replace(gpu_price("4"), price=Price(Decimal(4), "USD", "million_tokens")), "does not measure"),
        (replace(gpu_price("4"), price=Price(Decimal("NaN"), "USD", "gpu_hour")), "not zero or more"),
        (replace(gpu_price("4"), price=Price(Decimal(-4), "USD", "gpu_hour")), "not zero or more"),
        (
            ListingDraft(SOURCE, "acme", "m-1", "nothing", "same", None, "read", day("2025-01-01").date()),
            "model 'nothing'",
        ),
    ],
)
def test_a_bad_row_is_rejected_and_the_rest_goes_on(engine: Engine, bad: object, reason: str) -> None:
    outcome = take(engine, batch(bad, gpu_price("4", region="good")))  # type: ignore[arg-type]
    assert outcome.plan is not None
    assert counts(outcome) == {"added": 1, "rejected": 1}
    assert reason in outcome.plan.rejected[0].reason


def test_reviewed_content_is_refused_whole_for_one_bad_row(engine: Engine) -> None:
    content = batch(gpu_price("4", source="nowhere"), gpu_price("4"))
    assert run_import(engine, content, actor="test", reviewed=True).state == "rejected"
    assert snapshot(engine).info.revision == 1


def test_rows_of_one_key_that_overlap_are_rejected_but_the_first(engine: Engine) -> None:
    outcome = take(engine, batch(gpu_price("4"), gpu_price("5", "2025-03-01")))
    assert counts(outcome) == {"added": 1, "rejected": 1}


def test_prices_with_nothing_to_choose_between_them_are_rejected(engine: Engine) -> None:
    outcome = take(
        engine,
        batch(
            list_price("1"),
            list_price("2", selector=Selector(service_tier="batch")),
            list_price("3", selector=Selector(region="eu")),
        ),
    )
    assert counts(outcome) == {"added": 2, "rejected": 1}


def test_an_alias_belongs_to_one_row(engine: Engine) -> None:
    clash = accelerator("h200-sxm", ("H100_SXM",))
    outcome = take(engine, replace(batch(accelerator(), clash), complete_kinds=frozenset({"accelerator"})))
    assert counts(outcome) == {"unchanged": 1, "rejected": 1}


def test_reference_rows_keep_their_history(engine: Engine) -> None:
    changed = accelerator(aliases=("h100",))
    take(engine, batch(changed, accelerator("h200-sxm", ()), digest="1"))
    now = snapshot(engine)
    assert [row.id for row in now.accelerators()] == ["h100-sxm", "h200-sxm"]
    assert now.accelerator("H100").id == "h100-sxm"
    assert set(now.documents("accelerator", 1)) == {"h100-sxm"}
    assert now.documents("accelerator", 1)["h100-sxm"].document["aliases"] == ["h100_sxm"]
    gone = replace(batch(changed, digest="2"), complete_kinds=frozenset({"accelerator"}))
    take(engine, gone)
    assert [row.id for row in snapshot(engine).accelerators()] == ["h100-sxm"]


def test_a_plan_is_refused_once_the_catalog_moved(engine: Engine) -> None:
    with reading(engine) as connection:
        plan = plan_import(connection, batch(gpu_price("4")))
    take(engine, batch(gpu_price("5"), name="other"))
    with pytest.raises(ConflictError, match="plan again"), writing(engine) as connection:
        apply_plan(connection, plan, record_import(connection, plan, "preview"), actor="test")
    with engine.connect() as connection:
        assert current_revision(connection) == 2


def _at_once(url: str, batches: list[ImportBatch]) -> list[ImportOutcome]:
    """Run imports at the same moment, each over connections of its own."""
    start = threading.Barrier(len(batches))

    def run(content: ImportBatch) -> ImportOutcome:
        other = open_engine(url)
        start.wait()
        try:
            return take(other, content)
        finally:
            other.dispose()

    with ThreadPoolExecutor(len(batches)) as pool:
        return list(pool.map(run, batches))


def test_imports_at_once_follow_each_other(engine: Engine, catalog_url: str) -> None:
    many = [
        batch(*(gpu_price("4", provider=f"p{source}", region=f"r{n}") for n in range(30)), name=f"s{source}")
        for source in range(4)
    ]
    outcomes = _at_once(catalog_url, many)
    assert [outcome.state for outcome in outcomes] == ["applied"] * 4
    assert sorted(outcome.revision or 0 for outcome in outcomes) == [2, 3, 4, 5]
    assert len(snapshot(engine).gpu_prices(None, None, None)) == 120


def test_of_the_same_import_at_once_one_is_applied(engine: Engine, catalog_url: str) -> None:
    same = batch(*(gpu_price("4", region=f"r{n}") for n in range(30)))
    outcomes = _at_once(catalog_url, [same] * 4)
    assert sorted(outcome.state for outcome in outcomes) == ["applied", *["unchanged"] * 3]
    assert snapshot(engine).info.revision == 2


def test_a_source_document_is_needed_before_its_rows(engine: Engine) -> None:
    source = ReferenceDraft("source", "new-page", (), {"id": "new-page", "title": "x", "kind": "x"}, "")
    outcome = take(engine, batch(source, gpu_price("4", source="new-page")))
    assert counts(outcome) == {"added": 2}
