"""OpenAI's Batch API for embeddings: files, jobs, and the lines of both.

What belongs here: one request, and the meaning of its response or failure. What does not: the life
of a job (`embedding.batch_jobs`), money and limits (`spend_guard`), embedding at once (`openai`).

Each line of a file embeds one text, whose sha256 names the line. So a line that fails fails one
text, and the order of the results does not matter.

A refusal here says nothing about embedding at once: the key may lack the permission for files, or
the server may have no batch jobs. So only a refused key or an exhausted quota stops the service.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import httpx2
import orjson

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.batch_lines import read_lines, write_lines
from tvdb_assets.embedding.batch_service import (
    BatchPage,
    BatchPhase,
    BatchProblem,
    BatchReport,
    BatchResults,
    BatchService,
    ids_in,
)
from tvdb_assets.models import VectorSpace
from tvdb_assets.redaction import RedactedCause
from tvdb_assets.spend_guard.batch_prices import batch_price
from tvdb_assets.spend_guard.call_failures import CallFailed, Charge, FailureKind
from tvdb_assets.spend_guard.guard import ServiceResponse
from tvdb_assets.spend_guard.http_failures import bad_answer, connection_failure, service_failure
from tvdb_assets.spend_guard.prices import Price

T = TypeVar("T")
_ENDPOINT = "/v1/embeddings"
_HOST = ".openai.com"
"""Another host may have jobs of this form, and its own price for them."""
_WINDOW = "24h"
_FILE_SECONDS = 3 * 86_400
"""After this time the service deletes an uploaded file, also one whose upload got no answer."""
_PHASES = {
    "failed": BatchPhase.INVALID,
    "completed": BatchPhase.ENDED,
    "expired": BatchPhase.ENDED,
    "cancelled": BatchPhase.ENDED,
}
"""The others are running: ``validating``, ``in_progress``, ``finalizing``, ``cancelling``."""
_PAGE = 100
_QUEUE_FULL = re.compile(r"enqueued|token_limit_exceeded", re.IGNORECASE)
_UNAVAILABLE_HERE = frozenset({403, 404, 405, 501})
_ID = re.compile(r"[!-~]{1,200}")
_STATUS = re.compile(r"[a-z_]{1,40}")
"""It is stored and shown, so it can't be any text."""
_MOST_BYTES_A_NUMBER = 32
_MOST_TOKENS = 50_000 * 8_192
"""More than any job can contain: a larger number is no usage."""
_SECONDS_A_REQUEST = 40.0
"""A sensor's evaluation ends after 60 seconds."""


class RequestingEmbedder(Protocol):
    """The embedder whose model, account and requests the jobs share."""

    service: str
    display_name: str
    max_tokens: int | None
    is_count_exact: bool
    is_bill_exact: bool

    @property
    def space(self) -> VectorSpace: ...

    @property
    def account(self) -> str: ...

    @property
    def price(self) -> Price: ...

    @property
    def batch_usd_per_million(self) -> Decimal | None: ...

    @property
    def request_fingerprint(self) -> str: ...

    def request_body(self) -> dict[str, Any]: ...

    def connect(self, *, timeout_seconds: float, max_answer_bytes: int) -> Any: ...


