"""OpenAI's Files and Batches for embeddings: files, jobs and their states, and what is billed.

What belongs here: what a job must hold, how it ages, which of its lines are done, and its files.
What does not: charging for it, and refusing by a fault (`core`).

The shapes are those of the official ``openai`` client.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from tvdb_assets_tests.paid_apis import embeddings
from tvdb_assets_tests.paid_apis.faults import FaultKind
from tvdb_assets_tests.paid_apis.multipart import read_parts
from tvdb_assets_tests.paid_apis.replies import RefusedError, openai_refusal

LARGEST_PAGE_SIZE = 100
FINAL = ("failed", "completed", "expired", "cancelled")
_MOST_INPUTS = 50_000
_MOST_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class UploadedFile:
    id: str
    name: str
    content: bytes
    created: float


@dataclass(frozen=True, slots=True)
class Line:
    custom_id: str
    request: embeddings.EmbeddingRequest | None
    """None if it is refused when the job is done."""
    tokens: int
    is_refused: bool = False

    @property
    def model(self) -> str:
        return self.request.model if self.request is not None else ""


@dataclass(slots=True)
class BatchJob:
    id: str
    file_id: str
    metadata: dict[str, str]
    lines: list[Line]
    created: float
    ends: float
    fault: FaultKind | None
    client_id: str | None
    errors: list[dict[str, Any]] = field(default_factory=list)
    cancelled: float | None = None
    is_billed: bool = False
    output_seconds: int | None = None
    """After which the service deletes its results; None means that it keeps them."""
    discarded: set[str] = field(default_factory=set)

    def status(self, now: float) -> str:
        if self.errors:
            return "failed"
        if self.cancelled is not None and self.cancelled < self.ends:
            return "cancelled"
        if now < self.ends:
            return "validating" if now == self.created else "in_progress"
        return "expired" if self.fault is FaultKind.BATCH_EXPIRED else "completed"

    def is_final(self, now: float) -> bool:
        return self.status(now) in FINAL

    def done(self, now: float) -> list[Line]:
        """The lines that are done, and billed."""
        status = self.status(now)
        if status == "failed":
            return []
        lines = [line for line in self.lines if not line.is_refused]
        if self.fault is FaultKind.BATCH_LINES_FAIL:
            lines = [line for at, line in enumerate(lines) if at % 3]
        if status == "expired":
            return lines[: len(lines) // 2]
        until = self.cancelled if status == "cancelled" else now
        assert until is not None
        share = 1.0 if self.ends <= until else (until - self.created) / (self.ends - self.created)
        return lines[: int(len(lines) * share)]

    def output(self, now: float, stream: random.Random) -> bytes:
        rows = [_output_line(self.id, line, self.fault) for line in self.done(now)]
        match self.fault:
            case FaultKind.BATCH_SHUFFLED:
                stream.shuffle(rows)
            case FaultKind.BATCH_DUPLICATES:
                rows += rows[: 1 + len(rows) // 2]
            case FaultKind.BATCH_UNKNOWN_IDS:
                rows += [row.replace(b'"custom_id": "', b'"custom_id": "x') for row in rows[:2]]
            case FaultKind.BATCH_LINES_MISSING:
                rows = rows[: len(rows) // 2]
        content = b"".join(rows)
        if self.fault is FaultKind.BATCH_TRUNCATED:
            content = content[: len(content) * 2 // 3]
        return content

    def error_output(self, now: float) -> bytes:
        done = {line.custom_id for line in self.done(now)}
        status = self.status(now)
        rows = []
        for line in self.lines:
            if line.custom_id in done:
                continue
            if line.is_refused or status == "completed":
                code = 400 if line.is_refused else 500
                body = {"error": {"message": "It failed.", "code": None}}
                row: dict[str, Any] = {"response": {"status_code": code, "body": body}}
                row |= {"error": None}
            else:
                code_name = "batch_expired" if status == "expired" else "batch_cancelled"
                row = {"response": None, "error": {"code": code_name, "message": "Too late."}}
            rows.append(json.dumps({"id": "r", "custom_id": line.custom_id} | row).encode() + b"\n")
        return b"".join(rows)

    def describe(self, now: float) -> dict[str, Any]:
        status, done = self.status(now), self.done(now)
        has_output = self.is_final(now) and bool(done)
        has_errors = self.is_final(now) and status != "failed" and len(done) < len(self.lines)
        usage = {"input_tokens": (tokens := sum(line.tokens for line in done))}
        is_told = self.is_final(now) and self.fault is not FaultKind.BATCH_WITHOUT_USAGE
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": "/v1/embeddings",
            "completion_window": "24h",
            "input_file_id": self.file_id,
            "status": status,
            "created_at": int(self.created),
            "expires_at": int(self.created) + 86_400,
            "metadata": self.metadata,
            "errors": {"object": "list", "data": self.errors} if self.errors else None,
            "output_file_id": f"{self.id}-output" if has_output else None,
            "error_file_id": f"{self.id}-errors" if has_errors else None,
            "request_counts": {
                "total": len(self.lines),
                "completed": len(done),
                "failed": len(self.lines) - len(done) if self.is_final(now) else 0,
            },
            "usage": usage | {"output_tokens": 0, "total_tokens": tokens} if is_told else None,
        }


def read_upload(content_type: str, body: bytes) -> tuple[str, bytes]:
    """``POST /v1/files`` with the purpose ``batch``: name and content."""
    try:
        parts = read_parts(content_type, body)
    except ValueError as error:
        raise openai_refusal(400, str(error)) from None
    if "file" not in parts or parts.get("purpose") is None:
        raise openai_refusal(400, "'file' and 'purpose' are required properties")
    if parts["purpose"].content != b"batch":
        raise openai_refusal(400, "Invalid value for 'purpose'.")
    content = parts["file"].content
    if len(content) > _MOST_BYTES:
        raise openai_refusal(413, "File is too large.")
    return parts["file"].filename or "file", content


def read_job(document: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """``POST /v1/batches``: the id of the file, and the metadata."""
    if document.get("endpoint") != "/v1/embeddings" or document.get("completion_window") != "24h":
        raise openai_refusal(400, "Invalid endpoint or completion window.")
    metadata = document.get("metadata") or {}
    pairs = metadata.items()
    if len(pairs) > 16 or any(len(name) > 64 or len(value) > 512 for name, value in pairs):
        raise openai_refusal(400, "Invalid 'metadata'.")
    return str(document.get("input_file_id")), dict(metadata)


def check_lines(content: bytes) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines of a file, and what is wrong with them as a whole."""
    rows: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    seen: set[str] = set()
    for number, line in enumerate(content.splitlines(), 1):
        try:
            row = json.loads(line)
            name, body = row["custom_id"], row["body"]
        except (ValueError, KeyError, TypeError):
            errors.append({"code": "invalid_json_line", "message": "", "line": number})
            continue
        if name in seen:
            errors.append({"code": "duplicate_custom_id", "message": "", "line": number})
        seen.add(name)
        rows.append({"custom_id": name, "body": body})
    if not rows and not errors:
        errors.append({"code": "empty_file", "message": "", "line": None})
    if len(rows) > _MOST_INPUTS:
        errors.append({"code": "too_many_tasks", "message": "", "line": None})
    return rows, errors


