"""A refusal of an embedding server, as the guard acts on it.

What belongs here: the failure of each reason, and what may be repeated of a server's words. What
does not: finding the reason (`server_refusals`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.server_refusals import Reason, Refusal
from tvdb_assets.errors import EmbeddingError
from tvdb_assets.spend_guard.call_failures import CallFailed, FailureKind
from tvdb_assets.spend_guard.http_failures import outage, throttled

_REFUSED = {
    Reason.KEY: codes.KEY_REFUSED,
    Reason.PERMISSION: codes.PERMISSION_REFUSED,
    Reason.QUOTA: codes.QUOTA_EXHAUSTED,
    Reason.MODEL: codes.MODEL_NOT_FOUND,
}
_UNAVAILABLE = frozenset({503, 529})
"""The service says that it is the reason, and no text."""
_WORDS = frozenset(
    # A list of strings would take a line for each.
    """
    a an and any are array at be been body but can cannot chunk could contains content
    context current currently decode does embed embedding embeddings empty encode encoding
    error exceed exceeds exceeded failed field for format found given greater has have in
    index input inputs internal invalid is it json large larger length less limit long
    longer many max maximum memory message missing model more must nan none not null number
    object of one only or out parameter per physical prompt range received refused request
    required response sequence server short should size string supported text texts than
    that the this to token tokens too type unexpected unsupported utf valid validation value
    values vector was with zero
    """.split()  # noqa: SIM905
)
"""Words of protocols. A message of a server is repeated up to its first other word."""


def failure_of(
    service: str, refusal: Refusal, headers: Mapping[str, str], message: str = ""
) -> CallFailed:
    """The failed attempt of a request that a server refused.

    Args:
        service: its name for people.
        refusal: as it was read.
        headers: of the answer.
        message: of the server, which may quote a text.
    """
    reason, status = refusal.reason, refusal.status
    request_id = headers.get("x-request-id")
    if reason in _REFUSED:
        error = _REFUSED[reason].error(service=service)
        return CallFailed(FailureKind.REFUSED, error, status=status, request_id=request_id)
    if reason is Reason.RATE:
        return throttled(service, status, headers, refusal.retry_seconds)
    if reason is Reason.OUTAGE:
        failure = outage(service, status, headers)
        failure.may_be_input = status not in _UNAVAILABLE and failure.retry_after is None
        return failure
    kind = FailureKind.CONTENT
    refused: EmbeddingError
    if reason in (Reason.SIZE, Reason.LONG_TEXT):
        refused = codes.TEXT_REFUSED_AS_TOO_LONG.error()
    elif reason is Reason.TEXT:
        refused = codes.TEXT_REFUSED.error(service=service)
    else:
        kind = FailureKind.UNKNOWN
        words = protocol_words(message)
        refused = (
            codes.REQUEST_REFUSED_WITH_WORDS.error(service=service, status=status, words=words)
            if words
            else codes.REQUEST_REFUSED.error(service=service, status=status)
        )
    return CallFailed(
        kind,
        refused,
        status=status,
        request_id=request_id,
        is_about_size=reason is Reason.SIZE,
    )


def protocol_words(message: str) -> str:
    """The beginning of a server's message, up to the first word that a document may contain.

    Numbers are left out. Returns the empty string if fewer than three words are left.
    """
    words: list[str] = []
    for word in re.findall(r"[A-Za-z]+|\d+|[^\sA-Za-z\d]", message[:300]):
        if word.isdigit():
            words.append("N")
        elif word.isalpha():
            if word.lower() not in _WORDS:
                break
            words.append(word)
    said = [word for word in words if word != "N"]
    return " ".join(words) if len(said) >= 3 else ""
