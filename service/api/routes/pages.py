"""Pages for people: the documentation, the problem types. Nothing on them comes from elsewhere."""

import html
from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Path
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from service.api.documentation import problems
from service.api.problem_types import PROBLEM_TYPES
from service.api.problem_types.kind import ProblemType
from service.api.problems import ProblemError

# Swagger UI sets styles from its script and draws its icons from data URLs; all else is our own files.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_TEXT_EXAMPLE = "400 unreadable-json: The body is not JSON\n"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_STATIC = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}

# The addresses are relative, so that the page works behind a proxy that adds a prefix.
_DOCS_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pertoken API</title>
<link rel="icon" type="image/svg+xml" href="favicon.svg">
<link rel="stylesheet" href="docs/swagger-ui.css">
<style>.explorer{font:16px/1.5 system-ui,sans-serif;max-width:1420px;margin:1rem auto 0}</style>
</head>
<body>
<p class="explorer"><a href="explore">Explorer: what a token costs on which hardware, and why</a></p>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
<noscript>This page needs JavaScript; the same is in <a href="openapi.json">openapi.json</a>.</noscript>
</body>
</html>
"""

_START_SCRIPT = """"use strict";
window.addEventListener("load", function () {
  window.ui = SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    validatorUrl: null
  });
});
"""

_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" '
    'fill="#12355b"/><circle cx="16" cy="16" r="9.5" fill="none" stroke="#ffd166" stroke-width="3"/>'
    '<path d="M12 20l8-8" stroke="#ffd166" stroke-width="3" stroke-linecap="round"/></svg>'
)

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#1c2733}"
    "h1{font-size:1.5rem}code{background:#eef2f6;padding:.1em .3em}a{color:#12558f}"
    "dt{font-weight:600;margin-top:1rem}dd{margin:0}"
)


async def root() -> Response:
    """Lead to the documentation."""
    return RedirectResponse("docs", status_code=307)


async def docs() -> Response:
    """Show the documentation, which works without internet."""
    return HTMLResponse(_DOCS_PAGE, headers=_HEADERS)


async def docs_file(name: str) -> Response:
    """Serve a file of the documentation page."""
    if name == "start.js":
        return Response(_START_SCRIPT, media_type="text/javascript", headers=_HEADERS)
    if name not in _STATIC:
        raise ProblemError("no-such-route", f"The documentation has no file {name[:100]!r}.")
    content = (files("fastapi_offline") / "static" / name).read_bytes()
    headers = {**_HEADERS, "Cache-Control": "public, max-age=86400"}
    return Response(content, media_type=_STATIC[name], headers=headers)


async def favicon() -> Response:
    """Serve the icon."""
    headers = {**_HEADERS, "Cache-Control": "public, max-age=86400"}
    return Response(_FAVICON, media_type="image/svg+xml", headers=headers)


async def list_problems(request: Request) -> Response:
    """List every problem type: what can go wrong, and the page that explains it."""
    if _wants_html(request):
        items = "".join(
            f'<dt>{kind.status} <a href="problems/{kind.name}">{kind.name}</a></dt>'
            f"<dd>{html.escape(kind.title)}</dd>"
            for kind in PROBLEM_TYPES.values()
        )
        return _page("Problem types", f"<dl>{items}</dl>")
    lines = [f"{kind.status} {kind.name}: {kind.title}" for kind in PROBLEM_TYPES.values()]
    return PlainTextResponse("\n".join(lines) + "\n", headers={"Vary": "Accept"})


async def show_problem(
    request: Request,
    name: Annotated[str, Path(description="Name of a problem type.", examples=["unknown-model"])],
) -> Response:
    """Explain one problem type: its cause and the way out."""
    kind = PROBLEM_TYPES.get(name)
    if kind is None:
        raise ProblemError(
            "unknown-problem", f"There is no problem type {name[:100]!r}; GET /problems lists them."
        )
    if _wants_html(request):
        return _page(f"{kind.status} {kind.title}", _explanation(kind))
    text = f"{kind.status} {kind.title}\n\n{kind.cause}\n\n{kind.way_out}\n"
    return PlainTextResponse(text, headers={"Vary": "Accept"})


def add_routes(app: FastAPI) -> None:
    """Add the pages; those that show files of the documentation are not part of it."""
    app.get("/", include_in_schema=False)(root)
    app.get("/docs", include_in_schema=False)(docs)
    app.get("/docs/{name}", include_in_schema=False)(docs_file)
    app.get("/favicon.svg", include_in_schema=False)(favicon)
    app.get("/favicon.ico", include_in_schema=False)(favicon)
    text: dict[int | str, dict[str, Any]] = {
        200: {
            "description": "A page, as HTML or text.",
            "content": {"text/html": {}, "text/plain": {"example": _TEXT_EXAMPLE}},
        }
    }
    app.get(
        "/problems",
        tags=["problems"],
        summary="Problem types",
        operation_id="list_problems",
        response_class=Response,
        responses={**text},
    )(list_problems)
    app.get(
        "/problems/{name}",
        tags=["problems"],
        summary="One problem type",
        operation_id="show_problem",
        response_class=Response,
        responses={**text, **problems(404)},
    )(show_problem)


def _wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _explanation(kind: ProblemType) -> str:
    return (
        f"<p><code>/problems/{kind.name}</code></p><dl><dt>Cause</dt><dd>{html.escape(kind.cause)}</dd>"
        f'<dt>Way out</dt><dd>{html.escape(kind.way_out)}</dd></dl><p><a href="../problems">All types</a>, '
        '<a href="../docs">documentation</a></p>'
    )


def _page(title: str, content: str) -> Response:
    text = (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<link rel="icon" href="/favicon.svg"><style>{_STYLE}</style></head>'
        f"<body><h1>{html.escape(title)}</h1>{content}</body></html>\n"
    )
    return HTMLResponse(text, headers={**_HEADERS, "Vary": "Accept"})