def read_line(row: dict[str, Any]) -> tuple[str, embeddings.EmbeddingRequest | None]:
    try:
        return row["custom_id"], embeddings.check_request(row["body"], "")
    except RefusedError:
        return row["custom_id"], None


def list_jobs(jobs: list[BatchJob], query: dict[str, list[str]], now: float) -> dict[str, Any]:
    newest = sorted(jobs, key=lambda job: -job.created)
    after = query.get("after", [None])[0]
    ids = [job.id for job in newest]
    start = ids.index(after) + 1 if after in ids else 0
    size = min(int(query.get("limit", ["20"])[0]), LARGEST_PAGE_SIZE)
    page = newest[start : start + size]
    return {
        "object": "list",
        "data": [job.describe(now) for job in page],
        "has_more": start + size < len(newest),
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _output_line(batch_id: str, line: Line, fault: FaultKind | None) -> bytes:
    assert line.request is not None
    body = json.loads(embeddings.write_answer(line.request, line.tokens, None, random.Random(0)))
    if fault is FaultKind.BATCH_WITHOUT_USAGE:
        del body["usage"]
    response = {"status_code": 200, "request_id": "r", "body": body}
    row = {"id": batch_id, "custom_id": line.custom_id, "response": response, "error": None}
    return json.dumps(row).encode() + b"\n"
