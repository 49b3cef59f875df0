"""Embedding servers that misbehave, each as one kind of real server does.

What belongs here: a transport that answers like one of them, and what is expected of each. What
does not: checks (`test_server_kinds`, `test_server_traits`), or the table for people
(`benchmarks/embedding_servers.py`).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import numpy as np

DIMENSIONS = 8
POISON = "zzpoison"
"""A word at which servers fail that fail at one text."""
HTML = "<!doctype html><title>Sign in</title>"


def vector_of(text: str) -> list[float]:
    numbers = np.random.default_rng(list(text.encode())).normal(size=DIMENSIONS)
    return [float(number) for number in numbers.astype("<f4")]


@dataclass(frozen=True)
class Asked:
    """A request."""

    texts: Sequence[str]
    encoding: str
    dimensions: int | None
    bytes: int
    number: int
    """From 1."""

    @property
    def has_poison(self) -> bool:
        return any(POISON in text for text in self.texts)

    @property
    def tokens(self) -> int:
        return sum(2 * len(text.split()) for text in self.texts)


@dataclass(frozen=True)
class Refused:
    """What a server answers instead of vectors."""

    status: int
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    raises: Exception | None = None


Refuse = Callable[[Asked], Refused | None]
Answer = Callable[[Asked], Any]


@dataclass(frozen=True)
class Kind:
    """A server, and what becomes of documents that are embedded by it."""

    refuse: Refuse = lambda asked: None
    answer: Answer | None = None
    """The body instead of `plain`; bytes, or what JSON can express."""
    failed: str = ""
    """The code of the one document that fails; empty if all are published."""
    stopped: str = ""
    """The code with which all documents wait."""
    wasted: int = 0
    """Most requests of a process that are of no use."""
    is_wasted: Callable[[Asked], bool] = lambda asked: False
    """Whether an answer with the status 200 can't be used."""
    headers: Mapping[str, str] = field(default_factory=dict)


def encoded(vector: list[float]) -> str:
    return base64.b64encode(np.array(vector, "<f4").tobytes()).decode()


def plain(asked: Asked, *, as_floats: bool = False) -> dict[str, Any]:
    """OpenAI's own form."""
    is_float = as_floats or asked.encoding == "float"
    vectors = [vector_of(text) for text in asked.texts]
    data = [
        {"object": "embedding", "embedding": v if is_float else encoded(v), "index": at}
        for at, v in enumerate(vectors)
    ]
    usage = {"prompt_tokens": asked.tokens, "total_tokens": asked.tokens}
    return {"object": "list", "data": data, "model": "m", "usage": usage}


def floats(asked: Asked) -> list[list[float]]:
    return [vector_of(text) for text in asked.texts]


def items(change: Callable[[int, dict[str, Any], Asked], dict[str, Any]]) -> Answer:
    """OpenAI's form with each vector changed: (position, item, request) to item."""
    return lambda asked: (
        plain(asked)
        | {"data": [change(at, item, asked) for at, item in enumerate(plain(asked)["data"])]}
    )


def indexed(number: Callable[[int], Any]) -> Answer:
    return items(lambda at, item, _: item | {"index": number(at)})


def vectors(change: Callable[[list[float], str], Any]) -> Answer:
    return items(lambda at, item, asked: item | {
        "embedding": change(vector_of(asked.texts[at]), asked.texts[at])
    })  # fmt: skip


def usage(value: Any) -> Answer:
    return lambda asked: plain(asked) | {"usage": value}


def error(message: str, code: object = None, **more: object) -> dict[str, Any]:
    return {"error": {"message": message, "code": code, **more}}


def more_than(most: int, status: int, body: Any) -> Kind:
    """Refuses requests of more texts."""
    return Kind(lambda asked: Refused(status, body) if len(asked.texts) > most else None, wasted=1)


def always(status: int, body: Any = b"", stopped: str = "", wasted: int = 1, **more: Any) -> Kind:
    return Kind(lambda asked: Refused(status, body, **more), stopped=stopped, wasted=wasted)


def at_poison(failed: str, refused: Refused) -> Kind:
    return Kind(lambda asked: refused if asked.has_poison else None, failed=failed, wasted=5)


def first(times: int, refused: Refused) -> Kind:
    return Kind(lambda asked: refused if asked.number <= times else None, wasted=times)


