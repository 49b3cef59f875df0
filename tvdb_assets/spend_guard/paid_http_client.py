"""The HTTP client of all paid services: one request, one answer, within a time and a size.

What belongs here: what must hold of each exchange, whichever service it is with. What does not:
the meaning of an answer (`http_failures`, the client of the service).

A redirect is an answer, and is not followed: the second request would have no reservation, and
might take the key to another host. An answer has one deadline for the whole of it, because each
byte of one that drips arrives in time. Its size is bounded after decompression.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2

_CONNECT_SECONDS = 10.0
_BYTES_A_SECOND = 1 << 20
"""What a slow line uploads: so much longer may a large request take."""


class UnusableAnswerError(httpx2.ReadError):
    """The answer is larger than any that can be right, or can't be decompressed."""


class PaidHttpClient(httpx2.AsyncClient):
    """Sends each request once, and reads its answer within a deadline and a size."""

    def __init__(self, *, timeout_seconds: float, max_answer_bytes: int, **given: Any) -> None:
        """Nothing is opened yet.

        Args:
            timeout_seconds: of the whole exchange; a large request gets a second more for each
                MiB.
            max_answer_bytes: after decompression; a request's extension of the same name
                replaces it.
            given: as of `httpx2.AsyncClient`.
        """
        super().__init__(
            timeout=httpx2.Timeout(timeout_seconds, connect=_CONNECT_SECONDS),
            follow_redirects=False,
            **given,
        )
        self._seconds = timeout_seconds
        self._max_bytes = max_answer_bytes

    async def send(self, request: httpx2.Request, **given: Any) -> httpx2.Response:
        """Send a request and read its answer.

        Raises:
            httpx2.ReadTimeout: the answer was not complete in time.
            UnusableAnswerError: it is too large.
        """
        given |= {"stream": True, "follow_redirects": False}
        seconds = self._seconds + int(request.headers.get("content-length", 0)) // _BYTES_A_SECOND
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(seconds):
                response = await super().send(request, **given)
                try:
                    body = await _read(
                        response, request.extensions.get("max_answer_bytes", self._max_bytes)
                    )
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise httpx2.ReadTimeout("the whole answer is late", request=request) from error
        except httpx2.DecodingError as error:
            raise UnusableAnswerError("not compressed as it says") from error
        headers = response.headers.copy()
        headers.pop("content-encoding", None)
        whole = httpx2.Response(
            response.status_code,
            headers=headers,
            content=body,
            request=request,
            extensions=response.extensions,
        )
        whole.elapsed = timedelta(seconds=loop.time() - began)
        return whole


async def _read(response: httpx2.Response, max_bytes: int) -> bytes:
    if _announced(response) > max_bytes:
        raise UnusableAnswerError("too large")
    pieces: list[bytes] = []
    size = 0
    # In pieces of a bounded size, also where few bytes expand to many.
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > max_bytes:
            raise UnusableAnswerError("too large")
        pieces.append(piece)
    return b"".join(pieces)


def _announced(response: httpx2.Response) -> int:
    """What the answer says of its size as it is sent."""
    try:
        return int(response.headers.get("content-length", 0))
    except ValueError:
        return 0
