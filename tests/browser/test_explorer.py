"""The explorer in a real browser over the real service: what it shows is what the API answers."""

import json
import os
import re
import shlex
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Page, find_browser, open_page
from tests.builders.catalogs import seeded_database_url
from tests.builders.live import make_key
from tests.builders.server import serving

__all__ = ["seeded_database_url"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("explorer"),
    pytest.mark.skipif(find_browser() is None, reason="no Chromium is installed"),
]

ANSWERED = "document.querySelector('#answer')?.getAttribute('aria-busy') === 'false'"
SETTLED = f"{ANSWERED} && document.querySelectorAll('#ratio, #curve svg').length === 2"
PHONE, DESK = (360, 740), (1280, 900)


@pytest.fixture(scope="module")
def origin(seeded_database_url: str) -> Iterator[str]:
    environment = {**os.environ, "PERTOKEN_DATABASE_URL": seeded_database_url}
    with serving("service.bootstrap:create_service", environment) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    browser = find_browser()
    assert browser is not None
    with open_page(browser, tmp_path / "profile") as opened:
        yield opened


def _open(page: Page, origin: str, query: str = "") -> None:
    page.open(f"{origin}/explore{query}")
    page.wait_for(SETTLED)


def _text(page: Page, selector: str) -> str:
    return str(page.value_of(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))


def _type(page: Page, name: str, value: str) -> None:
    """Put a value into a control as a person does: its events follow."""
    page.value_of(
        f"(() => {{ const control = document.getElementById({json.dumps(name)});"
        f" control.value = {json.dumps(value)};"
        " for (const kind of ['input', 'change'])"
        "   control.dispatchEvent(new Event(kind, {bubbles: true})); })()"
    )


