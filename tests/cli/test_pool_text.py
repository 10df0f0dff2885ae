"""Both pools on the page of an estimate, from the command as typed and from an answer."""

import json
from decimal import Decimal

import pytest

from service.application.requests import PriceRequest, UncertaintyRequest
from service.cli.estimate_text import estimate_text
from tests.builders.estimates import make_estimate
from tests.builders.pools import given, in_flight, make_pooled, planned
from tests.cli.conftest import RunCommand


def test_a_page_shows_both_pools_what_is_idle_and_the_transfer() -> None:
    answer, pools = make_pooled(pools=given(2, 3), operating_point=in_flight(400.0))
    text = estimate_text(answer)
    assert "llama-3.1-8b on 2 x 1 h100-sxm for prefill, 3 x 1 h100-sxm for decode" in text
    rows = [line.split() for line in text.splitlines() if line.startswith(("prefill  ", "decode  "))]
    assert [row[:4] for row in rows[:2]] == [["prefill", "2", "2", "2"], ["decode", "3", "3", "2"]]
    assert f"the {pools.limited_by} pool limits" in text
    assert "idle is USD" in text
    assert "transfer: 0.3932 GB a prompt in 13.11 ms" in text
    assert "Steady state of one decode worker" in text
    assert "over 3 decode workers" in text


def test_a_planned_prefill_pool_is_a_fraction() -> None:
    answer, pools = make_pooled(pools=planned())
    assert f"{pools.prefill.workers:.4g} prefill workers to a decode worker" in estimate_text(answer)


def test_intervals_say_how_sure_prefill_is() -> None:
    answer, _ = make_pooled(uncertainty=UncertaintyRequest(samples=64))
    assert "prefill pool: spread of ln of its steps 0.39; the same price" in estimate_text(answer)
    own = planned(price=PriceRequest(amount=Decimal(3), currency="USD"))
    answer, _ = make_pooled(uncertainty=UncertaintyRequest(samples=64), pools=own)
    assert "price USD 3 to 3 per hour over 1 rows" in estimate_text(answer)


def test_a_page_without_pools_is_about_a_replica() -> None:
    text = estimate_text(make_estimate())
    assert "Steady state of one replica" in text
    assert "transfer" not in text


def test_the_command_takes_pools(
    run: RunCommand, seeded_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERTOKEN_DATABASE_URL", seeded_database_url)
    outcome = run(
        *("estimate", "llama-3.1-70b", "h200-sxm", "--tp", 4, "--concurrency", 256, "--json"),
        *("--prefill-workers", 2, "--decode-workers", 2, "--prefill-accelerator", "h100-sxm"),
        *("--prefill-tp", 8),
    )
    assert outcome.code == 0, outcome.err
    pools = json.loads(outcome.out)["pools"]
    assert (pools["prefill"]["workers"], pools["prefill"]["layout"]["tp"]) == (2, 8)
