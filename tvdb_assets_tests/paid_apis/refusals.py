"""What the providers answer instead of doing the work.

What belongs here: the refusal of each fault, worded as OpenAI and LlamaParse word it. What
does not: refusals of bad requests, which are where the request is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from math import ceil

from tvdb_assets_tests.paid_apis.faults import Fault, FaultKind
from tvdb_assets_tests.paid_apis.replies import (
    Headers,
    RefusedError,
    llamaparse_refusal,
    openai_refusal,
)

_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, read the docs: "
    "https://platform.openai.com/docs/guides/error-codes/api-errors."
)
_HARD_LIMIT = "Billing hard limit has been reached"
_FAILED = "The server had an error while processing your request. Sorry about that!"

_OPENAI: dict[FaultKind, tuple[int, str, str, str | None]] = {
    FaultKind.SERVER_ERROR: (500, _FAILED, "server_error", None),
    FaultKind.BAD_GATEWAY: (502, "Bad gateway.", "cf_bad_gateway", None),
    FaultKind.UNAVAILABLE: (
        503,
        "The engine is currently overloaded, please try again later",
        "service_unavailable",
        None,
    ),
    FaultKind.GATEWAY_TIMEOUT: (504, "Gateway timeout.", "gateway_timeout", None),
    FaultKind.OVERLOADED: (529, "Overloaded", "overloaded_error", None),
    FaultKind.FORBIDDEN: (
        403,
        "You are not allowed to generate embeddings from this model",
        "invalid_request_error",
        None,
    ),
    FaultKind.INSUFFICIENT_QUOTA: (429, _QUOTA, "insufficient_quota", "insufficient_quota"),
    FaultKind.CREDIT_BALANCE_EXHAUSTED: (
        429,
        "Your credit balance is exhausted. Add credits to continue.",
        "billing_error",
        "credit_balance_exhausted",
    ),
    FaultKind.PAYMENT_REQUIRED: (402, "Payment required.", "billing_error", "payment_required"),
    FaultKind.BILLING_HARD_LIMIT_400: (
        400,
        _HARD_LIMIT,
        "invalid_request_error",
        "billing_hard_limit_reached",
    ),
    FaultKind.BILLING_HARD_LIMIT_429: (
        429,
        _HARD_LIMIT,
        "insufficient_quota",
        "billing_hard_limit_reached",
    ),
    FaultKind.UNKNOWN_CODE: (
        400,
        "Something new went wrong.",
        "invalid_request_error",
        "a_code_of_next_year",
    ),
    FaultKind.TOO_LARGE: (413, "Request body too large.", "invalid_request_error", None),
    FaultKind.UNPROCESSABLE: (422, "Unprocessable entity.", "invalid_request_error", None),
}

_LLAMAPARSE: dict[FaultKind, tuple[int, object]] = {
    FaultKind.SERVER_ERROR: (500, "Internal Server Error"),
    FaultKind.BAD_GATEWAY: (502, "Bad Gateway"),
    FaultKind.UNAVAILABLE: (503, "Service Unavailable"),
    FaultKind.GATEWAY_TIMEOUT: (504, "Gateway Timeout"),
    FaultKind.OVERLOADED: (529, "Overloaded"),
    FaultKind.INVALID_KEY: (401, "Invalid API Key"),
    FaultKind.FORBIDDEN: (403, "Not authorized to access this resource"),
    FaultKind.NOT_FOUND: (404, "Parse job not found"),
    FaultKind.INSUFFICIENT_QUOTA: (
        402,
        "You've exceeded the maximum number of credits for your plan",
    ),
    FaultKind.CREDIT_BALANCE_EXHAUSTED: (429, "credit_balance_exhausted"),
    FaultKind.PAYMENT_REQUIRED: (
        402,
        "You've exceeded the maximum number of credits for your plan",
    ),
    FaultKind.BILLING_HARD_LIMIT_400: (400, _HARD_LIMIT),
    FaultKind.BILLING_HARD_LIMIT_429: (429, _HARD_LIMIT),
    FaultKind.UNKNOWN_CODE: (400, "Something new went wrong."),
    FaultKind.TOO_LARGE: (413, "Request Entity Too Large"),
}


def openai_fault(
    fault: Fault, texts: Sequence[str], model: str, key: str, now: float, canary: str
) -> RefusedError:
    """The refusal of one fault; ``canary`` is put in its message."""
    kind = fault.kind
    if kind is FaultKind.REDIRECT:
        return RefusedError(307, b"{}", (("location", "?again=1"),))
    if kind is FaultKind.BAD_GATEWAY_HTML:
        return bad_gateway_html(canary)
    if kind in RETRY_AFTER:
        message = (
            f"Rate limit reached for {model} in organization org-simulated on requests per min "
            f"(RPM): Limit 3000, Used 3000, Requested 1. Please try again in "
            f"{fault.seconds:g}s.{canary}"
        )
        return openai_refusal(
            429, message, "requests", "rate_limit_exceeded", headers=_retry_after(fault, now)
        )
    if kind is FaultKind.INVALID_KEY:
        return wrong_openai_key(key, canary)
    if kind is FaultKind.NOT_FOUND:
        return model_not_found(model, canary)
    if kind is FaultKind.REFUSED_TEXT:
        message = f"Invalid input: this text was refused: {' '.join(texts)}{canary}"
        return openai_refusal(
            400, message, "invalid_request_error", "content_policy_violation", param="input"
        )
    status, message, type_, code = _OPENAI[kind]
    return openai_refusal(status, message + canary, type_, code)


def llamaparse_fault(fault: Fault, texts: Sequence[str], now: float, canary: str) -> RefusedError:
    kind = fault.kind
    if kind is FaultKind.REDIRECT:
        return RefusedError(307, b"{}", (("location", "?again=1"),))
    if kind is FaultKind.BAD_GATEWAY_HTML:
        return bad_gateway_html(canary)
    if kind in RETRY_AFTER:
        return llamaparse_refusal(
            429, "Rate limit exceeded" + canary, headers=_retry_after(fault, now)
        )
    if kind is FaultKind.REFUSED_TEXT:
        return llamaparse_refusal(400, f"This file was refused: {' '.join(texts)}{canary}")
    if kind is FaultKind.UNPROCESSABLE:
        return unprocessable(["body", "tier"], "Input should be a valid tier" + canary)
    status, detail = _LLAMAPARSE[kind]
    return llamaparse_refusal(status, f"{detail}{canary}")


def wrong_openai_key(key: str, canary: str) -> RefusedError:
    """As OpenAI words it: the message holds both ends of the key."""
    shown = f"{key[:8]}{'*' * 8}{key[-4:]}" if len(key) > 16 else key
    message = (
        f"Incorrect API key provided: {shown}. You can find your API key at "
        f"https://platform.openai.com/account/api-keys.{canary}"
    )
    return openai_refusal(401, message, "invalid_request_error", "invalid_api_key")


def model_not_found(model: str, canary: str) -> RefusedError:
    message = f"The model `{model}` does not exist or you do not have access to it.{canary}"
    return openai_refusal(404, message, "invalid_request_error", "model_not_found")


def unprocessable(where: list[str], message: str) -> RefusedError:
    return llamaparse_refusal(422, [{"type": "value_error", "loc": where, "msg": message}])


def html(title: str, canary: str) -> bytes:
    page = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>{title}{canary}</body></html>"
    return page.encode()


def bad_gateway_html(canary: str) -> RefusedError:
    return RefusedError(502, html("502 Bad Gateway", canary), (), "text/html")


RETRY_AFTER = frozenset(
    {
        FaultKind.RATE_LIMITED,
        FaultKind.RATE_LIMITED_SECONDS,
        FaultKind.RATE_LIMITED_DATE,
        FaultKind.RATE_LIMITED_MS,
    }
)


def _retry_after(fault: Fault, now: float) -> Headers:
    match fault.kind:
        case FaultKind.RATE_LIMITED_SECONDS:
            return (("retry-after", f"{fault.seconds:g}"),)
        case FaultKind.RATE_LIMITED_DATE:  # whole seconds: rounded up, never too early
            return (("retry-after", formatdate(ceil(now + fault.seconds), usegmt=True)),)
        case FaultKind.RATE_LIMITED_MS:
            return (("retry-after-ms", f"{fault.seconds * 1000:.0f}"),)
        case _:
            return ()
