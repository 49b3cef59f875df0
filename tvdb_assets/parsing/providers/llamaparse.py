"""LlamaParse v2: submit a document, poll or find its job, build a text from the response.

What belongs here: one request, and the meaning of its response or failure. What does not:
waiting (`parsing.paid_parsing`), money, limits and retries (`spend_guard`).

Paths, fields and states are those of the official client ``llama-cloud`` 2.19. That client is not
used: five endpoints need no client of 3 MB, and its own retries would pay twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from types import MappingProxyType
from typing import Any, TypeGuard
from uuid import UUID

import httpx2

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import part_of
from tvdb_assets.errors import ParseError
from tvdb_assets.models import Provenance
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.paid_parser import FinishedJob, JobPage, PaidParser, ParsingProvider
from tvdb_assets.redaction import RedactedCause
from tvdb_assets.settings import Settings
from tvdb_assets.spend_guard.call_failures import CallFailed, FailureKind
from tvdb_assets.spend_guard.guard import ServiceResponse
from tvdb_assets.spend_guard.http_failures import (
    bad_answer,
    connection_failure,
    service_failure,
)
from tvdb_assets.spend_guard.paid_http_client import PaidHttpClient
from tvdb_assets.spend_guard.prices import Price

SERVICE = "llamaparse"
NAME = "LlamaParse"
BASE_URL = "https://api.cloud.llamaindex.ai"
VERSIONS = {
    "fast": "2026-06-15",
    "cost_effective": "2026-09-28",
    "agentic": "2026-10-16",
    "agentic_plus": "2026-09-28",
}
"""Newest of each tier, as llama-cloud 2.19 names them. ``fast`` gives plain text, the others give
Markdown."""
MEDIA_TYPES = frozenset(
    {
        "application/pdf",
        "text/html",
        "application/rtf",
        "application/msword",
        "application/vnd.ms-powerpoint",
        "application/vnd.ms-excel",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/epub+zip",
        "image/png",
        "image/jpeg",
        "image/tiff",
        "image/webp",
    }
)
"""The kinds of documents that it is asked to parse. Markdown, text and mail are text already and
are read on this machine in every mode: a service could not read them better."""
PRICES_DATE = "2026-11-25"
"""When the two numbers below were last compared with LlamaIndex's price list."""
USD_PER_CREDIT = Decimal("1.25") / 1_000
"""US dollars; https://www.llamaindex.ai/pricing: $1.25 for 1,000 credits."""
CREDITS_PER_PAGE = {"fast": 1, "cost_effective": 3, "agentic": 10, "agentic_plus": 45}
"""By tier; https://developers.llamaindex.ai/llamaparse/general/pricing."""
_PLAIN_TEXT = "fast"
_OPTIMIZED = frozenset({"agentic", "agentic_plus"})
"""Tiers with which the cost optimizer works, by llama-cloud 2.19."""
_RUN_TAG = "tvdb_run"
"""Of the header ``Usage-Tags``, which the service repeats in its usage metrics:
https://developers.llamaindex.ai/llamaparse/general/usage_tags/"""
_REVISION = 1
_MOST_CREDITS = 10_000_000
"""$12,500: a larger number can't be the cost of one document."""
_PAGE_BYTES = 64 * 1024
"""The service drops a page's text past this size and reports no error."""
_UTF8_SLACK = 3
_MOST_ANSWER_BYTES = 1 << 20
"""Of each answer but a result."""
_MOST_RESULT_BYTES = 64 << 20
"""Of a result: 1,000 pages of the largest size, or 20,000 of 3 KB."""
_QUOTA_MESSAGE = re.compile(
    r"credit[_ ]balance|insufficient[_ ](?:quota|credit|balance)|billing hard limit"
    r"|you(?:'ve| have) exceeded .{0,40}(?:credit|quota|spend|plan)",
    re.IGNORECASE,
)
"""The beginning of a sentence in the place of a code; the rest of it may quote a document."""
_WAITING = frozenset({"PENDING", "RUNNING"})
_ENTRY_TAG = "tvdb_entry"
"""The key in a job's ``user_metadata``, which the list of jobs repeats. Its value is the id of the
ledger entry. The list can't be searched by it, but by the time of creation."""
_CLOCK_SKEW = timedelta(minutes=10)
"""The most by which the service's clock may differ from that of the ledger."""
_NO_LIST = frozenset({403, 404, 405, 501})
"""Statuses of a list that this key or this server does not permit or does not have."""
_LIST_PAGE = 100
"""Jobs; a job in a list has less than 1 KB."""


