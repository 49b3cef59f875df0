"""LlamaParse v2: files, jobs and their states.

What belongs here: what a submission must hold, how a job ages, and what a poll shows of it.
What does not: charging for it, and refusing by a fault (`core`).

The shapes are those of the official ``llama-cloud`` client, version 2.19.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tvdb_assets_tests.paid_apis.charges import CREDITS_PER_PAGE
from tvdb_assets_tests.paid_apis.faults import FaultKind
from tvdb_assets_tests.paid_apis.multipart import read_parts
from tvdb_assets_tests.paid_apis.refusals import unprocessable
from tvdb_assets_tests.paid_apis.replies import llamaparse_refusal

VERSIONS = {
    "fast": ("2026-06-15", "2025-12-11"),
    "cost_effective": ("2026-09-28", "2026-08-19", "2026-08-11"),
    "agentic": ("2026-10-16", "2026-10-15", "2026-09-29"),
    "agentic_plus": ("2026-09-28", "2026-09-24", "2026-09-11"),
}
"""Some of each tier's versions, the one that ``latest`` stands for first."""

PAGE_BYTES = 64 * 1024
"""More text of one page than this is dropped without a word."""

PROJECT = "prj-0000-simulated"
DEFAULT_PAGE_SIZE = 50
LARGEST_PAGE_SIZE = 1_000
FINAL = ("COMPLETED", "FAILED", "CANCELLED")


@dataclass(frozen=True, slots=True)
class File:
    id: str
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Submission:
    name: str
    content: bytes
    tier: str
    version: str
    user_metadata: dict[str, str] | None = None
    is_optimized: bool = False
    usage_tags: str = ""
    """Of the header, as it was sent."""


@dataclass(slots=True)
class Job:
    id: str
    submission: Submission
    pages: list[str]
    created: float
    done: float
    billed: float
    credits: int
    fault: FaultKind | None
    cancelled: float | None = None

    def status(self, now: float) -> str:
        if self.cancelled is not None:
            return "CANCELLED"
        if self.fault is FaultKind.JOB_NEVER_FINISHES or now < self.done:
            waiting = self.created + (self.done - self.created) / 4
            return "PENDING" if now < waiting else "RUNNING"
        match self.fault:
            case FaultKind.JOB_FAILED:
                return "FAILED"
            case FaultKind.JOB_CANCELLED:
                return "CANCELLED"
            case FaultKind.JOB_UNKNOWN_STATUS:
                return "PARTIALLY_ARCHIVED"
        return "COMPLETED"

    def failed_pages(self) -> set[int]:
        """Every second page of a partial success, or the only page there is."""
        if self.fault is not FaultKind.JOB_PARTIAL:
            return set()
        return set(range(1, len(self.pages), 2)) or {0}


def pages_of(content: bytes) -> list[str]:
    return content.decode("utf-8", "replace").split("\f")


def billed_credits(job: Job) -> int:
    """Pages that came out are billed; a job that fails or never ends is not."""
    if job.fault in (
        FaultKind.JOB_FAILED,
        FaultKind.JOB_CANCELLED,
        FaultKind.JOB_NEVER_FINISHES,
    ):
        return 0
    made = len(job.pages) - len(job.failed_pages())
    simple = (made + 1) // 2 if job.submission.is_optimized else 0
    rest = (made - simple) * CREDITS_PER_PAGE[job.submission.tier]
    return rest + simple * CREDITS_PER_PAGE["cost_effective"]


def read_upload(content_type: str, body: bytes) -> Submission:
    """``POST /api/v2/parse/upload``: the file, and ``configuration`` as a JSON string.

    The official client does not send ``user_metadata`` in this form, so it is refused here.
    """
    try:
        parts = read_parts(content_type, body)
    except ValueError as error:
        raise unprocessable(["body"], str(error)) from None
    for name in ("file", "configuration"):
        if name not in parts:
            raise unprocessable(["body", name], "Field required")
    file = parts["file"]
    tier, version, tags, _ = _configuration(parts["configuration"].content)
    if tags is not None:
        raise unprocessable(["body", "user_metadata"], "Extra inputs are not permitted")
    return Submission(file.filename or "file", file.content, tier, version)


def read_by_id(body: bytes, files: dict[str, File]) -> Submission:
    """``POST /api/v2/parse``: the file by its id."""
    configuration = _configuration(body)
    file_id = json.loads(body).get("file_id")
    if not isinstance(file_id, str):
        raise unprocessable(["body", "file_id"], "Field required")
    if file_id not in files:
        raise llamaparse_refusal(404, f"File with ID {file_id} not found")
    return Submission(files[file_id].name, files[file_id].content, *configuration)


def read_file(content_type: str, body: bytes) -> tuple[str, bytes, str]:
    """``POST /api/v1/beta/files``: name, content and purpose."""
    try:
        parts = read_parts(content_type, body)
    except ValueError as error:
        raise unprocessable(["body"], str(error)) from None
    for name in ("file", "purpose"):
        if name not in parts:
            raise unprocessable(["body", name], "Field required")
    file = parts["file"]
    return file.filename or "file", file.content, parts["purpose"].content.decode()


