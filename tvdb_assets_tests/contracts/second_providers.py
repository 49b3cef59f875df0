"""A second paid provider of each kind, declared in this one module and nowhere else.

What belongs here: an embedder and a parser as the author of a provider would write them, with their
own names, prices, limits and clients. They call the simulated APIs, so faults and charges are the
same as for the providers of the package. What does not: checks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import httpx2
import numpy as np
from pydantic import SecretStr

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.embedder_protocol import (
    EmbeddingProvider,
    PaidEmbedder,
    Transport,
    Vectors,
)
from tvdb_assets.embedding.providers.openai import OpenAIEmbedder
from tvdb_assets.embedding.registry import EMBEDDING_PROVIDERS
from tvdb_assets.errors import ErrorCode
from tvdb_assets.models import Provenance, VectorSpace
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.paid_parser import FinishedJob, PaidParser, ParsingProvider
from tvdb_assets.parsing.registry import PARSING_PROVIDERS
from tvdb_assets.settings import Settings
from tvdb_assets.spend_guard.call_failures import CallFailed, FailureKind
from tvdb_assets.spend_guard.guard import ServiceResponse
from tvdb_assets.spend_guard.http_failures import bad_answer, connection_failure, service_failure
from tvdb_assets.spend_guard.prices import Price

EMBEDDER = "second-embedder"
COMPATIBLE = "compatible"
PARSER = "second-parser"
MODEL = "text-embedding-3-small"
TIER = "cost_effective"


KEY = "SECOND_API_KEY"


def key_of(settings: Settings, mode: str) -> str:
    """The key of both providers, which has no field in `Settings`."""
    key = settings.provider_variable(KEY)
    if key is None:
        raise codes.KEY_MISSING.error(service="the second provider", variable=KEY, mode=mode)
    return key.get_secret_value()


class _Client:
    """One HTTP client, which maps its failures to `CallFailed`."""

    def __init__(self, name: str, url: str, key: str, transport: Transport) -> None:
        self._name = name
        self._http = httpx2.AsyncClient(
            base_url=url, transport=transport, headers={"Authorization": f"Bearer {key}"}
        )

    async def send(
        self, method: str, path: str, request_id: str, refusal: ErrorCode[Any], **more: Any
    ) -> dict[str, Any]:
        headers = {"X-Client-Request-Id": request_id}
        try:
            response = await self._http.request(method, path, headers=headers, **more)
        except httpx2.HTTPError as error:
            raise connection_failure(self._name, error) from None
        status = response.status_code
        if status >= 300:
            try:
                body = response.json()
            except ValueError:
                body = {}
            problem = body.get("error") or body.get("detail") or {}
            code = str(problem.get("code") or "") if isinstance(problem, dict) else ""
            failure = service_failure(self._name, status, code, response.headers)
            if failure is not None:
                raise failure
            raise CallFailed(
                FailureKind.CONTENT,
                refusal.error(service=self._name, status=status),
                status=status,
            )
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise bad_answer(self._name, "it is no JSON object", status, None)
        return answer

    async def close(self) -> None:
        await self._http.aclose()


class SecondEmbedder(PaidEmbedder):
    """Requests lists of floats, and sorts vectors by their index."""

    service = EMBEDDER
    max_inputs = 300
    max_request_tokens = 50_000
    max_tokens = 8_000
    space = VectorSpace(EMBEDDER, MODEL, 1_536, "1")
    produced_by = Provenance(EMBEDDER, "real", MODEL, "1")
    price = Price("token", Decimal("0.02") / 1_000_000, "second 2026-11")
    account = "account of the second embedder"

    def __init__(self, settings: Settings, transport: Transport) -> None:
        key = key_of(settings, "TVDB_EMBEDDER_MODE")
        self._client = _Client(EMBEDDER, "http://embeddings.test", key, transport)

    async def _request(self, texts: Sequence[str], request_id: str) -> ServiceResponse[Vectors]:
        body = {"model": MODEL, "input": list(texts)}
        answer = await self._client.send(
            "POST", "/v1/embeddings", request_id, codes.REQUEST_REFUSED, json=body
        )
        try:
            rows = {row["index"]: row["embedding"] for row in answer["data"]}
            vectors = np.array([rows[i] for i in range(len(texts))], np.float32)
            tokens = int(answer["usage"]["total_tokens"])
        except (KeyError, TypeError, ValueError):
            raise bad_answer(EMBEDDER, "it has another form", 200, None) from None
        if len(rows) != len(texts) or vectors.shape != (len(texts), 1_536):
            raise bad_answer(EMBEDDER, "it has another shape", 200, None)
        return ServiceResponse(vectors, quantity=tokens)

    async def _probe(self, request_id: str) -> ServiceResponse[None]:
        await self._client.send("GET", "/v1/models", request_id, codes.REQUEST_REFUSED)
        return ServiceResponse(None)

    async def close(self) -> None:
        await self._client.close()


class SecondParser(PaidParser):
    """Submits a file, polls for the Markdown of its pages, and reads the billed credits."""

    service = PARSER
    media_types = frozenset({"text/html", "application/pdf", "image/png"})
    model = TIER
    fingerprint = "second-parser1"
    price = Price("page", Decimal("0.00375"), "second 2026-11")
    account = "account of the second parser"

    def __init__(self, settings: Settings, transport: Transport) -> None:
        key = key_of(settings, "TVDB_PARSER_MODE")
        self._client = _Client(PARSER, "http://parsing.test", key, transport)

    async def _submit(
        self, data: bytes, path: str, pages: int, request_id: str
    ) -> ServiceResponse[str]:
        configuration = {"tier": TIER, "version": "2026-09-28", "page_ranges": {"max_pages": pages}}
        answer = await self._client.send(
            "POST",
            "/api/v2/parse/upload",
            request_id,
            codes.DOCUMENT_REFUSED,
            files={"file": (path, data)},
            data={"configuration": json.dumps(configuration)},
        )
        job_id = answer.get("id")
        if not isinstance(job_id, str):
            raise bad_answer(PARSER, "it names no job", 200, None)
        return ServiceResponse(job_id, job_id=job_id)

    async def _fetch(
        self, job_id: str, media_type: str, request_id: str
    ) -> ServiceResponse[FinishedJob | None]:
        expand = [("expand", "markdown"), ("expand", "usage")]
        answer = await self._client.send(
            "GET", f"/api/v2/parse/{job_id}", request_id, codes.DOCUMENT_REFUSED, params=expand
        )
        job = answer.get("job", answer)
        if job.get("status") in ("PENDING", "RUNNING"):
            return ServiceResponse(None)
        credits_billed = (job.get("usage") or {}).get("credits")
        cost = Decimal(str(credits_billed)) * Decimal("0.00125") if credits_billed else None
        pages = (answer.get("markdown") or {}).get("pages") or []
        if job.get("status") != "COMPLETED" or not all(page["success"] for page in pages):
            error = codes.PARSE_JOB_FAILED.error(service=PARSER, status="FAILED")
            return ServiceResponse(FinishedJob(None, error, cost))
        texts = [page["markdown"] for page in pages]
        parsed = build_document(
            texts,
            media_type=media_type,
            is_markdown=True,
            produced_by=Provenance(PARSER, "real", TIER, "1"),
            has_pages=True,
            facts={"pages": len(texts)},
        )
        return ServiceResponse(FinishedJob(parsed, None, cost))

    async def _probe(self, request_id: str) -> ServiceResponse[None]:
        await self._client.send("GET", "/api/v2/parse/versions", request_id, codes.DOCUMENT_REFUSED)
        return ServiceResponse(None)

    async def close(self) -> None:
        await self._client.close()


def _in_space(
    space: VectorSpace, settings: Settings, transport: Transport
) -> SecondEmbedder | None:
    return SecondEmbedder(settings, transport) if space == SecondEmbedder.space else None


class CompatibleEmbedder(OpenAIEmbedder):
    """Another server with OpenAI's protocol, and with its own name and key."""

    service = COMPATIBLE
    display_name = "A compatible server"
    key_variable = KEY

    @classmethod
    def _find_key(cls, settings: Settings) -> SecretStr | None:
        return settings.provider_variable(KEY)

    @property
    def price(self) -> Price:
        return SecondEmbedder.price


COMPATIBLE_EMBEDDING = EmbeddingProvider(
    COMPATIBLE,
    CompatibleEmbedder,
    CompatibleEmbedder.for_space,
    is_paid=True,
    daily_limit=lambda _: Decimal("0.50"),
)
EMBEDDING = EmbeddingProvider(
    EMBEDDER, SecondEmbedder, _in_space, is_paid=True, daily_limit=lambda _: Decimal("0.50")
)
PARSING = ParsingProvider(PARSER, SecondParser, daily_limit=lambda _: Decimal("0.50"))


@contextmanager
def second_providers() -> Iterator[None]:
    """Register all providers of this module within the block, and set their key."""
    with (
        patch.dict(os.environ, {KEY: "second-key-of-the-tests"}),
        EMBEDDING_PROVIDERS.adding(EMBEDDING),
        EMBEDDING_PROVIDERS.adding(COMPATIBLE_EMBEDDING),
        PARSING_PROVIDERS.adding(PARSING),
    ):
        yield