def _ask(curl: str) -> dict[str, Any]:
    """Do what a curl line does."""
    words = shlex.split(curl)
    url, data = next(word for word in words if word.startswith("http")), words[words.index("-d") + 1]
    request = urllib.request.Request(url, data.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def test_it_shows_what_the_command_beside_it_answers(page: Page, origin: str) -> None:
    _open(page, origin)
    answer = _ask(_text(page, "#curl"))
    assert answer["digest"] in _text(page, ".digest")
    shown = float(_text(page, "#ratio").rstrip("\u00d7"))
    assert shown == pytest.approx(answer["output_to_input_ratio"], rel=5e-3)
    for rate in answer["rates"]:
        amount = float(_text(page, f"[data-kind={rate['kind']}] .amount").split()[0])
        assert amount == pytest.approx(rate["per_million_tokens"], rel=5e-3)
        sure = answer["uncertainty"]["figures"].get(f"rates.{rate['kind']}.per_million_tokens")
        if sure is not None:
            shown_ends = re.findall(r"\d[\d.]*", _text(page, f"[data-kind={rate['kind']}] .interval"))[2:]
            assert [float(end) for end in shown_ends] == pytest.approx([sure["p10"], sure["p90"]], rel=5e-3)
    assert answer["explanation"][0] in _text(page, "#why")
    far = "it extrapolates" in _text(page, "#measured")
    assert far is answer["evidence"]["extrapolates"]
    runs = page.value_of("document.querySelectorAll('#measured tbody tr').length")
    assert runs == len(answer["evidence"]["nearest"])
    apart = _text(page, "#conservation").rpartition("apart by ")[2].rstrip(".")
    assert float(apart) <= 1e-9 * answer["conservation"]["bill_per_request"]
    prices = page.value_of("document.querySelectorAll('[aria-label^=\"List prices\"] tbody tr').length")
    assert prices == 1 + len(answer["list_prices"]) > 1
    assert all(row["key"] in _text(page, "[aria-label='Rows used']") for row in answer["provenance"]["rows"])


def test_it_loads_nothing_from_elsewhere_and_breaks_no_policy(page: Page, origin: str) -> None:
    _open(page, origin)
    assert [url for url in page.requested if not url.startswith(origin)] == []
    assert page.complaints == []


def test_bars_are_cut_by_the_shares_of_resources(page: Page, origin: str) -> None:
    _open(page, origin)
    output = next(rate for rate in _ask(_text(page, "#curl"))["rates"] if rate["kind"] == "output")
    bars: list[dict[str, Any]] = page.value_of(
        "[...document.querySelectorAll('.bars rect')].map(bar => ({title: bar.textContent,"
        " y: bar.getAttribute('y'), width: Number(bar.getAttribute('width'))}))"
    )
    of_output = [bar for bar in bars if bar["title"].startswith("output:")]
    whole = sum(bar["width"] for bar in of_output)
    for bar in of_output:
        resource = bar["title"].split()[1]
        assert bar["width"] / whole == pytest.approx(output["share_by_resource"][resource], abs=1e-6)


def test_the_address_holds_everything_that_was_chosen(page: Page, origin: str) -> None:
    _open(page, origin)
    _type(page, "input", "12345")
    _type(page, "utilisation", "7")
    _type(page, "amount", "1.99")
    page.wait_for(f"{SETTLED} && document.querySelector('#curl').innerText.includes('12345')")
    page.wait_for("document.querySelector('#curl').innerText.includes('1.99')")
    digest, query = _text(page, ".digest"), page.value_of("location.search")
    assert "input=12345" in query
    _open(page, origin, query)
    assert _text(page, ".digest") == digest
    assert page.value_of("document.getElementById('utilisation').value") == "7"
    body = json.loads(shlex.split(_text(page, "#curl"))[-1])
    assert body["utilisation"] == 0.07
    assert body["price"] == {"amount": "1.99", "currency": "USD"}


def test_a_refusal_stands_at_its_field_and_goes_when_it_is_mended(page: Page, origin: str) -> None:
    _open(page, origin)
    _type(page, "input", "0")
    page.wait_for("document.querySelector('#input-complaint') !== null")
    assert "greater than or equal to 1" in _text(page, "#input-complaint")
    described = page.value_of("document.getElementById('input').getAttribute('aria-describedby')")
    assert described == "input-complaint"
    assert page.value_of("document.getElementById('results').classList.contains('stale')")
    assert "out of range" in _text(page, "#problem")
    _type(page, "input", "4000")
    page.wait_for(f"{ANSWERED} && document.querySelector('#problem').hidden")
    assert page.value_of("document.querySelectorAll('.complaint, [aria-invalid]').length") == 0


@pytest.mark.parametrize(
    ("query", "control"),
    [
        ("?gpus=1&precision=bf16", "gpus"),
        ("?input=4000&output=900000", "input"),
        ("?precision=fp8&engine=vllm&point=cheapest&ttft=0.000001", "ttft"),
        ("?provider=nobody", "provider"),
        ("?point=concurrency", "concurrency"),
        ("?point=arrival_rate&rate=1e9", "rate"),
        ("?utilisation=150", "utilisation"),
        ("?amount=1.5&currency=DOLLARS", "currency"),
        ("?model=llama-3.1-71b", "model"),
    ],
)
def test_each_refusal_finds_its_control(page: Page, origin: str, query: str, control: str) -> None:
    page.open(f"{origin}/explore{query}")
    page.wait_for("document.querySelector('#problem')?.hidden === false")
    assert page.value_of("document.querySelector('[aria-invalid]')?.id") == control


def test_markup_in_a_link_stays_text(page: Page, origin: str) -> None:
    page.open(f"{origin}/explore?model=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E")
    page.wait_for("document.querySelector('#problem')?.hidden === false")
    assert "<img" in _text(page, "#problem")
    assert page.value_of("document.querySelectorAll('#answer img, #form img').length") == 0


def test_the_load_is_given_in_one_way(page: Page, origin: str) -> None:
    _open(page, origin)
    page.value_of("document.querySelector('[value=cheapest]').click()")
    page.wait_for(f"{SETTLED} && !document.querySelector('#curl').innerText.includes('concurrency')")
    assert page.value_of("document.getElementById('concurrency').closest('[data-point]').hidden")
    assert "concurrency=" not in page.value_of("location.search")
    page.value_of("document.querySelector('[value=arrival_rate]').click()")
    _type(page, "rate", "2")
    page.wait_for(f"{SETTLED} && document.querySelector('#curl').innerText.includes('requests_per_second')")
    assert "utilisation" not in json.loads(shlex.split(_text(page, "#curl"))[-1])


@pytest.mark.parametrize(
    ("axis", "words", "count"),
    [("cached_share", "found in the cache", 3), ("position", "in one request", 2)],
)
def test_the_curve_runs_over_the_axis_that_was_chosen(
    page: Page, origin: str, axis: str, words: str, count: int
) -> None:
    _open(page, origin)
    _type(page, "axis", axis)
    page.wait_for(f"document.querySelector('#curve svg')?.getAttribute('aria-label')?.includes('{words}')")
    assert f"axis={axis}" in page.value_of("location.search")
    lines = page.value_of(
        "[...document.querySelectorAll('#curve polyline')].map(line => line.getAttribute('points'))"
    )
    assert len(lines) == count
    assert all(len(points.split()) > 10 and "NaN" not in points for points in lines)


def test_a_closed_server_asks_for_its_key_and_the_link_does_not_hold_it(
    page: Page, tmp_path: Path, seeded_database_url: str
) -> None:
    own = tmp_path / "closed.db"
    shutil.copy(seeded_database_url.removeprefix("sqlite:///"), own)
    key = make_key(f"sqlite:///{own}", "read")
    environment = {**os.environ, "PERTOKEN_DATABASE_URL": f"sqlite:///{own}", "PERTOKEN_OPEN_READ": "false"}
    with serving("service.bootstrap:create_service", environment) as port:
        page.open(f"http://127.0.0.1:{port}/explore")
        page.wait_for("document.querySelector('#key-complaint') !== null")
        assert page.value_of("document.getElementById('more').open")
        _type(page, "key", key)
        page.wait_for(SETTLED)
        assert page.value_of("document.querySelectorAll('#model option').length") > 50
        assert page.value_of("document.querySelector('#problem').hidden")
        assert "ptk_" not in page.value_of("location.href")
        assert "ptk_" not in _text(page, "#curl")


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window_and_can_be_read(
    page: Page, origin: str, size: tuple[int, int], scheme: str
) -> None:
    page.show_as(*size, scheme)
    _open(page, origin)
    assert page.value_of("document.documentElement.scrollWidth") == size[0] or size == DESK
    assert page.value_of("document.documentElement.scrollWidth <= innerWidth")
    assert page.value_of(LEAST_CONTRAST) >= 4.5


def test_a_new_figure_is_announced_and_every_control_has_a_name(page: Page, origin: str) -> None:
    _open(page, origin)
    assert re.search(r"output costs [\d.]+ times input", _text(page, "#status"))
    unnamed = page.value_of(
        "[...document.querySelectorAll('input, select, button')]"
        ".filter(one => !one.labels?.length && !one.textContent.trim()).map(one => one.id)"
    )
    assert unnamed == []


LEAST_CONTRAST = """
(() => {
  const channels = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = node => {
    for (let one = node; one; one = one.parentElement) {
      const colour = channels(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] > 0.99) return colour;
    }
    return [255, 255, 255];
  };
  const own = node => [...node.childNodes].some(child => child.nodeType === 3 && child.textContent.trim());
  const shown = node => node.checkVisibility() && !node.closest('svg, .sr, .skip, option');
  const texts = [...document.querySelectorAll('body *')].filter(node => own(node) && shown(node));
  return Math.min(...texts.map(node => {
    const pair = [light(channels(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
    return (pair[0] + 0.05) / (pair[1] + 0.05);
  }));
})()
"""
"""WCAG 2.2, success criterion 1.4.3: contrast of each text with what lies behind it; drawings apart."""
