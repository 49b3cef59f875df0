"""What the refusal of an embedding server means, whatever form it has: pure.

What belongs here: status, codes and message of a refusal to one reason. What does not: the
consequences (`providers.openai`, `spend_guard`), or what the server supports (`server_traits`).

Servers word the same reason in many forms: a number or a name as ``code``, ``type``, ``status`` or
``reason``; an object, a list, a text or a web page as body; even under the status 200. A code has
precedence over the message, and the message over the status. A message may quote a document.
So one that says something about the account or the service counts from its beginning only: a
document that contains such a sentence stops nothing. No message is stored or logged.
`docs/how-to/embedding-servers.md` lists the reasons by provider.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import orjson

from tvdb_assets.spend_guard.http_failures import QUOTA_CODES

_CODE_KEYS = frozenset(
    {
        *("code", "type", "status", "reason", "error_code", "error_type", "errorcode", "__type"),
        *("quotaid", "quota_id"),
    }
)
_MESSAGE_KEYS = ("message", "msg", "error", "detail", "details", "errors", "title", "innererror")
_DEEPEST = 5
_MOST_ITEMS = 8
_LONGEST_MESSAGE = 4_000


class Reason(StrEnum):
    """Why a server refused a request."""

    KEY = "key"
    PERMISSION = "permission"
    QUOTA = "quota"
    """Credit, budget or spending limit of the account, also of a proxy."""
    MODEL = "model"
    """The server does not have the model, does not embed, or is not at this address."""
    RATE = "rate"
    SIZE = "size"
    """Too many texts, tokens or bytes in one request."""
    LONG_TEXT = "long_text"
    """One text is longer than the model takes."""
    TEXT = "text"
    """The content of a text is refused."""
    ENCODING = "encoding"
    """The server has no vectors in base64."""
    DIMENSIONS = "dimensions"
    """The server can't shorten vectors."""
    OUTAGE = "outage"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal as it was read."""

    reason: Reason
    status: int
    """Of HTTP; that of the body where an error came under a status of success."""
    most_inputs: int | None = None
    """Most texts in a request, where the message says it."""
    retry_seconds: float | None = None
    """Where the body says it."""
    message: str = ""
    """Of the server, to be compared only: it may quote a text."""


def _codes(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


_PREFIX = (
    r"(?:(?:error|litellm\.\w+|\w*exception|\w*error|openaiexception|<\d+>|/\w+"
    r"|internalerror[\w.]*|\d{3})\s*[:\-]?\s*)*"
)


def _begins(*patterns: str) -> re.Pattern[str]:
    """A sentence at the beginning of a message, after names of exceptions."""
    return re.compile(_PREFIX + "(?:" + "|".join(f"(?:{pattern})" for pattern in patterns) + ")")


_OF_CODES: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (
        Reason.QUOTA,
        _codes(
            *(re.escape(code) for code in sorted(QUOTA_CODES)),
            r".*spend_limit.*|budget_?exceeded|exceeded(?:token)?budget|arrearage",
            r"payment_required|insufficient_(?:balance|credits?|funds)|30001",
            r"accountoverdueerror|.*balancenotenough.*",
        ),
    ),
    (
        Reason.KEY,
        _codes(
            r"invalid_?api_?key|api_?key_?invalid|invalid_organization|ip_not_authorized",
            r"unauthenticated|authentication_error|invalid_authentication|missing_api_key",
            r"api_key_service_blocked|invalidsubscription.*|incorrect_api_key|no_db_connection",
        ),
    ),
    (
        Reason.MODEL,
        _codes(
            r"model_?not_?(?:found|exist\w*)|invalid_?model|deployment_?not_?found|20012",
            r"not_supported_error|operationnotsupported|unknown_model|resourcenotfound",
        ),
    ),
    (
        Reason.TEXT,
        _codes(
            r"content_policy_violation|content_filter|invalid_input",
            r"data_?inspection_?failed|responsibleaipolicyviolation|content_moderation\w*",
        ),
    ),
    (Reason.SIZE, _codes(r"max_tokens_per_request|array_above_max_length|20042|payloadtoolarge")),
    (
        Reason.LONG_TEXT,
        _codes(r"context_length_exceeded|exceed_context_size_error|contextwindowexceedederror"),
    ),
    (
        Reason.RATE,
        _codes(
            r"rate_limit_exceeded|too_many_requests|overloaded|throttling.*|resource_exhausted",
            r"throttlingexception|request_limit_exceeded|limit_requests|ratelimitreached",
        ),
    ),
)
_ABOUT_SIZE = re.compile(
    r"batch[ _-]?size|batch contains|in (?:one|a single) batch|(?:many|number of) (?:inputs|texts)"
    r"|too many (?:input|text|token|item|document)s?|(?:per|submitted|in the) batch|fewer inputs"
    r"|array too long|list should have at most|at most \d+ items"
    r"|(?:request|body|entity|payload) (?:body |entity |payload )?(?:is )?too large|physical batch"
    r"|too large to process|split into (?:more|smaller) batches|max \d+ tokens per request"
    r"|tokens per request|multiple inputs|input must be a string|exceeds? the maximum number"
    r"|(?:input|contents?) (?:array|list)|only (?:one|a single) (?:input|text)"
)
_ABOUT_LENGTH = re.compile(
    r"context (?:length|size|window)|maximum (?:context|sequence|input) length|max_seq_len"
    r"|less than \d+ tokens|input length|sequence length|too long|too many tokens"
    r"|token limit|exceeds? (?:the )?(?:maximum|max|limit)\D{0,40}tokens|max \d+ tokens"
)
_OF_BEGINNINGS: tuple[tuple[Reason, re.Pattern[str]], ...] = (
    (
        Reason.QUOTA,
        _begins(
            r"budget has been exceeded|exceeded(?:token)?budget|(?:your )?credit balance",
            r"you exceeded your current quota|(?:sorry, )?your account balance|insufficient "
            r"(?:balance|credits?|quota|funds)|you(?:'ve| have) (?:run out of|exceeded the maximum "
            r"number of) credits|billing hard limit|payment required|access denied, please make "
            r"sure your account|you(?:'re| are) using a trial key|accountbalance|your account "
            r"(?:has (?:been suspended|insufficient|no)|is (?:suspended|overdue|inactive))",
        ),
    ),
    (
        Reason.KEY,
        _begins(
            r"api key not valid|(?:the )?(?:provided )?api[ -]?key is (?:invalid|not)",
            r"(?:incorrect|invalid|missing|no) (?:api[ -]?key|token|authorization|bearer)",
            r"authentication (?:error|failed|required)|unauthorized|access denied due to invalid",
            r"please pass a valid api key|invalid proxy server token",
        ),
    ),
    (
        Reason.MODEL,
        _begins(
            r"(?:the )?model\b.{0,200}?(?:not found|does ?n[o']t exist|not exist|is not (?:"
            r"available|supported|loaded))",
            r"invalid model|no models? (?:is )?loaded|failed to load model|could not load model",
            r"unknown model|this server does not support embeddings|unexpected endpoint",
            r"pooling type .{0,20}is not oai compatible|the api deployment for this resource",
            r".{0,60}does not support (?:the )?embeddings?\b",
        ),
    ),
)
_REFUSED_TEXT = re.compile(
    r"\$\.input|invalid.{0,20}input|content.{0,20}(?:policy|filter|management)"
)
_LOADING = re.compile(r"loading model|model is (?:loading|overloaded)|warming up|server is busy")
_UNSUPPORTED = re.compile(
    r"not (?:currently |yet )?(?:support|permit|allow|implement)|unsupported|unrecognized|"
    r"unknown|unexpected|extra|invalid|not a valid|does not take|only (?:supports?|float)|"
    r"(?:must|should) be|literal_error|can only|one of"
)
_NO_VALUE = re.compile(
    r"must be (?:less|greater|at|between|an? int|positive|within)|less than or equal"
)
"""The server has the parameter, and refuses its value."""
_LIMIT = re.compile(
    r"(?:max\w*|at most|up to|limit\w*|exceeds?|(?:larger|greater|more) than)\D{0,40}?(\d+)"
)
_WAIT = re.compile(r"(?:retry|try again) (?:in|after) (\d+(?:\.\d+)?) ?(ms|s|m(?:in)?|h)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}
_PER_DAY = re.compile(r"per_?day|perday|daily")
_OUTAGES = frozenset({408, 409, 425})
_NOT_HERE = frozenset({404, 405, 410})
_ONLY_ONE = re.compile(
    r"multiple inputs|input must be a string|only (?:one|a single) (?:input|text)"
)
_RETRY_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")


def read_refusal(
    status: int, body: bytes, *, inputs: int = 1, sent_dimensions: bool = False
) -> Refusal:
    """The meaning of a refusal.

    Args:
        status: of HTTP.
        body: of the answer, whatever it is.
        inputs: texts in the request.
        sent_dimensions: whether the request asked for shortened vectors.
    """
    parsed = _parsed(body)
    names = [name.lower() for name in _names(parsed)]
    message = _message(parsed)[:_LONGEST_MESSAGE].lower()
    if status < 300:
        status = next((int(name) for name in names if name.isdigit() and 400 <= int(name) < 600), 0)
    reason = _reason(status, names, message, inputs, sent_dimensions)
    most = None
    if reason is Reason.SIZE:
        about_tokens = "token" in message and "input" not in message
        lower = [int(number) for number in _LIMIT.findall(message) if 0 < int(number) < inputs]
        most = min(lower) if lower and not about_tokens else None
        if _ONLY_ONE.search(message):
            most = 1
    return Refusal(reason, status, most, _retry_seconds(parsed, message), message)


def _reason(
    status: int, names: list[str], message: str, inputs: int, sent_dimensions: bool
) -> Reason:
    # A service that has a limit a minute calls it a quota too.
    is_rate = status == 429 and (
        "resource_exhausted" in names or message.startswith("allocated quota exceeded")
    )
    if not is_rate:
        for reason, pattern in _OF_CODES:
            if any(pattern.fullmatch(name) for name in names):
                return _by_size(reason, inputs)
    elif _PER_DAY.search(message) or any(_PER_DAY.search(name) for name in names):
        return Reason.QUOTA
    else:
        return Reason.RATE
    if (parameter := _of_parameter(status, message, sent_dimensions)) is not None:
        return parameter
    for reason, pattern in _OF_BEGINNINGS:
        if pattern.match(message):
            return reason
    if status == 402:
        return Reason.QUOTA
    if status == 401:
        return Reason.KEY
    if status == 403:
        return Reason.PERMISSION
    if status in _NOT_HERE or 300 <= status < 400:
        return Reason.MODEL
    if _LOADING.search(message) and status in (429, 503):
        return Reason.RATE if status == 429 else Reason.OUTAGE
    if _ABOUT_SIZE.search(message):
        return _by_size(Reason.SIZE, inputs)
    if status == 429:
        return Reason.RATE
    if _ABOUT_LENGTH.search(message):
        return Reason.LONG_TEXT
    if status == 413:
        return _by_size(Reason.SIZE, inputs)
    if status in _OUTAGES or status >= 500:
        return Reason.OUTAGE
    return Reason.TEXT if _REFUSED_TEXT.search(message) else Reason.UNKNOWN


def _by_size(reason: Reason, inputs: int) -> Reason:
    """A request of a single text that is too large has a text that is too long."""
    return Reason.LONG_TEXT if reason is Reason.SIZE and inputs == 1 else reason


def _of_parameter(status: int, message: str, sent_dimensions: bool) -> Reason | None:
    """The part of the protocol that a server lacks; None if the refusal is about none."""
    if not (400 <= status < 429 or status >= 500):
        return None
    if sent_dimensions and re.search("dimension|matryoshka", message):
        can_not = _UNSUPPORTED.search(message) and not _NO_VALUE.search(message)
        return Reason.DIMENSIONS if can_not else None
    if re.search(r"base64|encoding[ _]?format", message) and _UNSUPPORTED.search(message):
        return Reason.ENCODING
    return None


def _parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError):
        text = body[:_LONGEST_MESSAGE].decode("utf-8", "replace").strip()
        # A page of a gateway says nothing that its status does not.
        return "" if text.startswith("<") else text


def _names(found: object, depth: int = 0) -> Iterator[str]:
    """Codes, types and reasons in a body, the outermost first."""
    if depth > _DEEPEST:
        return
    if isinstance(found, list):
        for item in found[:_MOST_ITEMS]:
            yield from _names(item, depth + 1)
    elif isinstance(found, Mapping):
        inner = []
        for key, value in found.items():
            if isinstance(value, str | int) and not isinstance(value, bool):
                if str(key).lower() in _CODE_KEYS and len(str(value)) < 100:
                    yield str(value)
            else:
                inner.append(value)
        for value in inner[:_MOST_ITEMS]:
            yield from _names(value, depth + 1)


def _message(found: object, depth: int = 0) -> str:
    """The sentence of a body, and where parameters are named, their names."""
    if depth > _DEEPEST:
        return ""
    if isinstance(found, str):
        return found
    if isinstance(found, list):
        return " ".join(filter(None, (_message(item, depth + 1) for item in found[:_MOST_ITEMS])))
    if not isinstance(found, Mapping):
        return ""
    parts = [_message(found[key], depth + 1) for key in _MESSAGE_KEYS if found.get(key)]
    where = found.get("loc")
    if isinstance(where, list):
        parts += [str(found.get("type", "")), ".".join(str(part) for part in where)]
    if isinstance(found.get("param"), str):
        parts.append(found["param"])
    return " ".join(filter(None, parts))


def _retry_seconds(found: object, message: str, depth: int = 0) -> float | None:
    """When a body says that the request may be repeated."""
    if isinstance(found, Mapping) and depth < _DEEPEST:
        delay = found.get("retryDelay")
        if isinstance(delay, str) and (read := _RETRY_DELAY.fullmatch(delay)):
            return float(read[1])
        found = list(found.values())
    if isinstance(found, list) and depth < _DEEPEST:
        for item in found[:_MOST_ITEMS]:
            inner = _retry_seconds(item, "", depth + 1)
            if inner is not None:
                return inner
    said = _WAIT.search(message)
    return float(said[1]) * _UNITS[(said[2] or "s")[:2].removesuffix("i")] if said else None
