"""Serves the explorer: one page and its files, from the installation, under a policy of its own host only."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
PAGE: Final = "index.html"
MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Asked for again each time, answered 304: a new release never meets an old script.
    "Cache-Control": "no-cache",
}


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Return the page's files by name, each with its entity tag; nothing else can be asked for."""
    folder = files("service.web") / "static"
    contents = {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
    return {
        name: (content, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        for name, content in contents.items()
        if _suffix(name) in MEDIA_TYPES
    }


def add_explorer(app: FastAPI) -> None:
    """Add the explorer at ``/explore``; it is a page, no part of the API's document."""
    app.get("/explore", include_in_schema=False)(_page)
    app.get("/explore/{name}", include_in_schema=False)(_file)


async def _page(request: Request) -> Response:
    return _answer(request, PAGE)


async def _file(request: Request, name: str) -> Response:
    if name == PAGE or name not in static_files():
        raise HTTPException(404, f"The explorer has no file {name[:100]!r}.")
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    content, tag = static_files()[name]
    headers = {**_HEADERS, "ETag": tag}
    if tag in (one.strip() for one in request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPES[_suffix(name)], headers=headers)


def _suffix(name: str) -> str:
    return name[name.rfind(".") :] if "." in name else ""