class OpenAIBatches(BatchService):
    """Batch jobs of the model, key and server of an embedder."""

    max_bytes = 190_000_000
    """https://platform.openai.com/docs/guides/batch: 200 MB, and 50,000 inputs."""
    max_texts = 50_000

    def __init__(self, embedder: RequestingEmbedder, *, address: str | None) -> None:
        """Nothing is opened yet.

        Args:
            embedder: whose vectors the jobs make.
            address: of the server; None is that of the SDK.
        """
        self._embedder = embedder
        self.service = embedder.service
        host = urlsplit(address).hostname if address else None
        self.is_offered = address is None or (host or "").endswith(_HOST)
        self.is_count_exact = embedder.is_count_exact
        self.is_bill_exact = embedder.is_bill_exact
        self.max_tokens = embedder.max_tokens

    @property
    def model(self) -> str:
        """See `PaidService.model`."""
        return self._embedder.space.model

    @property
    def account(self) -> str:
        """That of the embedder."""
        return self._embedder.account

    @property
    def request_fingerprint(self) -> str:
        """That of the embedder, whose requests the lines of a job are."""
        return self._embedder.request_fingerprint

    @property
    def standard_price(self) -> Price:
        """See `BatchService.standard_price`."""
        return self._embedder.price

    @property
    def price(self) -> Price:
        """Of a token in a job."""
        return batch_price(
            self._embedder.price,
            self.model,
            self._embedder.batch_usd_per_million,
            provider=self.service,
            is_known=self.is_offered,
        )

    def encode(self, texts: Mapping[bytes, str]) -> bytes:
        """See `BatchService.encode`."""
        return write_lines(texts, _ENDPOINT, self._embedder.request_body())

    def decode(self, files: Sequence[bytes], known: Collection[bytes]) -> BatchResults:
        """See `BatchService.decode`."""
        return read_lines(files, known, self._embedder.space.dimensions)

    @cached_property
    def _client(self) -> Any:
        return self._embedder.connect(
            timeout_seconds=_SECONDS_A_REQUEST,
            max_answer_bytes=(
                self.max_bytes
                + self.max_texts * self._embedder.space.dimensions * _MOST_BYTES_A_NUMBER
            ),
        )

    async def _upload(self, name: str, data: bytes, request_id: str) -> ServiceResponse[str]:
        raw = await self._send(
            lambda client, headers: client.files.with_raw_response.create(
                file=(name, data, "application/jsonl"),
                purpose="batch",
                expires_after={"anchor": "created_at", "seconds": _FILE_SECONDS},
                extra_headers=headers,
            ),
            request_id,
        )
        return self._response(raw, lambda body: _identified(body["id"]))

    async def _submit(
        self, file_id: str, metadata: Mapping[str, str], request_id: str
    ) -> ServiceResponse[str]:
        try:
            raw = await self._send(
                lambda client, headers: client.batches.with_raw_response.create(
                    input_file_id=file_id,
                    endpoint=_ENDPOINT,
                    completion_window=_WINDOW,
                    metadata=dict(metadata),
                    output_expires_after={"anchor": "created_at", "seconds": _FILE_SECONDS},
                    extra_headers=headers,
                ),
                request_id,
            )
        except CallFailed as failure:
            if failure.kind is FailureKind.UNAVAILABLE and failure.was_sent:
                # It may have become a job before the service failed: the list shows it.
                failure.charge = Charge.BOUND
            raise
        return self._response(raw, lambda body: _identified(body["id"]))

    async def _report(self, batch_id: str, request_id: str) -> ServiceResponse[BatchReport]:
        raw = await self._send(
            lambda client, headers: client.batches.with_raw_response.retrieve(
                batch_id, extra_headers=headers
            ),
            request_id,
        )
        return self._response(raw, _report)

    async def _list_reports(self, page: str | None, request_id: str) -> ServiceResponse[BatchPage]:
        after = {"after": page} if page is not None else {}
        raw = await self._send(
            lambda client, headers: client.batches.with_raw_response.list(
                limit=_PAGE, extra_headers=headers, **after
            ),
            request_id,
        )
        return self._response(raw, _page)

    async def _cancel(self, batch_id: str, request_id: str) -> ServiceResponse[BatchReport]:
        raw = await self._send(
            lambda client, headers: client.batches.with_raw_response.cancel(
                batch_id, extra_headers=headers
            ),
            request_id,
        )
        return self._response(raw, _report)

    async def _download(self, file_id: str, request_id: str) -> ServiceResponse[bytes]:
        raw = await self._send(
            lambda client, headers: client.files.with_raw_response.content(
                file_id, extra_headers=headers
            ),
            request_id,
        )
        answered_as = raw.headers.get("x-request-id")
        if raw.content.strip() and not raw.content.lstrip().startswith(b"{"):
            # Of an overloaded gateway, under a status of success. It says nothing of the results.
            name, what = self._embedder.display_name, "it is no file of a batch job"
            raise bad_answer(name, what, raw.status_code, answered_as)
        return ServiceResponse(raw.content, request_id=answered_as)

    async def _discard(self, file_id: str, request_id: str) -> ServiceResponse[None]:
        raw = await self._send(
            lambda client, headers: client.files.with_raw_response.delete(
                file_id, extra_headers=headers
            ),
            request_id,
        )
        return ServiceResponse(None, request_id=raw.headers.get("x-request-id"))

    async def _probe(self, request_id: str) -> ServiceResponse[None]:
        """Read the list of jobs, which is free."""
        listed = await self._list_reports(None, request_id)
        return ServiceResponse(None, request_id=listed.request_id)

    async def close(self) -> None:
        """Close the connections, if any were opened."""
        if "_client" in self.__dict__:
            await self.__dict__.pop("_client").close()

    async def _send(
        self, request: Callable[[Any, dict[str, str]], Awaitable[Any]], request_id: str
    ) -> Any:
        import openai

        name = self._embedder.display_name
        try:
            return await request(self._client, {"X-Client-Request-Id": request_id})
        except openai.APIStatusError as error:
            raise _status_failure(name, error) from RedactedCause.of(error)
        except openai.APIConnectionError as error:
            raise connection_failure(name, error.__cause__) from RedactedCause.of(error)
        except httpx2.HTTPError as error:
            # The body is read after the SDK's own handling.
            raise connection_failure(name, error) from RedactedCause.of(error)

    def _response(self, raw: Any, read: Callable[[dict[str, Any]], T]) -> ServiceResponse[T]:
        request_id = raw.headers.get("x-request-id")
        try:
            body = orjson.loads(raw.content)
            return ServiceResponse(read(body), request_id=request_id)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError):
            what = "it is not what is expected of a batch job"
            raise bad_answer(
                self._embedder.display_name, what, raw.status_code, request_id
            ) from None