def _configuration(content: bytes) -> tuple[str, str, dict[str, str] | None, bool]:
    try:
        given = json.loads(content)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise unprocessable(["body", "configuration"], "Input should be a valid JSON object")
    tier, version = given.get("tier"), given.get("version")
    if tier not in VERSIONS:
        raise unprocessable(["body", "tier"], f"Input should be one of {sorted(VERSIONS)}")
    if version != "latest" and version not in VERSIONS[tier]:
        raise unprocessable(["body", "version"], f"Input should be a version of tier {tier}")
    tags = given.get("user_metadata")
    if tags is not None and not (
        isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values())
    ):
        raise unprocessable(["body", "user_metadata"], "Input should be a valid dictionary")
    options = given.get("processing_options") or {}
    is_optimized = bool((options.get("cost_optimizer") or {}).get("enable"))
    if is_optimized and not tier.startswith("agentic"):
        raise unprocessable(["body", "processing_options", "cost_optimizer"], "Not of this tier")
    return tier, version, tags, is_optimized


def describe_job(job: Job, now: float) -> dict[str, Any]:
    """The job object that submitting, polling and cancelling all give."""
    status = job.status(now)
    return {
        "id": job.id,
        "project_id": PROJECT,
        "name": job.submission.name,
        "status": status,
        "tier": job.submission.tier,
        "error_message": "The document could not be parsed" if status == "FAILED" else None,
        "usage": None,
        "user_metadata": job.submission.user_metadata,
        "created_at": _instant(job.created),
        "updated_at": _instant(now),
    }


def list_jobs(jobs: Iterable[Job], query: dict[str, list[str]], now: float) -> dict[str, Any]:
    """``GET /api/v2/parse``: the newest first, filtered, in pages."""

    def one(name: str) -> str | None:
        return query.get(name, [None])[0]

    after, before = (
        _time_in(query, "created_at_on_or_after"),
        _time_in(query, "created_at_on_or_before"),
    )
    size = int(one("page_size") or DEFAULT_PAGE_SIZE)
    if not 1 <= size <= LARGEST_PAGE_SIZE:
        raise unprocessable(["query", "page_size"], "Input should be between 1 and 1000")
    token = one("page_token") or "0"
    if not token.isdecimal():
        raise llamaparse_refusal(400, "Invalid page token")
    wanted = [
        job
        for job in sorted(jobs, key=lambda job: (-job.created, job.id))
        if (after is None or job.created >= after)
        and (before is None or job.created <= before)
        and (one("status") is None or job.status(now) == one("status"))
        and ("job_ids" not in query or job.id in query["job_ids"])
    ]
    start = int(token)
    end = start + size
    return {
        "items": [describe_job(job, now) for job in wanted[start:end]],
        "next_page_token": str(end) if end < len(wanted) else None,
    }


def _time_in(query: dict[str, list[str]], name: str) -> float | None:
    if name not in query:
        return None
    try:
        return datetime.fromisoformat(query[name][0]).timestamp()
    except ValueError:
        raise unprocessable(["query", name], "Input should be a valid datetime") from None


def describe_result(job: Job, now: float, expand: set[str]) -> dict[str, Any]:
    """``GET /api/v2/parse/{id}``: the job, and what of its result was asked for."""
    result: dict[str, Any] = {"job": describe_job(job, now)}
    done = result["job"]["status"] == "COMPLETED"
    if "usage" in expand:
        billed = now >= job.billed and job.fault is not FaultKind.JOB_NEVER_BILLED
        known = billed and result["job"]["status"] in FINAL
        result["job"]["usage"] = {"credits": float(job.credits) if known else None}
    failed = job.failed_pages()
    if "markdown" in expand:
        # The fast tier lays text out; it makes no markdown.
        made = done and job.submission.tier != "fast"
        result["markdown"] = {"pages": _pages(job, failed, "markdown")} if made else None
    if "text" in expand:
        result["text"] = {"pages": _pages(job, set(), "text")} if done else None
    if "metadata" in expand:
        numbers = range(1, len(job.pages) + 1)
        pages = [{"page_number": number, "confidence": 0.98} for number in numbers]
        result["metadata"] = {"pages": pages, "document": None} if done else None
    if "job_metadata" in expand:
        result["job_metadata"] = {"job_pages": len(job.pages)} if done else None
    return result


def describe_file(file: File) -> dict[str, Any]:
    return {
        "id": file.id,
        "name": file.name,
        "project_id": PROJECT,
        "file_type": file.name.rpartition(".")[2] or None,
        "purpose": "parse",
        "external_file_id": None,
        "expires_at": None,
        "last_modified_at": None,
        "download_url": None,
    }


def describe_versions() -> dict[str, Any]:
    latest = {tier: versions[0] for tier, versions in VERSIONS.items()}
    return {**{tier: list(versions) for tier, versions in VERSIONS.items()}, "latest": latest}


def _pages(job: Job, failed: set[int], field: str) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = []
    for place, text in enumerate(job.pages):
        if place in failed:
            error = {"success": False, "error": "This page could not be parsed"}
            pages.append({"page_number": place + 1, **error})
        else:
            kept = text.encode()[:PAGE_BYTES].decode("utf-8", "ignore")
            good = {"success": True} if field == "markdown" else {}
            pages.append({"page_number": place + 1, field: kept, **good})
    return pages


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
