"""The explorer's page and files: what is served, under which policy, and that nothing points elsewhere."""

import re
from html.parser import HTMLParser

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.api.app import create_app
from service.web.pages import MEDIA_TYPES, PAGE, add_explorer, static_files

SCRIPTS = sorted(name for name in static_files() if name.endswith(".js"))
IMPORT = re.compile(r'from "\./([a-z]+\.js)"')


@pytest.fixture(scope="module")
def client() -> TestClient:
    app: FastAPI = create_app()
    add_explorer(app)
    return TestClient(app)


class _Markup(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.controls: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.references += [str(value) for name, value in attrs if name in ("src", "href") and value]
        self.ids += [str(named["id"])] if "id" in named else []
        self.labelled |= {str(named["for"])} if tag == "label" and "for" in named else set()
        if tag in ("input", "select") and named.get("type") not in ("radio", "checkbox"):
            self.controls.append(str(named.get("id")))
        if tag == "style" or (tag == "script" and "src" not in named):
            self.inline.append(tag)
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]


def _page(client: TestClient) -> _Markup:
    return _Markup(client.get("/explore").text)


def test_the_page_is_served_with_everything_that_it_refers_to(client: TestClient) -> None:
    response = client.get("/explore")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    references = [one for one in _page(client).references if not one.startswith("#")]
    assert "explore/main.js" in references
    for reference in references:
        assert "//" not in reference
        assert client.get(str(response.url.join(reference))).status_code == 200, reference


@pytest.mark.parametrize("name", sorted(set(static_files()) - {PAGE}))
def test_a_file_has_its_type_and_the_policy(client: TestClient, name: str) -> None:
    response = client.get(f"/explore/{name}")
    assert response.status_code == 200
    assert response.headers["content-type"] == MEDIA_TYPES[name[name.rfind(".") :]]
    rules = dict(
        rule.strip().split(" ", 1) for rule in response.headers["content-security-policy"].split(";")
    )
    assert rules["default-src"] == "'none'"
    assert {rules[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_imports_files_that_are_there_and_names_no_other_host(name: str) -> None:
    text = static_files()[name][0].decode()
    assert set(IMPORT.findall(text)) <= set(SCRIPTS)
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.[\w/]+", re.sub(r"(?m)^\s*//.*$", "", text)))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert "innerHTML" not in text
    assert "eval(" not in text


def test_every_script_is_reached_from_the_page() -> None:
    reached, waiting = set(), ["main.js"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += IMPORT.findall(static_files()[name][0].decode())
    assert reached == set(SCRIPTS)


def test_the_markup_obeys_the_policy_and_names_its_controls(client: TestClient) -> None:
    markup = _page(client)
    assert markup.inline == []
    assert len(markup.ids) == len(set(markup.ids))
    assert set(markup.controls) <= markup.labelled


def test_a_file_that_has_not_changed_is_not_sent_again(client: TestClient) -> None:
    first = client.get("/explore/main.js")
    again = client.get("/explore/main.js", headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    changed = client.get("/explore/main.js", headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200


@pytest.mark.parametrize(
    "name", ["index.html", "pages.py", "..%2fpages.py", "main.js.map", "favicon", "a.b.css"]
)
def test_no_other_file_is_served(client: TestClient, name: str) -> None:
    response = client.get(f"/explore/{name}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_the_files_are_small() -> None:
    # No build step shrinks them, so they have to be small as they are: together below 64 KiB.
    assert sum(len(content) for content, _ in static_files().values()) < 64 * 2**10