def after_first(refused: Refused) -> Kind:
    """Fails once in the middle of a load."""
    return Kind(lambda asked: refused if asked.number == 3 else None, wasted=1)


def raised(exception: Exception) -> Refused:
    return Refused(0, raises=exception)


def as_lines(asked: Asked) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in plain(asked)["data"])


def as_event(asked: Asked) -> bytes:
    return b"data: " + json.dumps(plain(asked)).encode() + b"\n\ndata: [DONE]\n\n"


def part(asked: Asked, most: int) -> dict[str, Any]:
    return plain(asked) | {"data": plain(asked)["data"][:most]}


def in_an_hour(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


NO_BASE64 = "base64 encoding is not currently supported"
NO_LENGTH = "Model m does not support matryoshka representation, changing output dimensions ..."
DAY = "Requests have exceeded call rate limit. Please retry after 86400 seconds."
_VOYAGE = {"detail": "The max allowed tokens per submitted batch is 2000. Yours has more tokens."}

PUBLISHED: dict[str, Kind] = {
    "OpenAI": Kind(),
    "vLLM: no base64": Kind(
        lambda a: Refused(400, {"message": NO_BASE64}) if a.encoding == "base64" else None, wasted=1
    ),
    "vLLM: no shortened vectors": Kind(
        lambda a: Refused(400, {"message": NO_LENGTH}) if a.dimensions else None, wasted=1
    ),
    "TEI: 32 texts": more_than(
        32, 422, {"message": "batch size 33 > maximum allowed batch size 32", "code": 422}
    ),
    "SiliconFlow: 32 texts": more_than(
        32, 413, {"code": 20042, "message": "input batch size 33 > maximum allowed batch size 32"}
    ),
    "DashScope: 10 texts": more_than(
        10,
        400,
        error("batch size is invalid, it should not be larger than 10.: input.contents", "x"),
    ),
    "Gemini: 20 texts, list body": more_than(
        20, 400, [error("at most 20 requests can be in one batch", 400, status="INVALID_ARGUMENT")]
    ),
    "Azure of old: 16 texts": more_than(
        16, 400, error("Too many inputs. The max number of inputs is 16.")
    ),
    "one text": more_than(1, 400, error("only one input is supported")),
    "Voyage: 2,000 tokens": Kind(
        lambda a: Refused(400, _VOYAGE) if a.tokens > 2_000 and len(a.texts) > 1 else None, wasted=4
    ),
    "llama.cpp: physical batch": Kind(
        lambda a: Refused(500, error("input is too large. increase the physical batch size", 500))
        if a.tokens > 1_500 and len(a.texts) > 1 else None,
        wasted=4,
    ),
    "gateway: 413 of 8 kB, no body": Kind(
        lambda a: Refused(413) if a.bytes > 8_000 else None, wasted=4
    ),
    "gateway: 413 of 8 kB, a page": Kind(
        lambda a: Refused(413, HTML) if a.bytes > 8_000 else None, wasted=4
    ),
    "one vector whatever is sent": Kind(
        answer=lambda a: part(a, 1), is_wasted=lambda a: len(a.texts) > 1, wasted=1
    ),
    "20 vectors at most": Kind(
        answer=lambda a: part(a, 20), is_wasted=lambda a: len(a.texts) > 20, wasted=1
    ),
    "a vector too many above 20": Kind(
        answer=lambda a: plain(a) | {"data": plain(a)["data"] + plain(a)["data"][: len(a.texts) > 20
        ]},
        is_wasted=lambda a: len(a.texts) > 20,
        wasted=2,
    ),
    "index begins again after 16": Kind(
        answer=indexed(lambda at: at % 16), is_wasted=lambda a: len(a.texts) > 16, wasted=2
    ),
    "index twice": Kind(
        answer=indexed(lambda at: at // 2 + 1), is_wasted=lambda a: len(a.texts) > 1, wasted=5
    ),
    "no index": Kind(answer=items(lambda at, item, _: {"embedding": item["embedding"]})),
    "index 0": Kind(answer=indexed(lambda at: 0)),
    "index as text": Kind(answer=indexed(str)),
    "index as decimal": Kind(answer=indexed(float)),
    "index from 1": Kind(answer=indexed(lambda at: at + 1)),
    "data in another order": Kind(
        answer=lambda a: plain(a) | {"data": plain(a)["data"][::-1]}
    ),
    "floats though base64 was asked": Kind(answer=lambda a: plain(a, as_floats=True)),
    "base64 though floats were asked": Kind(
        lambda a: Refused(400, {"message": NO_BASE64}) if a.number == 1 else None,
        vectors(lambda vector, _: encoded(vector)),
        wasted=1,
    ),
    "numbers as text": Kind(answer=vectors(lambda vector, _: list(map(repr, vector)))),
    "llama.cpp: nested": Kind(answer=vectors(lambda vector, _: [vector])),
    "llama.cpp: /embedding": Kind(
        answer=lambda a: [{"index": i, "embedding": [v]} for i, v in enumerate(floats(a))]
    ),
    "TEI: /embed": Kind(answer=floats),
    "Ollama: /api/embed": Kind(
        answer=lambda a: {"model": "m", "embeddings": floats(a), "prompt_eval_count": a.tokens}
    ),
    "Cohere: by type": Kind(answer=lambda a: {"id": "x", "embeddings": {"float": floats(a)}}),
    "Gemini: values": Kind(answer=lambda a: {"embeddings": [{"values": v} for v in floats(a)]}),
    "vectors by position": Kind(
        answer=lambda a: plain(a) | {"data": {str(i): item for i, item in
        enumerate(plain(a)["data"])}}
    ),
    "numbers by position": Kind(
        answer=vectors(lambda vector, _: {str(i): n for i, n in enumerate(vector)})
    ),
    "one JSON document a line": Kind(answer=as_lines),
    "server-sent events": Kind(answer=as_event),
    "another object and model": Kind(answer=lambda a: plain(a) | {"object": "x", "model": 7}),
    "no usage": Kind(answer=lambda a: {"data": plain(a)["data"]}),
    "usage null": Kind(answer=usage(None)),
    "usage negative": Kind(answer=usage({"total_tokens": -3})),
    "usage as text": Kind(answer=usage({"prompt_tokens": "12", "total_tokens": "many"})),
    "usage 0": Kind(answer=usage({"prompt_tokens": 0, "total_tokens": 0})),
    "compressed": Kind(
        answer=lambda a: gzip.compress(json.dumps(plain(a)).encode()),
        headers={"content-encoding": "gzip"},
    ),
    "loads its model": first(3, Refused(503, error("Loading model", 503))),
    "429, then it answers": first(2, Refused(429, {"error": "Model is overloaded"})),
    "429 with seconds": after_first(Refused(429, headers={"retry-after": "0"})),
    "429 with milliseconds": after_first(Refused(429, headers={"retry-after-ms": "3"})),
    "429 with a date": after_first(Refused(429, headers={"retry-after": in_an_hour(-5)})),
    "a gateway fails once": after_first(Refused(502, HTML)),
    "a page in the middle": after_first(Refused(200, HTML, {"content-type": "text/html"})),
    "cut once": after_first(Refused(200, '{"data": [{"ind')),
    "reset once": after_first(raised(httpx2.ReadError("reset"))),
    "reset in mid-body once": after_first(raised(httpx2.RemoteProtocolError("incomplete"))),
}  # fmt: skip

ONE_FAILS: dict[str, Kind] = {
    "Ollama: NaN": at_poison(
        "text_breaks_service", Refused(500, error("failed to encode response: unsupported: NaN"))
    ),
    "Ollama: context length": at_poison(
        "text_too_long", Refused(400, error("the input length exceeds the context length"))
    ),
    "TEI: too long": at_poison(
        "text_too_long",
        Refused(413, {"message": "`inputs` must have less than 512 tokens. Given: 700"}),
    ),
    "vLLM: too long": at_poison(
        "text_too_long", Refused(400, {"message": "maximum context length is 512 tokens"})
    ),
    "llama.cpp: too long": at_poison(
        "text_too_long",
        Refused(400, error("exceeds the context size", 400, type="exceed_context_size_error")),
    ),
    "Azure: content filter": at_poison(
        "text_refused", Refused(400, error("The response was filtered", "content_filter"))
    ),
    "DashScope: inspection": at_poison(
        "text_refused", Refused(400, {"code": "DataInspectionFailed", "message": "Input data"})
    ),
    "an unknown reason": at_poison("request_refused", Refused(422, {"detail": "no"})),
    "resets at it": at_poison("text_breaks_service", raised(httpx2.ReadError("reset"))),
    "NaN in JSON": Kind(
        answer=lambda a: json.dumps(plain(a) | ({"score": float("nan")} if a.has_poison else {}))
        .encode(),
        is_wasted=lambda a: a.has_poison,
        failed="text_breaks_service",
        wasted=5,
    ),
    "a vector of null": Kind(
        answer=vectors(lambda v, text: [None] * DIMENSIONS if POISON in text else v),
        failed="vector_not_finite",
    ),
    "a vector of zeros": Kind(
        answer=vectors(lambda v, text: [0] * DIMENSIONS if POISON in text else v),
        failed="vector_zero",
    ),
}  # fmt: skip

_QUOTA = error("Budget has been exceeded! Current cost: 1", "400", type="budget_exceeded")
_GEMINI_KEY = [
    error("API key not valid. Please pass a valid API key.", 400, status="INVALID_ARGUMENT")
]
STOPPED: dict[str, Kind] = {
    "a login page": always(200, HTML, "bad_answer", headers={"content-type": "text/html"}),
    "a page without a type": always(200, "\n  <html>portal</html>", "bad_answer"),
    "a redirect to a login page": always(
        302, HTML, "model_not_found", headers={"location": "http://127.0.0.1:9/login"}
    ),
    "text": always(200, "It works!", "bad_answer"),
    "another API": always(200, {"status": "ok"}, "bad_answer"),
    "a list of models": always(200, {"data": [{"id": "m", "object": "model"}]}, "bad_answer"),
    "LM Studio: other path": always(
        200, {"error": "Unexpected endpoint or method. (POST /embeddings)"}, "model_not_found"
    ),
    "404 of a gateway": always(404, HTML, "model_not_found"),
    "404 of a model": always(404, error("model m not found, try pulling it"), "model_not_found"),
    "405": always(405, {"detail": "Method Not Allowed"}, "model_not_found"),
    "nothing": always(200, b"", "bad_answer", wasted=4),
    "not compressed as it says": always(
        200, b"garbage", "bad_answer", wasted=4, headers={"content-encoding": "gzip"}
    ),
    "an error under 200": always(200, error("Rate limit exceeded", 402), "quota_exhausted"),
    "401": always(401, b"", "key_refused"),
    "Gemini: key in a list": always(400, _GEMINI_KEY, "key_refused"),
    "Voyage: key": always(401, {"detail": "Provided API key is invalid."}, "key_refused"),
    "403": always(403, HTML, "permission_refused"),
    "LiteLLM: budget": always(400, _QUOTA, "quota_exhausted"),
    "DashScope: arrears": always(400, {"code": "Arrearage", "message": "x"}, "quota_exhausted"),
    "402": always(402, b"", "quota_exhausted"),
    "Azure: 429 of a day": always(
        429, error(DAY, "429"), "rate_limited", headers={"retry-after": "86400"}
    ),
    "always 500": always(500, error("oops"), "service_unavailable", wasted=5),
    "always reset in mid-body": always(
        0, stopped="service_unavailable", wasted=5, raises=httpx2.RemoteProtocolError("incomplete")
    ),
}
KINDS = {**PUBLISHED, **ONE_FAILS, **STOPPED}


class Server(httpx2.AsyncBaseTransport):
    """Behaves as a kind of server does; counts its requests and those that were of no use."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.asked: list[int] = []
        self.encodings: set[str] = set()
        self.wasted = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        given = json.loads(body)
        self.asked.append(len(given["input"]))
        self.encodings.add(given["encoding_format"])
        asked = Asked(
            given["input"],
            given["encoding_format"],
            given.get("dimensions"),
            len(body),
            len(self.asked),
        )
        refused = self.kind.refuse(asked)
        if refused is None:
            self.wasted += self.kind.is_wasted(asked)
            answer = self.kind.answer(asked) if self.kind.answer else plain(asked)
            return self._response(request, 200, answer, self.kind.headers)
        self.wasted += 1
        if refused.raises is not None:
            raise refused.raises
        return self._response(request, refused.status, refused.body, refused.headers)

    def _response(
        self, request: httpx2.Request, status: int, body: Any, headers: Mapping[str, str]
    ) -> httpx2.Response:
        if isinstance(body, str):
            body = body.encode()
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        # As a stream, which is decompressed when it is read.
        stream = httpx2.ByteStream(content)
        given = {"content-type": "application/json", **headers}
        return httpx2.Response(status, headers=given, stream=stream, request=request)
