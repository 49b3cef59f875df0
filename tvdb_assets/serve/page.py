"""The pages for people: search, a document, the login, and the description of the service.

What belongs here: what a page shows. What does not: how it looks (``templates``, ``static``), or
routes for programs (`api`). The pages need no script and nothing from other sites.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, urlencode

import fastapi_offline
from fastapi import FastAPI, Query, Request
from jinja2 import Environment, PackageLoader
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import TvdbError
from tvdb_assets.retrieval.filters import Filters
from tvdb_assets.retrieval.results import Hit, SearchResult
from tvdb_assets.retrieval.stored_document import StoredDocument
from tvdb_assets.serve import markdown_page
from tvdb_assets.serve.access import COOKIE, SESSION_SECONDS, Token
from tvdb_assets.serve.backend import SearchBackend
from tvdb_assets.serve.excerpts import excerpt
from tvdb_assets.serve.metrics import ServiceMetrics
from tvdb_assets.serve.problems import status_of
from tvdb_assets.serve.schemas import MAX_NAME, MAX_QUESTION

PAGES: Final = ("/", "/document", "/docs")
"""Paths of the pages that need the token."""
_RESULTS: Final = 10
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_Text = Annotated[str, Query(max_length=MAX_NAME)]


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("tvdb_assets.serve"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def add_pages(
    app: FastAPI, backend: SearchBackend, metrics: ServiceMetrics, token: Token | None
) -> None:
    """Add the pages to the service."""
    _add_search(app, backend, metrics)
    _add_document(app, backend)
    _add_login(app, token)
    static = StaticFiles(directory=str(files("tvdb_assets.serve") / "static"))
    app.mount("/static/swagger", StaticFiles(directory=_swagger()), name="swagger")
    app.mount("/static", static, name="static")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return _page("docs.html", policy=_DOCS_POLICY)


def _swagger() -> Path:
    return Path(fastapi_offline.__file__).parent / "static"


def _add_search(app: FastAPI, backend: SearchBackend, metrics: ServiceMetrics) -> None:
    @app.get("/", include_in_schema=False)
    async def search(
        request: Request,
        q: Annotated[str, Query(max_length=MAX_QUESTION)] = "",
        source: _Text = "",
        path: _Text = "",
        media_type: _Text = "",
        language: _Text = "",
        modified_from: _Text = "",
        modified_to: _Text = "",
    ) -> Response:
        fields = {
            "source": source,
            "path": path,
            "media_type": media_type,
            "language": language,
            "modified_from": modified_from,
            "modified_to": modified_to,
        }
        result: SearchResult | None = None
        error: TvdbError | None = None
        question = q.strip()
        # A link of another site may fill in the question. A person has to send it, because the
        # vector of a question can cost money.
        is_asked = request.headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        try:
            filters = _filters(fields)
            if question and is_asked:
                result = await backend.index.asearch(question, _RESULTS, filters)
                metrics.count_search(result)
            sources = await backend.index.asources()
        except TvdbError as raised:
            error, sources = raised, []
            request.state.error_code = raised.code
        return _page(
            "search.html",
            status=status_of(error) if error else 200,
            question=q,
            fields=fields,
            has_filters=any(fields.values()),
            result=result,
            hits=[_hit(number, hit, question) for number, hit in enumerate(result or (), 1)],
            error=error,
            sources=sources,
            media_types=sorted({kind for each in sources for kind in each.media_types}),
            languages=sorted({code for each in sources for code in each.languages}),
            documents=sum(each.searched_documents for each in sources),
            run_id=request.state.run_id,
        )


def _filters(fields: dict[str, str]) -> Filters | None:
    values: dict[str, Any] = {name: text.strip() for name, text in fields.items() if text.strip()}
    for name in ("modified_from", "modified_to"):
        if name in values:
            try:
                values[name] = datetime.fromisoformat(values[name]).replace(tzinfo=UTC)
            except ValueError:
                problem = f"{name} must be a date such as 2026-11-27"
                raise codes.REQUEST_INVALID.error(problems=problem) from None
    return Filters(**values) if values else None


def _hit(number: int, hit: Hit, question: str) -> dict[str, Any]:
    start = hit.start + hit.passage_start
    end = hit.start + hit.passage_end if hit.passage_end > hit.passage_start else hit.end
    query = {"path": hit.document, "source": hit.source, "start": start, "end": end}
    return {
        "number": number,
        "hit": hit,
        "percent": round(100 * min(1.0, max(0.0, hit.score))),
        "parts": excerpt(hit, question),
        "link": f"/document?{urlencode(query)}#hit",
    }


def _add_document(app: FastAPI, backend: SearchBackend) -> None:
    @app.get("/document", include_in_schema=False)
    async def document(
        request: Request,
        path: Annotated[str, Query(min_length=1, max_length=MAX_NAME)],
        source: _Text = "",
        page: Annotated[int | None, Query(ge=1, le=10_000_000)] = None,
        start: Annotated[int | None, Query(ge=0, le=2_000_000_000)] = None,
        end: Annotated[int | None, Query(ge=0, le=2_000_000_000)] = None,
    ) -> Response:
        try:
            stored = await backend.index.adocument(
                path, source=source or None, preferred=backend.current_source
            )
        except TvdbError as error:
            request.state.error_code = error.code
            return _page(
                "error.html", status=status_of(error), error=error, run_id=request.state.run_id
            )
        hit = (start, end) if start is not None and end is not None and start < end else None
        shown = await asyncio.to_thread(_document, stored, page, hit)
        return _page("document.html", document=stored, **shown)


def _document(
    stored: StoredDocument, page: int | None, hit: tuple[int, int] | None
) -> dict[str, Any]:
    """What the page of a document shows: all of its parts, or one of a long document."""
    parts = markdown_page.split(stored.text, stored.page_starts)
    is_whole = len(stored.text) <= markdown_page.MAX_RENDERED
    if page is None:
        page = markdown_page.part_at(parts, hit[0]) + 1 if hit else 1
    page = min(page, len(parts))
    numbers = range(1, len(parts) + 1) if is_whole else range(page, page + 1)
    sections = [
        {
            "number": number,
            "html": markdown_page.render(
                stored.text[slice(*parts[number - 1])],
                parts[number - 1][0],
                is_markdown=stored.is_markdown,
                hit=hit,
            ),
        }
        for number in numbers
    ]
    where = {"path": stored.path, "source": stored.source}
    outline = [
        {
            "heading": heading,
            "page": stored.page_at(heading.offset),
            "link": ("" if is_whole else f"/document?{_query(where, parts, heading.offset)}")
            + f"#o{heading.offset}",
        }
        for heading in stored.headings[:500]
    ]
    return {
        "sections": sections,
        "outline": outline,
        "page": page,
        "count": len(parts),
        "is_whole": is_whole,
        "where": urlencode(where),
        "hit": hit,
    }


def _query(where: dict[str, str], parts: list[tuple[int, int]], offset: int) -> str:
    return urlencode(where | {"page": str(markdown_page.part_at(parts, offset) + 1)})


def _add_login(app: FastAPI, token: Token | None) -> None:
    @app.get("/login", include_in_schema=False)
    async def login() -> Response:
        return _page("login.html", is_wrong=False) if token else RedirectResponse("/", 303)

    @app.post("/login", include_in_schema=False)
    async def enter(request: Request) -> Response:
        if token is None:
            return RedirectResponse("/", 303)
        form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
        if not token.is_equal(form.get("token", [""])[0].strip()):
            request.state.error_code = codes.TOKEN_WRONG.code
            return _page("login.html", status=401, is_wrong=True)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE,
            token.new_session(),
            max_age=SESSION_SECONDS,
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response


def _page(name: str, *, status: int = 200, policy: str = _POLICY, **values: Any) -> HTMLResponse:
    html = _templates().get_template(name).render(**values)
    return HTMLResponse(html, status, {"Content-Security-Policy": policy})
