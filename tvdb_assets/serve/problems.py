"""Errors as responses: RFC 9457 problem details with our codes.

What belongs here: the status and the body of an error. What does not: the codes (`error_codes`).
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse

from tvdb_assets import error_codes as codes
from tvdb_assets.correlation import current_run_id
from tvdb_assets.errors import (
    HaltedError,
    RateError,
    RefusedError,
    StorageError,
    TvdbError,
    UnavailableError,
)
from tvdb_assets.redaction import display_path

_STATUS: Final = {
    codes.REQUEST_INVALID.code: 422,
    codes.ADDRESS_UNKNOWN.code: 404,
    codes.DOCUMENT_UNKNOWN.code: 404,
    codes.DOCUMENT_WITHOUT_TEXT.code: 404,
    codes.PAGE_UNKNOWN.code: 404,
    codes.DOCUMENT_AMBIGUOUS.code: 409,
    codes.REQUEST_FOREIGN.code: 403,
    codes.TOKEN_WRONG.code: 401,
}


def status_of(error: TvdbError) -> int:
    """The HTTP status of an error."""
    if error.code in _STATUS:
        return _STATUS[error.code]
    if isinstance(error, RateError):
        return 429
    if isinstance(error, StorageError | HaltedError | RefusedError):
        return 503
    return 502 if isinstance(error, UnavailableError) else 500


def details(error: TvdbError, status: int) -> dict[str, Any]:
    """The fields of an error in a response. None of them has document text or a secret."""
    fields: dict[str, Any] = {
        "type": f"urn:tvdb:error:{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": status,
        "detail": error.message,
        "code": error.code,
        "remedy": error.remedy,
        "disposition": error.disposition.value,
        "run_id": error.run_id or current_run_id(),
    }
    if error.document:
        fields["document"] = display_path(error.document)
    return fields


def problem(error: TvdbError, status: int | None = None) -> JSONResponse:
    """The response for an error.

    Args:
        error: the error.
        status: None takes the status of its code and class.
    """
    status = status or status_of(error)
    return JSONResponse(
        details(error, status),
        status,
        {"Cache-Control": "no-store"},
        media_type="application/problem+json",
    )
