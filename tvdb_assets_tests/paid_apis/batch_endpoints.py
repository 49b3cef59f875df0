"""The endpoints of OpenAI's Files and Batches, as a part of the simulated APIs.

What belongs here: what each request does to files and jobs, and charging for them. What does not:
who may ask, the faults and the replies (`core`), or the state of a job (`batches`).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

from tvdb_assets_tests.paid_apis import batches, embeddings
from tvdb_assets_tests.paid_apis.charges import Charge, embedding_dollars
from tvdb_assets_tests.paid_apis.faults import FaultKind
from tvdb_assets_tests.paid_apis.replies import Reply, openai_refusal


class BatchEndpoints:
    """Files and batch jobs; a part of `PaidApis`, which has the attributes."""

    behaviour: Any
    faults: Any
    charge_record: Any
    _random: Any
    _authorize: Any
    _meet_fault: Any
    _finish: Any
    _count: Any
    _uuid: Any

    def forget_batches(self) -> None:
        self._batch_files: dict[str, batches.UploadedFile] = {}
        self._batches: dict[str, batches.BatchJob] = {}

    def _batch(self, call: Any, method: str, path: str, url_query: str) -> Reply:
        self._bill_batches(call.now)
        parts = path.strip("/").split("/")
        match (method, *parts):
            case ("POST", "files"):
                return self._upload_batch(call)
            case ("GET", "files", file_id, "content"):
                return self._download_batch(call, file_id)
            case ("DELETE", "files", file_id):
                return self._discard_batch_file(call, file_id)
            case ("POST", "batches"):
                return self._create_batch(call)
            case ("GET", "batches"):
                call.operation = "batch_list"
                self._authorize(call)
                if cut := self._meet_fault(call, []):
                    return cut
                jobs = list(self._batches.values())
                listed = batches.list_jobs(jobs, parse_qs(url_query), call.now)
                return self._finish(call, json_body(listed))
            case ("GET", "batches", batch_id) | ("POST", "batches", batch_id, "cancel"):
                call.operation = "batch_poll" if method == "GET" else "batch_cancel"
                self._authorize(call)
                if cut := self._meet_fault(call, []):
                    return cut
                job = self._batches.get(batch_id)
                if job is None:
                    raise openai_refusal(404, f"No batch found with id {batch_id!r}.")
                if method == "POST" and not job.is_final(call.now):
                    job.cancelled = call.now
                    self._bill_batches(call.now)
                return self._finish(call, json_body(job.describe(call.now)))
        self._authorize(call)
        raise openai_refusal(404, f"Invalid URL ({method} {path})")

    def _upload_batch(self, call: Any) -> Reply:
        call.operation = "batch_upload"
        self._authorize(call)
        if cut := self._meet_fault(call, []):
            return cut
        name, content = batches.read_upload(call.content_type, call.body)
        file = batches.UploadedFile(f"file-{self._uuid()}", name, content, call.now)
        self._batch_files[file.id] = file
        described = {"id": file.id, "object": "file", "bytes": len(content), "filename": name}
        return self._finish(
            call, json_body(described | {"purpose": "batch", "created_at": call.now})
        )

    def _create_batch(self, call: Any) -> Reply:
        call.operation = "batch_create"
        self._authorize(call)
        asked = embeddings.read_json(call.body)
        file_id, metadata = batches.read_job(asked)
        if cut := self._meet_fault(call, []):
            return cut
        if file_id not in self._batch_files:
            raise openai_refusal(404, f"No such File object: {file_id}")
        rows, errors = batches.check_lines(self._batch_files[file_id].content)
        lines = []
        for row in rows:
            name, request = batches.read_line(row)
            texts = request.texts if request is not None else []
            _, counts = self._count(texts)
            refused = request is None or self.faults.choose("batch_line", texts) is not None
            lines.append(batches.Line(name, request, sum(counts), refused))
        kind = call.fault.kind if call.fault else None
        running = sum(
            line.tokens
            for job in self._batches.values()
            if not job.is_final(call.now)
            for line in job.lines
        )
        new = sum(line.tokens for line in lines)
        most = self.behaviour.enqueued_tokens
        if most and running + new > most:
            message = f"Enqueued token limit reached. Limit: {most} enqueued tokens."
            errors.append({"code": "token_limit_exceeded", "message": message, "line": None})
        if kind is FaultKind.BATCH_INVALID:
            errors.append({"code": "invalid_request", "message": "It is invalid.", "line": None})
        ends = call.now + self.behaviour.batch_seconds
        job = batches.BatchJob(
            f"batch_{self._uuid()}",
            *(file_id, metadata, lines, call.now, ends, kind, call.client_id, errors),
        )
        job.output_seconds = (asked.get("output_expires_after") or {}).get("seconds")
        self._batches[job.id] = job
        call.inputs = len(lines)
        return self._finish(call, json_body(job.describe(call.now)))

    def _download_batch(self, call: Any, file_id: str) -> Reply:
        call.operation = "batch_download"
        self._authorize(call)
        if cut := self._meet_fault(call, []):
            return cut
        batch_id, _, kind = file_id.rpartition("-")
        job = self._batches.get(batch_id)
        if job is None or not job.is_final(call.now) or file_id in job.discarded:
            raise openai_refusal(404, f"No such File object: {file_id}")
        if kind == "output":
            return self._finish(call, job.output(call.now, self._random))
        return self._finish(call, job.error_output(call.now))

    @property
    def batch_files(self) -> list[str]:
        """Uploaded files that nobody has deleted."""
        return sorted(self._batch_files)

    def _discard_batch_file(self, call: Any, file_id: str) -> Reply:
        call.operation = "batch_discard"
        self._authorize(call)
        if cut := self._meet_fault(call, []):
            return cut
        self._batch_files.pop(file_id, None)
        job = self._batches.get(file_id.rpartition("-")[0])
        if job is not None:
            job.discarded.add(file_id)
        return self._finish(call, json_body({"id": file_id, "object": "file", "deleted": True}))

    def _bill_batches(self, now: float) -> None:
        """Charge the jobs that have ended for the lines that were done."""
        for job in self._batches.values():
            if job.is_billed or not job.is_final(now):
                continue
            job.is_billed = True
            done = job.done(now)
            if not done:
                continue
            tokens, model = sum(line.tokens for line in done), done[0].model
            texts = [text for line in done if line.request for text in line.request.texts]
            digests, _ = self._count(texts)
            self.charge_record.bill(
                Charge(
                    now, "openai", "batch", job.client_id, job.id, model, tokens, 0,
                    embedding_dollars(model, tokens) / 2,
                    tuple(digest.hex() for digest in digests), True, job.id,
                )
            )  # fmt: skip

    @property
    def batches(self) -> list[batches.BatchJob]:
        """All batch jobs, in the order of their submission."""
        return list(self._batches.values())


def json_body(document: object) -> bytes:
    return json.dumps(document).encode()
