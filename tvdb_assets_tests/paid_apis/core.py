"""Both paid APIs as one state machine: a request and the time go in, an answer comes out.

What belongs here: who may ask, which fault a request meets, what is billed, and the logs. What
does not: sockets, sleeping and clocks (`server`, `transport`), and the details of either API
(`embeddings`, `parsing`).

The order of a request: its key, its JSON, its fault, its limits, its rate, the work and its
charge, and then what spoils the answer. Everything random comes from the seed.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from email.utils import formatdate
from functools import cache
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets_tests.paid_apis import embeddings, parsing, refusals
from tvdb_assets_tests.paid_apis.batch_endpoints import BatchEndpoints
from tvdb_assets_tests.paid_apis.charges import (
    Charge,
    ChargeRecord,
    Request,
    embedding_dollars,
    parsing_dollars,
)
from tvdb_assets_tests.paid_apis.faults import BEFORE_WORK, Fault, FaultKind, FaultPlan
from tvdb_assets_tests.paid_apis.rate_limits import RateLimit
from tvdb_assets_tests.paid_apis.replies import (
    Cut,
    Headers,
    RefusedError,
    Reply,
    llamaparse_refusal,
    openai_refusal,
)
from tvdb_assets_tests.paid_apis.vectors import FULL_DIMENSIONS

_JOBS = "/api/v2/parse"
_REMEMBERED_COUNTS = 100_000
_DRIPS = 64
_OVERSIZED_MIB = 128
"""More than a client reads of any answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the APIs behave when nothing is wrong.

    Attributes:
        keys: The accepted keys; None accepts every key but ``bad``.
        latency_seconds: Of every answer, refusals included.
        per_input_seconds: More, for each embedded text.
        job_seconds: From a submission to its result.
        billed_after_seconds: From the result until ``usage`` shows what it cost.
        requests_per_minute: Of embeddings, as ``tokens_per_minute``; 0 is no limit.
        parsing_requests_per_minute: Of submissions, polls and all else at LlamaParse together.
        exact_tokens: False bills by bytes instead: another tokenizer, and for a server that must
            not be what a benchmark measures, as counting costs three quarters of an answer.
        bytes_per_token: Of that other tokenizer.
        batch_seconds: From the submission of a batch job to its result.
        enqueued_tokens: Most tokens of all batch jobs that run; 0 is no limit.
        has_batches: False is a server without batch jobs.
        canary: Put into every error's message, to see where those end up.
    """

    seed: int = 7
    keys: frozenset[str] | None = None
    latency_seconds: float = 0.0
    per_input_seconds: float = 0.0
    job_seconds: float = 0.0
    billed_after_seconds: float = 0.0
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    parsing_requests_per_minute: int = 0
    exact_tokens: bool = True
    bytes_per_token: int = 4
    batch_seconds: float = 3_600.0
    enqueued_tokens: int = 0
    has_batches: bool = True
    canary: str = ""


@dataclass(slots=True)
class _Call:
    """What one request is known as while it is handled."""

    now: float
    id: str
    client_id: str | None
    key: str
    service: str
    operation: str
    body: bytes
    content_type: str
    usage_tags: str = ""
    inputs: int = 0
    fault: Fault | None = None
    rate_headers: Headers = ()


class PaidApis(BatchEndpoints):
    """The two APIs. Not thread-safe: a caller with several threads must hold a lock.

    Attributes:
        faults: Script or randomize what goes wrong.
        charges: Everything that the providers would bill.
        requests: Everything that they were asked.
    """

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self._counts: dict[bytes, int] = {}
        self.reset()

    def reset(self) -> None:
        """Forget everything that happened, and every fault."""
        kept = self.behaviour
        self._random = random.Random(kept.seed)
        self.faults = FaultPlan(kept.seed)
        self.charge_record = ChargeRecord()
        self._limit = RateLimit(kept.requests_per_minute, kept.tokens_per_minute)
        self._parsing_limit = RateLimit(kept.parsing_requests_per_minute)
        self._files: dict[str, parsing.File] = {}
        self._jobs: dict[str, parsing.Job] = {}
        self.forget_batches()

    @property
    def charges(self) -> list[Charge]:
        return self.charge_record.charges

    @property
    def requests(self) -> list[Request]:
        return self.charge_record.requests

    @property
    def dollars(self) -> Decimal:
        """What everything that happened costs."""
        return self.charge_record.dollars

    def answer_lost(self, request_id: str) -> None:
        """Say that the reader of this request's answer was gone before it came."""
        self.charge_record.lose(request_id)

    def handle(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, now: float
    ) -> Reply:
        """Answer one request. ``now`` is in seconds since the epoch."""
        given = {name.lower(): value for name, value in headers.items()}
        url = urlsplit(path)
        route = url.path.rstrip("/")
        call = _Call(
            now=now,
            id=f"req_{self._random.getrandbits(128):032x}",
            client_id=given.get("x-client-request-id"),
            key=_bearer(given.get("authorization", "")),
            service="llamaparse" if route.startswith("/api/") else "openai",
            operation="unknown",
            body=body,
            content_type=given.get("content-type", ""),
            usage_tags=given.get("usage-tags", ""),
        )
        try:
            reply = self._answer(call, method, route, url.query)
        except RefusedError as refusal:
            more = (("content-type", refusal.content_type), *refusal.headers)
            reply = self._reply(call, refusal.status, refusal.body, more)
        broken = reply.cut is Cut.BEFORE_ANSWER
        self.charge_record.requests.append(
            Request(
                now, call.service, call.operation, call.client_id, call.id,
                0 if broken else reply.status, call.fault.kind.value if call.fault else None,
                call.inputs,
            )
        )  # fmt: skip
        return reply

    def _answer(self, call: _Call, method: str, route: str, query: str) -> Reply:
        if call.service == "openai":
            path = route.removeprefix("/v1")
            if (method, path) == ("POST", "/embeddings"):
                return self._embed(call)
            if (method, path) == ("GET", "/models"):
                return self._list_models(call)
            if self.behaviour.has_batches and path.startswith(("/files", "/batches")):
                return self._batch(call, method, path, url_query=query)
            self._authorize(call)
            raise openai_refusal(404, f"Invalid URL ({method} {route})")
        match (method, route):
            case ("POST", "/api/v1/beta/files"):
                return self._upload(call)
            case ("POST", "/api/v2/parse/upload" | "/api/v2/parse"):
                return self._submit(call, by_id=route == _JOBS)
            case ("GET", "/api/v2/parse"):
                return self._list_jobs(call, query)
            case ("GET", "/api/v2/parse/versions"):
                return self._list_versions(call)
        job_id, _, action = route.removeprefix(_JOBS + "/").partition("/")
        if route.startswith(_JOBS + "/"):
            if method == "GET" and not action:
                return self._poll(call, job_id, query)
            if method == "POST" and action == "cancel":
                return self._cancel(call, job_id)
        self._authorize(call)
        raise llamaparse_refusal(404, "Not Found")

    def _embed(self, call: _Call) -> Reply:
        call.operation = "embeddings"
        self._authorize(call)
        document = embeddings.read_json(call.body)
        texts = embeddings.loosely_texts(document)
        call.inputs = len(texts)
        if cut := self._meet_fault(call, texts, model=str(document.get("model"))):
            return cut
        request = embeddings.check_request(document, self.behaviour.canary)
        digests, counts = self._count(request.texts)
        tokens = embeddings.check_tokens(counts)
        call.rate_headers = self._limit.take(tokens, request.model, call.now)
        kind = call.fault.kind if call.fault else None
        self.charge_record.bill(
            Charge(
                call.now, call.service, call.operation, call.client_id, call.id, request.model,
                tokens, 0, embedding_dollars(request.model, tokens),
                tuple(digest.hex() for digest in digests), _is_answered(kind),
            )
        )  # fmt: skip
        content = embeddings.write_answer(request, tokens, kind, self._random)
        late = self.behaviour.per_input_seconds * len(request.texts)
        return self._finish(call, content, late, (("openai-model", request.model),))

    def _upload(self, call: _Call) -> Reply:
        call.operation = "upload"
        self._authorize(call)
        if cut := self._meet_fault(call, [call.body.decode("utf-8", "replace")]):
            return cut
        name, content, _ = parsing.read_file(call.content_type, call.body)
        file = parsing.File(f"dfl-{self._uuid()}", name, content)
        self._files[file.id] = file
        return self._finish(call, _json(parsing.describe_file(file)))

    def _submit(self, call: _Call, *, by_id: bool) -> Reply:
        call.operation = "submit"
        call.inputs = 1
        self._authorize(call)
        submission = (
            parsing.read_by_id(call.body, self._files)
            if by_id
            else parsing.read_upload(call.content_type, call.body)
        )
        if cut := self._meet_fault(call, [submission.content.decode("utf-8", "replace")]):
            return cut
        kind = call.fault.kind if call.fault else None
        done = call.now + self.behaviour.job_seconds
        submission = replace(submission, usage_tags=call.usage_tags)
        job = parsing.Job(
            id=f"pjb-{self._uuid()}",
            submission=submission,
            pages=parsing.pages_of(submission.content),
            created=call.now,
            done=done,
            billed=done + self.behaviour.billed_after_seconds,
            credits=0,
            fault=kind,
        )
        job.credits = parsing.billed_credits(job)
        self._jobs[job.id] = job
        if job.credits:
            self.charge_record.bill(
                Charge(
                    call.now, call.service, "parse", call.client_id, call.id, submission.tier,
                    0, job.credits, parsing_dollars(job.credits),
                    (sha256(submission.content).hexdigest(),), _is_answered(kind), job.id,
                )
            )  # fmt: skip
        return self._finish(call, _json(parsing.describe_job(job, call.now)))

    def _poll(self, call: _Call, job_id: str, query: str) -> Reply:
        call.operation = "poll"
        self._authorize(call)
        if cut := self._meet_fault(call, []):
            return cut
        expand = {name for given in parse_qs(query).get("expand", []) for name in given.split(",")}
        result = parsing.describe_result(self._job(job_id), call.now, expand)
        return self._finish(call, _json(result))

    @property
    def submissions(self) -> list[parsing.Submission]:
        """Of all jobs of LlamaParse."""
        return [job.submission for job in self._jobs.values()]

    def _list_jobs(self, call: _Call, query: str) -> Reply:
        call.operation = "list"
        self._authorize(call)
        if cut := self._meet_fault(call, []):
            return cut
        listed = parsing.list_jobs(self._jobs.values(), parse_qs(query), call.now)
        return self._finish(call, _json(listed))

    def _cancel(self, call: _Call, job_id: str) -> Reply:
        call.operation = "cancel"
        self._authorize(call)
        if cut := self._meet_fault(call, []):
            return cut
        job = self._job(job_id)
        if job.status(call.now) in parsing.FINAL:
            raise llamaparse_refusal(409, "Job is already in a terminal state")
        job.cancelled = call.now
        return self._finish(call, _json(parsing.describe_job(job, call.now)))

    def _list_models(self, call: _Call) -> Reply:
        call.operation = "probe"
        self._authorize(call)
        if cut := self._meet_fault(call, []):
            return cut
        models = [
            {"id": model, "object": "model", "created": 1705948997, "owned_by": "system"}
            for model in FULL_DIMENSIONS
        ]
        return self._finish(call, _json({"object": "list", "data": models}))

    def _list_versions(self, call: _Call) -> Reply:
        call.operation = "probe"
        self._authorize(call)
        if cut := self._meet_fault(call, []):
            return cut
        return self._finish(call, _json(parsing.describe_versions()))

    def _authorize(self, call: _Call) -> None:
        keys = self.behaviour.keys
        if call.key and (call.key in keys if keys is not None else call.key != "bad"):
            return
        if call.service == "llamaparse":
            raise llamaparse_refusal(401, f"Invalid API Key{self.behaviour.canary}")
        raise refusals.wrong_openai_key(call.key, self.behaviour.canary)

    def _meet_fault(self, call: _Call, texts: list[str], model: str = "") -> Reply | None:
        """Choose this request's fault, and break off if it comes before the work."""
        call.fault = fault = self.faults.choose(call.operation, texts)
        is_parsing = call.service == "llamaparse"
        if fault is None or fault.kind not in BEFORE_WORK:
            if is_parsing:
                self._take_parsing_turn(call)
            return None
        if fault.kind is FaultKind.RESET_BEFORE_WORK:
            return self._reply(call, 200, b"", (), cut=Cut.BEFORE_ANSWER)
        canary = self.behaviour.canary
        if is_parsing:
            raise refusals.llamaparse_fault(fault, texts, call.now, canary)
        raise refusals.openai_fault(fault, texts, model, call.key, call.now, canary)

    def _take_parsing_turn(self, call: _Call) -> None:
        try:
            self._parsing_limit.take(0, "", call.now)
        except RefusedError as full:
            wait = tuple(pair for pair in full.headers if pair[0] == "retry-after")
            message = f"Rate limit exceeded{self.behaviour.canary}"
            raise llamaparse_refusal(429, message, headers=wait) from None

    def _finish(self, call: _Call, content: bytes, late: float = 0.0, more: Headers = ()) -> Reply:
        """The answer to work that was done, spoilt if its fault says so."""
        kind = call.fault.kind if call.fault else None
        headers: Headers = (("content-type", "application/json"), *more)
        cut = Cut.NONE
        match kind:
            case FaultKind.SLOW if call.fault:
                late += call.fault.seconds
            case FaultKind.RESET_AFTER_WORK:
                cut = Cut.BEFORE_ANSWER
            case FaultKind.RESET_MID_BODY:
                cut = Cut.MID_BODY
            case FaultKind.DRIP if call.fault:
                return self._dripping(call, content, headers, call.fault.seconds)
            case FaultKind.OVERSIZED:
                content = _oversized()
            case FaultKind.GZIP_BOMB:
                content = _bomb()
                headers = (*headers, ("content-encoding", "gzip"))
            case FaultKind.TRUNCATED_JSON:
                content = content[: len(content) // 2]
            case FaultKind.EMPTY_BODY:
                content = b""
            case FaultKind.HTML_200:
                content = refusals.html("Just a moment...", self.behaviour.canary)
                headers = (("content-type", "text/html; charset=utf-8"), *more)
        return self._reply(call, 200, content, headers, late=late, cut=cut)

    def _reply(
        self,
        call: _Call,
        status: int,
        content: bytes,
        headers: Headers,
        *,
        late: float = 0.0,
        cut: Cut = Cut.NONE,
    ) -> Reply:
        reported = formatdate(call.now, usegmt=True)
        named = (("date", reported), ("x-request-id", call.id), *call.rate_headers)
        delay = self.behaviour.latency_seconds + late
        return Reply(status, headers + named, (content,), delay, cut, call.id)

    def _dripping(self, call: _Call, content: bytes, headers: Headers, seconds: float) -> Reply:
        each = max(1, len(content) // _DRIPS)
        pieces = tuple(content[at : at + each] for at in range(0, len(content), each))
        whole = self._reply(call, 200, content, headers)
        # The client gives up before the last piece.
        return replace(whole, body=pieces, piece_seconds=1.5 * seconds / len(pieces))

    def _job(self, job_id: str) -> parsing.Job:
        if job_id not in self._jobs:
            raise llamaparse_refusal(404, f"Parse job {job_id} not found{self.behaviour.canary}")
        return self._jobs[job_id]

    def _count(self, texts: list[str]) -> tuple[list[bytes], list[int]]:
        """Hash and exact tokens of each text; counts are kept, for counting costs the most."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        digests = [sha256(content).digest() for content in encoded]
        if not self.behaviour.exact_tokens:
            return digests, [
                len(content) // self.behaviour.bytes_per_token + 1 for content in encoded
            ]
        if len(self._counts) > _REMEMBERED_COUNTS:
            self._counts.clear()
        for digest, text in zip(digests, texts, strict=True):
            if digest not in self._counts:
                self._counts[digest] = count_tokens(text)
        return digests, [self._counts[digest] for digest in digests]

    def _uuid(self) -> str:
        return f"{self._random.getrandbits(128):032x}"


def _bearer(header: str) -> str:
    scheme, _, key = header.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _is_answered(kind: FaultKind | None) -> bool:
    return kind not in (FaultKind.RESET_AFTER_WORK, FaultKind.RESET_MID_BODY, FaultKind.DRIP)


@cache
def _oversized() -> bytes:
    return b" " * (_OVERSIZED_MIB << 20)


@cache
def _bomb() -> bytes:
    compressor = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return compressor.compress(_oversized()) + compressor.flush()


def _json(document: object) -> bytes:
    return json.dumps(document).encode()
