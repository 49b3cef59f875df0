"""The HTTP service: its routes, and what every request has in common.

What belongs here: routes for programs, errors, headers, the log line of a request. What does not:
pages for people (`page`), who may send a request (`access`), or running a server (`server`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import new_run_id, run_scope
from tvdb_assets.error_boundaries import redacting_errors
from tvdb_assets.errors import TvdbError
from tvdb_assets.request_origins import OriginRules
from tvdb_assets.retrieval.index import MAX_RESULTS
from tvdb_assets.serve.access import AccessControl, Token
from tvdb_assets.serve.backend import SearchBackend
from tvdb_assets.serve.metrics import ServiceMetrics
from tvdb_assets.serve.page import PAGES, add_pages
from tvdb_assets.serve.problems import problem
from tvdb_assets.serve.schemas import (
    MAX_METADATA,
    MAX_NAME,
    MAX_QUESTION,
    DocumentFields,
    FilterFields,
    Health,
    Problem,
    SearchAnswer,
    SearchRequest,
    SourceFields,
    SourceList,
)
from tvdb_assets.telemetry import HTTP_REQUEST, log_event

_DESCRIPTION = """Search the documents of an index, and read their stored text. Nothing here writes.

Send the token of the service as `Authorization: Bearer …`, if it has one. Errors are
`application/problem+json` with a stable `code`.
"""
_ERRORS: dict[int | str, dict[str, Any]] = {
    "default": {
        "model": Problem,
        "description": "An error",
        "content": {"application/problem+json": {}},
    }
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # With no-referrer, browsers would send the origin null with the form of the login.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def create_app(
    backend: SearchBackend, *, token: str | None, hosts: str = "", is_loopback: bool = True
) -> ASGIApp:
    """The service as an ASGI application.

    Args:
        backend: the index; closed when the server shuts down.
        token: the secret that requests need; None answers requests without one.
        hosts: names, separated by commas, under which a proxy offers the service.
        is_loopback: whether only this machine reaches the service.
    """
    secret = Token(token) if token is not None else None
    app = _application(backend, secret)
    rules = OriginRules(
        hosts.split(","), what="service", setting="TVDB_SERVE_HOSTS", checks_host=is_loopback
    )
    return AccessControl(app, rules=rules, token=secret, pages=PAGES)


def _application(backend: SearchBackend, token: Token | None) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await backend.aclose()

    app = FastAPI(
        title="tvdb search",
        description=_DESCRIPTION,
        version=version("tvdb-assets"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        responses=_ERRORS,
        # Only describes the token; `AccessControl` checks it.
        dependencies=[Security(HTTPBearer(auto_error=False))] if token else [],
        separate_input_output_schemas=False,
    )
    metrics = ServiceMetrics()
    _add_common(app, metrics)
    _add_routes(app, backend, metrics)
    add_pages(app, backend, metrics, token)
    return app


def _add_common(app: FastAPI, metrics: ServiceMetrics) -> None:
    @app.middleware("http")
    async def answer(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        started = time.perf_counter()
        run_id = request.state.run_id = new_run_id()
        error: TvdbError | None = None
        with run_scope(run_id):
            try:
                with redacting_errors(run_id):
                    response = await call_next(request)
            except TvdbError as raised:
                error = raised
                response = problem(raised)
        seconds = time.perf_counter() - started
        route = _route(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = run_id
        metrics.count_request(request.method, route, response.status_code, seconds)
        code = error.code if error else getattr(request.state, "error_code", None)
        log_event(
            HTTP_REQUEST,
            "answered",
            {
                "method": request.method,
                "route": route,
                "status": response.status_code,
                "seconds": seconds,
                "code": code,
            },
            run_id=run_id,
        )
        return response

    @app.exception_handler(TvdbError)
    async def refuse(request: Request, error: TvdbError) -> Response:
        request.state.error_code = error.code
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def refuse_fields(request: Request, error: RequestValidationError) -> Response:
        invalid = codes.REQUEST_INVALID.error(problems=_problems(error.errors()))
        return await refuse(request, invalid)

    @app.exception_handler(HTTPException)
    async def refuse_path(request: Request, error: HTTPException) -> Response:
        unknown = codes.ADDRESS_UNKNOWN.error(method=request.method)
        request.state.error_code = unknown.code
        response = problem(unknown, error.status_code)
        response.headers.update(error.headers or {})
        return response


def _add_routes(app: FastAPI, backend: SearchBackend, metrics: ServiceMetrics) -> None:
    index = backend.index

    async def answer(question: SearchRequest, run_id: str) -> SearchAnswer:
        result = await index.asearch(
            question.question,
            question.k,
            question.filters.value(),
            min_score=question.min_score,
        )
        metrics.count_search(result)
        return SearchAnswer.of(result, run_id)

    @app.post("/v1/search", tags=["search"], operation_id="search")
    async def search(question: SearchRequest, request: Request) -> SearchAnswer:
        """Find the passages that fit a question best."""
        return await answer(question, request.state.run_id)

    @app.get("/v1/search", tags=["search"], operation_id="search_by_address")
    async def search_by_address(
        request: Request,
        q: Annotated[
            str, Query(min_length=1, max_length=MAX_QUESTION, description="The question.")
        ],
        k: Annotated[int, Query(ge=1, le=MAX_RESULTS)] = 10,
        min_score: Annotated[float | None, Query(ge=0, le=1)] = None,
        source: Annotated[str | None, Query(max_length=MAX_NAME)] = None,
        path: Annotated[str | None, Query(max_length=MAX_NAME)] = None,
        media_type: Annotated[str | None, Query(max_length=200)] = None,
        language: Annotated[str | None, Query(max_length=35)] = None,
        modified_from: datetime | None = None,
        modified_to: datetime | None = None,
        metadata: Annotated[
            list[str] | None, Query(max_length=MAX_METADATA, description="`name:value`, repeatable")
        ] = None,
    ) -> SearchAnswer:
        """Find the passages that fit a question best, with everything in the address.

        Addresses may be kept in histories and logs of other programs. `POST` is not.
        """
        filters = FilterFields(
            source=source,
            path=path,
            media_type=media_type,
            language=language,
            modified_from=modified_from,
            modified_to=modified_to,
            metadata=dict(_pair(each) for each in metadata or ()),
        )
        try:
            question = SearchRequest(question=q, k=k, filters=filters, min_score=min_score)
        except ValidationError as error:
            raise codes.REQUEST_INVALID.error(problems=_problems(error.errors())) from None
        return await answer(question, request.state.run_id)

    @app.get("/v1/show", tags=["documents"], operation_id="show")
    async def show(
        document: Annotated[
            str, Query(min_length=1, max_length=MAX_NAME, description="Path or partition key.")
        ],
        source: Annotated[str | None, Query(max_length=MAX_NAME)] = None,
        page: Annotated[int | None, Query(ge=1, le=10_000_000)] = None,
    ) -> DocumentFields:
        """Read the stored text of a document, or of one of its pages."""
        stored = await index.adocument(document, source=source, preferred=backend.current_source)
        return DocumentFields.of(stored, page)

    @app.get("/v1/sources", tags=["documents"], operation_id="list_sources")
    async def list_sources() -> SourceList:
        """List the sources of documents, with what search finds of each."""
        return SourceList(sources=[SourceFields.of(each) for each in await index.asources()])

    @app.get("/health", tags=["operation"], operation_id="health")
    async def health() -> Health:
        """Report whether the service can answer questions. Needs no token."""
        await asyncio.to_thread(backend.check)
        return Health(status="ok")

    @app.get("/metrics", tags=["operation"], operation_id="metrics", response_class=Response)
    async def prometheus() -> Response:
        """Metrics in the text format of Prometheus."""
        return await asyncio.to_thread(metrics.response, backend.reader)


def _route(request: Request) -> str:
    """The route of a request, without what is variable in its address."""
    known: str | None = getattr(request.scope.get("route"), "path", None)
    return known or ("/static" if request.url.path.startswith("/static/") else "(none)")


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition(":")
    if not separator or not name:
        raise codes.REQUEST_INVALID.error(problems="metadata must have the form name:value")
    return name, value


def _problems(errors: Any) -> str:
    """The fields of a request that are not valid, without their values."""
    shown = [f"{'.'.join(map(str, each['loc'][-2:]))}: {each['msg']}" for each in errors]
    return "; ".join(shown[:5])
