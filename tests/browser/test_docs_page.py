"""The documentation in a real browser that can reach nothing but this service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import Page, find_browser, open_page
from tests.builders.server import serving

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_browser() is None, reason="no Chromium is installed"),
]


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with serving("tests.api.server_app:make_app") as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    browser = find_browser()
    assert browser is not None
    with open_page(browser, tmp_path / "profile") as opened:
        yield opened


def test_the_documentation_shows_every_operation_and_loads_nothing_from_elsewhere(
    page: Page, origin: str
) -> None:
    page.open(origin + "/")
    page.wait_for("document.querySelectorAll('.opblock').length >= 16")
    text = page.value_of("document.body.innerText")
    assert "One estimate" in text
    assert "Unable to render" not in text
    assert page.value_of("document.title") == "pertoken API"
    page.wait_for("fetch(document.querySelector('.explorer a').href).then(answer => answer.ok)")
    page.wait_for("fetch('favicon.svg').then(answer => answer.ok)")
    outside = [url for url in page.requested if not url.startswith((origin, "data:", "about:", "blob:"))]
    assert outside == []
    assert page.complaints == []


def test_the_first_example_works_from_the_page(page: Page, origin: str) -> None:
    page.open(origin + "/docs#/estimates/estimate")
    page.wait_for("document.querySelector('#operations-estimates-estimate .execute') !== null")
    page.value_of("document.querySelector('#operations-estimates-estimate .execute').click()")
    status = page.wait_for(
        "document.querySelector('#operations-estimates-estimate .live-responses-table "
        ".response .response-col_status')?.innerText"
    )
    assert status.split()[0] == "200"
    assert page.complaints == []


def test_a_problem_page_obeys_its_own_policy(page: Page, origin: str) -> None:
    page.open(origin + "/problems/unknown-model")
    page.wait_for("document.querySelector('h1')?.innerText.includes('Unknown model')")
    assert page.complaints == []
