"""The replies of the simulated APIs, before any transport sends them.

What belongs here: the answer as a value, and the two providers' error bodies. What does not:
when to give which answer (`core`), or sockets (`server`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

Headers = tuple[tuple[str, str], ...]


class Cut(StrEnum):
    """Where the connection breaks."""

    NONE = "none"
    BEFORE_ANSWER = "before_answer"
    """Reset before the first byte of an answer: a client sees a read error."""
    MID_BODY = "mid_body"
    """Closed after half of the body: a client sees an incomplete message."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, and how it is to be (mis)delivered.

    Attributes:
        request_id: Names the request in `PaidApis.requests` and `PaidApis.charges`, so that
            who delivers can say that the answer was lost (`PaidApis.answer_lost`).
        piece_seconds: Between two pieces of the body.
    """

    status: int
    headers: Headers
    body: tuple[bytes, ...]
    delay_seconds: float = 0.0
    cut: Cut = Cut.NONE
    request_id: str = ""
    piece_seconds: float = 0.0

    @property
    def length(self) -> int:
        return sum(map(len, self.body))


@dataclass(eq=False)
class RefusedError(Exception):
    """An answer that ends the work on a request; nothing is billed for it."""

    status: int
    body: bytes
    headers: Headers = ()
    content_type: str = "application/json"


def openai_refusal(
    status: int,
    message: str,
    kind: str = "invalid_request_error",
    code: str | None = None,
    *,
    param: str | None = None,
    headers: Headers = (),
) -> RefusedError:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return RefusedError(status, json.dumps({"error": error}, indent=2).encode(), headers)


def llamaparse_refusal(status: int, detail: object, *, headers: Headers = ()) -> RefusedError:
    """FastAPI's error body: a sentence, or for 422 a list of what is wrong where."""
    return RefusedError(status, json.dumps({"detail": detail}).encode(), headers)
