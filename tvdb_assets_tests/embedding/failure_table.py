"""The failures of a paid service and their expected effects, for OpenAI and LlamaParse.

What belongs here: the table of `test_paid_failures`. What does not: checks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from tvdb_assets.errors import Disposition
from tvdb_assets.spend_guard.call_failures import Charge, FailureKind
from tvdb_assets.spend_guard.http_failures import QUOTA_CODES
from tvdb_assets_tests.paid_router import FixedResponse

ATTEMPTS = 3
SERVICE_MESSAGE = "the text of the service"


@dataclass(frozen=True)
class Row:
    """A failure and its expected effects."""

    response: FixedResponse | Exception
    kind: FailureKind
    error: str
    code: str
    disposition: Disposition
    charge: Charge = Charge.NONE
    outcome: str = ""
    """The outcome in the ledger; empty if it is the error's code."""
    retry_after: float | None = None
    calls: int = ATTEMPTS
    was_sent: bool = True


def openai_error(
    status: int,
    code: str | None = None,
    message: str = SERVICE_MESSAGE,
    kind: str = "x",
    **headers: str,
) -> FixedResponse:
    """An error in the form of OpenAI."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return FixedResponse(status, json.dumps({"error": error}).encode(), _named(headers))


def llamaparse_error(status: int, value: object = SERVICE_MESSAGE, **headers: str) -> FixedResponse:
    """An error in the form of LlamaParse."""
    return FixedResponse(status, json.dumps({"detail": value}).encode(), _named(headers))


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"content-type": "application/json", "x-request-id": "req_1", **names}


def unavailable(answer: FixedResponse | Exception, **more: Any) -> Row:
    code = "service_unavailable"
    return Row(
        answer, FailureKind.UNAVAILABLE, "UnavailableError", code, Disposition.TRANSIENT, **more
    )


def gateway(answer: FixedResponse) -> Row:
    """The service may have succeeded and billed after the gateway gave up."""
    return unavailable(answer, charge=Charge.BOUND, outcome="lost")


def unsent(error: Exception) -> Row:
    return unavailable(error, was_sent=False)


def lost(error: Exception) -> Row:
    return unavailable(error, charge=Charge.BOUND, outcome="lost")


def bad(body: bytes, **headers: str) -> Row:
    return Row(
        FixedResponse(200, body, _named(headers)),
        *(FailureKind.UNAVAILABLE, "UnavailableError", "bad_answer", Disposition.TRANSIENT),
        charge=Charge.BOUND,
    )


def throttled(answer: FixedResponse, **more: Any) -> Row:
    kind, code = FailureKind.THROTTLED, "rate_limited"
    return Row(answer, kind, "RateError", code, Disposition.DEFERRED, **more)


def refused(answer: FixedResponse, code: str) -> Row:
    return Row(answer, FailureKind.REFUSED, "RefusedError", code, Disposition.DEFERRED, calls=1)


def content(answer: FixedResponse, code: str, error: str = "EmbeddingError") -> Row:
    return Row(answer, FailureKind.CONTENT, error, code, Disposition.TERMINAL, calls=1)


def unknown(answer: FixedResponse, code: str, error: str = "EmbeddingError") -> Row:
    return Row(answer, FailureKind.UNKNOWN, error, code, Disposition.TERMINAL, calls=2)


HTML = b"<html><body>Just a moment...</body></html>"
QUOTA = "quota_exhausted"
BOTH: dict[str, Row] = {
    **{
        f"{status}": unavailable(FixedResponse(status, HTML, _named({"content_type": "text/html"})))
        for status in (409, 425, 500, 501, 503, 521, 529, 599)
    },
    **{
        f"{status}": gateway(FixedResponse(status, HTML))
        for status in (408, 502, 504, 520, 522, 524)
    },
    "503 with a wait": unavailable(
        FixedResponse(503, b"", _named({"retry_after": "0"})), retry_after=0.0
    ),
    "503 with a long wait": unavailable(
        FixedResponse(503, b"", _named({"retry_after": "300"})), retry_after=300.0, calls=1
    ),
    "429": throttled(FixedResponse(429)),
    "429 with milliseconds": throttled(
        FixedResponse(429, b"", _named({"retry_after_ms": "2"})), retry_after=0.002
    ),
    "429 with a wait past the longest one": throttled(
        FixedResponse(429, b"", _named({"retry_after": "30"})), retry_after=30.0, calls=1
    ),
    "429 with a wait for ever": throttled(
        FixedResponse(429, b"", _named({"retry_after": "1e300"})), retry_after=3_600.0, calls=1
    ),
    "429 with no number": throttled(FixedResponse(429, b"", _named({"retry_after": "soon"}))),
    "429 with infinity": throttled(FixedResponse(429, b"", _named({"retry_after": "inf"}))),
    "401": refused(FixedResponse(401, HTML), "key_refused"),
    "402": refused(FixedResponse(402), QUOTA),
    "403": refused(FixedResponse(403, HTML), "permission_refused"),
    "404": refused(FixedResponse(404, HTML), "model_not_found"),
    "307": refused(FixedResponse(307), "model_not_found"),
    "connection refused": unsent(httpx2.ConnectError("x")),
    "connect timeout": unsent(httpx2.ConnectTimeout("x")),
    "pool timeout": unsent(httpx2.PoolTimeout("x")),
    "proxy": unsent(httpx2.ProxyError("x")),
    "no http url": unsent(httpx2.UnsupportedProtocol("x")),
    "bad header": unsent(httpx2.LocalProtocolError("x")),
    "read timeout": lost(httpx2.ReadTimeout("x")),
    "write timeout": lost(httpx2.WriteTimeout("x")),
    "reset": lost(httpx2.ReadError("x")),
    "write error": lost(httpx2.WriteError("x")),
    "mid body": lost(httpx2.RemoteProtocolError("x")),
    "200 html": bad(HTML, content_type="text/html"),
    "200 empty": bad(b""),
    "200 truncated": bad(b'{"data": [{"index": 0, "embe'),
    "200 list": bad(b"[]"),
    "200 null": bad(b"null"),
    "200 no utf-8": bad(b"\xff\xfe{}"),
    "200 deep": bad(b'{"a":' + b"[" * 100_000),
}
OPENAI: dict[str, Row] = {
    **{
        f"429 {code}": refused(openai_error(429, code), QUOTA)
        for code in (*sorted(QUOTA_CODES), "user_spend_limit_of_next_year")
    },
    "400 hard limit": refused(openai_error(400, "billing_hard_limit_reached"), QUOTA),
    "403 deactivated": refused(openai_error(403, "account_deactivated"), QUOTA),
    "429 quota by type": refused(openai_error(429, None, kind="insufficient_quota"), QUOTA),
    "429 quota by type, new code": refused(
        openai_error(429, "new", kind="insufficient_quota"), QUOTA
    ),
    "401 invalid_api_key": refused(openai_error(401, "invalid_api_key"), "key_refused"),
    "400 invalid_organization": refused(openai_error(400, "invalid_organization"), "key_refused"),
    "403 ip_not_authorized": refused(openai_error(403, "ip_not_authorized"), "key_refused"),
    "404 model_not_found": refused(openai_error(404, "model_not_found"), "model_not_found"),
    "400 invalid_model": refused(openai_error(400, "invalid_model"), "model_not_found"),
    "429 rate_limit_exceeded": throttled(openai_error(429, "rate_limit_exceeded")),
    "400 context_length_exceeded": content(
        openai_error(400, "context_length_exceeded"), "text_too_long"
    ),
    "400 max_tokens": content(openai_error(400, "max_tokens_per_request"), "text_too_long"),
    "400 array": content(openai_error(400, "array_above_max_length"), "text_too_long"),
    "413": content(openai_error(413), "text_too_long"),
    "413 html": content(FixedResponse(413, HTML), "text_too_long"),
    "400 too long by its message": content(
        openai_error(400, None, "This model's maximum context length is 8192 tokens"),
        "text_too_long",
    ),
    "400 policy": content(openai_error(400, "content_policy_violation"), "text_refused"),
    "400 filter": content(openai_error(400, "content_filter"), "text_refused"),
    "400 invalid_input": content(openai_error(400, "invalid_input"), "text_refused"),
    "400 $.input": content(openai_error(400, None, "'$.input' is invalid."), "text_refused"),
    "400 new code": unknown(openai_error(400, "a_code_of_next_year"), "request_refused"),
    "400 number": unknown(
        FixedResponse(400, b'{"error": {"code": 17}}', _named({})), "request_refused"
    ),
    "400 no error": unknown(FixedResponse(400, b"{}", _named({})), "request_refused"),
    "400 string": unknown(FixedResponse(400, b'{"error": "no"}', _named({})), "request_refused"),
    "400 html": unknown(FixedResponse(400, HTML), "request_refused"),
    "422": unknown(openai_error(422), "request_refused"),
    "418": unknown(openai_error(418), "request_refused"),
    **{
        f"200 {name}": bad(json.dumps(answer).encode())
        for name, answer in {
            "no data": {"object": "list"},
            "too few": {"data": []},
            "no index": {"data": [{"embedding": [1.0] * 1536}]},
            "index 1": {"data": [{"index": 1, "embedding": [1.0] * 1536}]},
            "index true": {"data": [{"index": True, "embedding": [1.0] * 1536}]},
            "no vector": {"data": [{"index": 0}]},
            "short": {"data": [{"index": 0, "embedding": [1.0] * 1535}]},
            "words": {"data": [{"index": 0, "embedding": ["a"] * 1536}]},
            "nested": {"data": [{"index": 0, "embedding": [[1.0]] * 1536}]},
            "ragged": {"data": [{"index": 0, "embedding": [[1.0], 1.0]}]},
            "no base64": {"data": [{"index": 0, "embedding": "é" * 8_192}]},
            "odd base64": {"data": [{"index": 0, "embedding": "AAA="}]},
        }.items()
    },
}
_REFUSED = ("document_refused", "ParseError")
LLAMAPARSE: dict[str, Row] = {
    "402 sentence": refused(
        llamaparse_error(402, "You've exceeded the maximum number of credits"), QUOTA
    ),
    "429 credits": refused(llamaparse_error(429, "credit_balance_exhausted"), QUOTA),
    "429 hard limit": refused(llamaparse_error(429, "Billing hard limit has been reached"), QUOTA),
    "400 hard limit": refused(llamaparse_error(400, "Billing hard limit has been reached"), QUOTA),
    "400 credits for your plan": refused(
        llamaparse_error(400, "You've exceeded the maximum number of credits for your plan"), QUOTA
    ),
    "429 code": refused(llamaparse_error(429, {"code": "insufficient_quota"}), QUOTA),
    "429 of the rate": throttled(llamaparse_error(429, "You have exceeded the rate limit")),
    "401 sentence": refused(llamaparse_error(401, "Invalid API Key"), "key_refused"),
    "413": content(llamaparse_error(413), *_REFUSED),
    "415": content(llamaparse_error(415), *_REFUSED),
    "422": content(llamaparse_error(422, [{"loc": ["body"], "msg": "no"}]), *_REFUSED),
    "400": unknown(llamaparse_error(400), *_REFUSED),
    "400 that quotes": unknown(llamaparse_error(400, "Refused: billing hard limit"), *_REFUSED),
    "400 html": unknown(FixedResponse(400, HTML), *_REFUSED),
    "418": unknown(FixedResponse(418), *_REFUSED),
    "200 no job": bad(b'{"status": "PENDING"}'),
    "200 job without a name": bad(b'{"id": ""}'),
    "200 job with a number": bad(b'{"id": 7}'),
}