class LlamaParse(PaidParser):
    """Parses with the key, tier and version of the settings.

    A document is uploaded and then submitted by the id of its file. In the official client, only
    this form has ``user_metadata``; the form that uploads and submits in one request does not, and
    the service might refuse a field that it does not know.
    """

    service = SERVICE
    media_types = MEDIA_TYPES
    uploads_first = True

    def __init__(
        self, settings: Settings, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        """Nothing is opened yet.

        Raises:
            ConfigurationError: no key, or a tier whose price or version is not known.
        """
        if settings.llama_cloud_api_key is None:
            raise codes.KEY_MISSING.error(
                service=NAME, variable="LLAMA_CLOUD_API_KEY", mode="TVDB_PARSER_MODE"
            )
        self._key = settings.llama_cloud_api_key.get_secret_value()
        self._base_url = (settings.llama_cloud_base_url or BASE_URL).rstrip("/")
        self._seconds = settings.paid_timeout_seconds
        self._transport = transport
        self.tier = settings.llamaparse_tier
        self._price = parsing_price(self.tier)
        self.version = settings.llamaparse_version or VERSIONS[self.tier]
        self._is_optimized = settings.llamaparse_cost_optimizer
        if self._is_optimized and self.tier not in _OPTIMIZED:
            raise codes.COST_OPTIMIZER_UNAVAILABLE.error(
                tier=self.tier, tiers=", ".join(sorted(_OPTIMIZED))
            )

    @property
    def model(self) -> str:
        """The tier, which decides the price."""
        return self.tier

    @property
    def price(self) -> Price:
        """Of a page."""
        return self._price

    @property
    def fingerprint(self) -> str:
        """By tier, option and pinned version."""
        optimized = "+cost_optimizer" * self._is_optimized
        return f"{SERVICE}{_REVISION}:{self.tier}{optimized}:{self.version}"

    @property
    def produced_by(self) -> Provenance:
        """LlamaParse, in the mode real, by tier and pinned version."""
        return Provenance(SERVICE, "real", self.tier, self.version)

    @cached_property
    def account(self) -> str:
        """A digest, from which the key can't be restored."""
        return sha256("\0".join((self._key, self._base_url)).encode()).hexdigest()[:16]

    @cached_property
    def _client(self) -> httpx2.AsyncClient:
        return PaidHttpClient(
            timeout_seconds=self._seconds,
            max_answer_bytes=_MOST_ANSWER_BYTES,
            base_url=self._base_url,
            headers={"Authorization": f"Bearer {self._key}"},
            transport=self._transport,
        )

    async def _upload(self, data: bytes, path: str, request_id: str) -> ServiceResponse[str]:
        # The service takes the format from the name; folders may be private.
        name = path.rpartition("/")[2]
        answer, headers = await self._send(
            "POST",
            "/api/v1/beta/files",
            request_id,
            files={"file": (name, data)},
            data={"purpose": "parse"},
        )
        file_id = answer.get("id")
        if not isinstance(file_id, str) or not file_id:
            raise bad_answer(
                NAME, "it names no file", 200, headers.get("x-request-id")
            ) from RedactedCause("no file id")
        return ServiceResponse(file_id, request_id=headers.get("x-request-id"))

    async def _submit_uploaded(
        self, file_id: str, pages: int, request_id: str
    ) -> ServiceResponse[str]:
        body: dict[str, object] = {
            "file_id": file_id,
            "tier": self.tier,
            "version": self.version,
            "page_ranges": {"max_pages": pages},
            # A result from the service's cache would belong to another submission.
            "disable_cache": False,
        }
        if self._is_optimized:
            body["processing_options"] = {"cost_optimizer": {"enable": True}}
        entry_id = part_of(request_id)
        if entry_id is not None:
            body["user_metadata"] = {_ENTRY_TAG: str(entry_id)}
        run_id = request_id.rpartition(".")[0].replace(",", "_")
        answer, headers = await self._send(
            "POST",
            "/api/v2/parse",
            request_id,
            json=body,
            more_headers={"Usage-Tags": f"{_RUN_TAG}:{run_id}"},
        )
        job_id = answer.get("id")
        if not isinstance(job_id, str) or not job_id:
            raise bad_answer(
                NAME, "it names no job", 200, headers.get("x-request-id")
            ) from RedactedCause("no job id")
        return ServiceResponse(job_id, request_id=headers.get("x-request-id"), job_id=job_id)

    async def _fetch(
        self, job_id: str, media_type: str, request_id: str
    ) -> ServiceResponse[FinishedJob | None]:
        try:
            answer, headers = await self._send(
                "GET",
                f"/api/v2/parse/{job_id}",
                request_id,
                params=[("expand", self._result_field), ("expand", "usage")],
                extensions={"max_answer_bytes": _MOST_RESULT_BYTES},
            )
        except CallFailed as failure:
            if failure.status != 404:
                raise
            # The submission was accepted at this address, so it is the job that is gone.
            gone = FinishedJob(None, _job_lost(), is_lost=True)
            return ServiceResponse(gone, request_id=failure.request_id)
        name = headers.get("x-request-id")
        return ServiceResponse(self._read(answer, media_type, name), request_id=name)

    async def _list_jobs(
        self, sent_after: datetime, sent_before: datetime, page: str | None, request_id: str
    ) -> ServiceResponse[JobPage]:
        params = {
            "created_at_on_or_after": (sent_after - _CLOCK_SKEW).isoformat(),
            "created_at_on_or_before": (sent_before + _CLOCK_SKEW).isoformat(),
            "page_size": str(_LIST_PAGE),
        }
        if page is not None:
            params["page_token"] = page
        try:
            answer, headers = await self._send("GET", "/api/v2/parse", request_id, params=params)
        except CallFailed as failure:
            if failure.status not in _NO_LIST:
                raise
            # Only this operation is refused: documents can be submitted all the same.
            raise CallFailed(
                FailureKind.UNKNOWN,
                codes.JOB_LIST_UNUSABLE.error(
                    service=NAME, why=f"it answered with status {failure.status}"
                ),
                status=failure.status,
                request_id=failure.request_id,
            ) from failure
        name = headers.get("x-request-id")
        items, token = answer.get("items"), answer.get("next_page_token")
        if not isinstance(items, list) or not (token is None or isinstance(token, str)):
            raise bad_answer(NAME, "it is not a list of jobs", 200, name) from RedactedCause(
                "no list of jobs"
            )
        found = {entry: job for entry, job in map(_tagged, items) if entry is not None}
        return ServiceResponse(JobPage(found, token or None), request_id=name)

    @property
    def _result_field(self) -> str:
        """The part of a result that is read."""
        return "text" if self.tier == _PLAIN_TEXT else "markdown"

    def _read(
        self, answer: dict[str, Any], media_type: str, request_id: str | None
    ) -> FinishedJob | None:
        found = answer.get("job")
        job: dict[str, Any] = found if isinstance(found, dict) else answer
        status = job.get("status")
        if not isinstance(status, str):
            raise bad_answer(NAME, "its job has no state", 200, request_id)
        if status in _WAITING:
            return None
        usage = job.get("usage")
        credited = usage.get("credits") if isinstance(usage, dict) else None
        billed = Decimal(str(credited)) * USD_PER_CREDIT if _is_credits(credited) else None
        if status in ("FAILED", "CANCELLED"):
            return FinishedJob(None, _job_failed(status), billed)
        if status != "COMPLETED":
            # The name of a state is the service's text and may be anything: it is not repeated.
            raise bad_answer(NAME, "its job has an unknown state", 200, request_id)
        result = answer.get(self._result_field)
        pages = result.get("pages") if isinstance(result, dict) else None
        if not isinstance(pages, list) or not all(isinstance(page, dict) for page in pages):
            raise bad_answer(NAME, "its job contains no pages", 200, request_id)
        return self._finished(pages, media_type, billed)

    def _finished(
        self, pages: list[dict[str, Any]], media_type: str, billed: Decimal | None
    ) -> FinishedJob:
        failed = sum(page.get("success") is False for page in pages)
        if all(type(page.get("page_number")) is int for page in pages):
            pages = sorted(pages, key=lambda page: int(page["page_number"]))
        texts = [_whole(str(page.get(self._result_field) or "")) for page in pages]
        cut = sum(len(text.encode()) >= _PAGE_BYTES - _UTF8_SLACK for text in texts)
        if failed:
            return FinishedJob(None, _pages_failed(failed, len(pages)), billed)
        if cut:
            return FinishedJob(None, _pages_cut(cut, len(pages)), billed)
        parsed = build_document(
            texts,
            media_type=media_type,
            is_markdown=self.tier != _PLAIN_TEXT,
            produced_by=self.produced_by,
            has_pages=True,
            facts={"pages": len(pages), "pages_with_text": sum(map(bool, map(str.strip, texts)))},
        )
        return FinishedJob(parsed, None, billed)

    async def _send(
        self,
        method: str,
        path: str,
        request_id: str,
        *,
        more_headers: Mapping[str, str] = MappingProxyType({}),
        **rest: Any,
    ) -> tuple[dict[str, Any], httpx2.Headers]:
        headers = {"X-Client-Request-Id": request_id, **more_headers}
        try:
            response = await self._client.request(method, path, headers=headers, **rest)
        except httpx2.HTTPError as error:
            raise connection_failure(NAME, error) from RedactedCause.of(error)
        if response.status_code >= 300:
            raise _status_failure(response) from RedactedCause(f"status {response.status_code}")
        try:
            answer = response.json()
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise bad_answer(
                NAME, "it is not a JSON object", response.status_code, _request_id(response)
            ) from RedactedCause("no JSON object")
        return answer, response.headers

    async def _probe(self, request_id: str) -> ServiceResponse[None]:
        """Ask for the list of versions, which is free."""
        _, headers = await self._send("GET", "/api/v2/parse/versions", request_id)
        return ServiceResponse(None, request_id=headers.get("x-request-id"))

    async def close(self) -> None:
        """Close the connections, if any were opened."""
        if "_client" in self.__dict__:
            await self.__dict__.pop("_client").aclose()


def _tagged(job: object) -> tuple[UUID | None, str]:
    """The ledger entry and the id of a job in a list; None if another program submitted it."""
    job_id = job.get("id") if isinstance(job, dict) else None
    metadata = job.get("user_metadata") if isinstance(job, dict) else None
    tag = metadata.get(_ENTRY_TAG) if isinstance(metadata, dict) else None
    if not isinstance(job_id, str) or not job_id or not isinstance(tag, str):
        return None, ""
    try:
        return UUID(tag), job_id
    except ValueError:
        return None, ""


def _whole(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can contain and no encoding can."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _is_credits(value: object) -> TypeGuard[float]:
    """Whether a value is a possible number of credits that fits the ledger; NaN is not."""
    return type(value) in (int, float) and 0 <= value <= _MOST_CREDITS  # type: ignore[operator]


def _request_id(response: httpx2.Response) -> str | None:
    value = response.headers.get("x-request-id")
    return str(value) if value is not None else None


def _status_failure(response: httpx2.Response) -> CallFailed:
    """The meaning of a response with an error status, by status and code."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    detail = body.get("detail") if isinstance(body, dict) else None
    code = detail.get("code") if isinstance(detail, dict) else None
    if isinstance(detail, str) and _QUOTA_MESSAGE.match(detail):
        code = "insufficient_quota"
    failure = service_failure(NAME, response.status_code, str(code or ""), response.headers)
    if failure is not None:
        return failure
    known = response.status_code in (413, 415, 422)
    refusal = codes.DOCUMENT_REFUSED.error(service=NAME, status=response.status_code)
    return CallFailed(
        FailureKind.CONTENT if known else FailureKind.UNKNOWN,
        refusal,
        status=response.status_code,
        request_id=_request_id(response),
    )


def _job_failed(status: str) -> ParseError:
    return codes.PARSE_JOB_FAILED.error(service=NAME, status=status.lower())


def _job_lost() -> ParseError:
    return codes.PARSE_JOB_LOST.error(service=NAME)


def _pages_failed(failed: int, pages: int) -> ParseError:
    return codes.PAGES_FAILED.error(service=NAME, failed=failed, pages=pages)


def _pages_cut(cut: int, pages: int) -> ParseError:
    return codes.PAGES_CUT.error(service=NAME, cut=cut, pages=pages)


def parsing_price(tier: str) -> Price:
    """The price of a page of LlamaParse.

    Raises:
        ConfigurationError: there is no such tier.
    """
    if tier not in CREDITS_PER_PAGE:
        raise codes.TIER_PRICE_UNKNOWN.error(tier=tier, tiers=", ".join(CREDITS_PER_PAGE))
    return Price("page", USD_PER_CREDIT * CREDITS_PER_PAGE[tier], f"llamaparse {PRICES_DATE}")


PROVIDERS = (
    ParsingProvider(
        SERVICE,
        LlamaParse,
        daily_limit=lambda settings: settings.llamaparse_daily_cost_limit,
    ),
)