def _identified(value: object) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise ValueError("no id")
    return value


def _report(body: dict[str, Any]) -> BatchReport:
    status = str(body["status"])
    counts, usage = body.get("request_counts"), body.get("usage")
    job_id, entry_id = ids_in(body.get("metadata"))
    files = (body.get("output_file_id"), body.get("error_file_id"))
    errors = body.get("errors")
    data = errors.get("data") if isinstance(errors, dict) else None
    completed = _count(counts.get("completed")) if isinstance(counts, dict) else None
    billed = _count(usage.get("total_tokens")) if isinstance(usage, dict) else None
    result_files = tuple(_identified(file) for file in files if file)
    phase = _PHASES.get(status, BatchPhase.RUNNING)
    if phase is BatchPhase.INVALID and (completed or billed or body.get("output_file_id")):
        # It failed after a part of it was done, and billed.
        phase = BatchPhase.ENDED
    return BatchReport(
        _identified(body["id"]),
        phase,
        status if _STATUS.fullmatch(status) else "unknown",
        datetime.fromtimestamp(float(body["created_at"]), UTC),
        job_id=job_id,
        entry_id=entry_id,
        completed=completed,
        billed_tokens=billed,
        result_files=result_files,
        problems=tuple(_problems(data)),
    )


def _page(body: dict[str, Any]) -> BatchPage:
    reports = [_report(entry) for entry in body["data"]]
    has_more = bool(body.get("has_more")) and reports
    return BatchPage(reports, reports[-1].batch_id if has_more else None)


def _problems(data: object) -> Iterator[BatchProblem]:
    for entry in data if isinstance(data, list) else []:
        if isinstance(entry, dict):
            text = f"{entry.get('code')} {entry.get('message')}"
            line = _count(entry.get("line"))
            yield BatchProblem(bool(_QUEUE_FULL.search(text)), line)


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MOST_TOKENS else None


def _status_failure(name: str, error: Any) -> CallFailed:
    headers, status = error.response.headers, error.status_code
    body = error.body if isinstance(error.body, dict) else {}
    code = str(body.get("code") or body.get("type") or "")
    if _QUEUE_FULL.search(f"{code} {body.get('message')}"):
        full = codes.BATCH_QUEUE_FULL.error(service=name)
        return CallFailed(FailureKind.CONTENT, full, status=status)
    failure = service_failure(name, status, code, headers)
    is_scope = status == 401 and "scope" in str(body.get("message"))
    is_key = failure is not None and failure.error.code == codes.QUOTA_EXHAUSTED.code
    if failure is not None and (is_key or not (is_scope or status in _UNAVAILABLE_HERE)):
        return failure
    refused = codes.BATCH_REFUSED.error(service=name, status=status)
    return CallFailed(
        FailureKind.CONTENT, refused, status=status, request_id=headers.get("x-request-id")
    )
