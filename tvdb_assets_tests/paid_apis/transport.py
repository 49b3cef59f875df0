"""The simulated APIs inside a client: no socket, and the time of the event loop.

What belongs here: raising for each way of misdelivering exactly what the network transport of
``httpx2`` raises for it. What does not: what is delivered (`core`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import httpx2

from tvdb_assets_tests.paid_apis.core import PaidApis
from tvdb_assets_tests.paid_apis.replies import Cut, Reply


class PaidApisTransport(httpx2.AsyncBaseTransport):
    """Sends a client's requests to a `PaidApis`.

    Args:
        apis: Answers; also to be asked what it saw.
        clock: Seconds since the epoch; a simulation passes that of its virtual loop.
    """

    def __init__(self, apis: PaidApis, clock: Callable[[], float] = time.time) -> None:
        self.apis = apis
        self._clock = clock

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        path = request.url.raw_path.decode("ascii")
        reply = self.apis.handle(request.method, path, request.headers, body, self._clock())
        try:
            await self._wait(reply, request)
        except (asyncio.CancelledError, httpx2.ReadTimeout):
            self.apis.answer_lost(reply.request_id)
            raise
        if reply.cut is Cut.BEFORE_ANSWER:
            raise httpx2.ReadError("", request=request)
        headers = [*reply.headers, ("content-length", str(reply.length))]
        return httpx2.Response(reply.status, headers=headers, stream=_Body(reply), request=request)

    async def _wait(self, reply: Reply, request: httpx2.Request) -> None:
        max_wait = request.extensions.get("timeout", {}).get("read")
        if max_wait is not None and reply.delay_seconds > max_wait:
            await asyncio.sleep(max_wait)
            raise httpx2.ReadTimeout("", request=request)
        await asyncio.sleep(reply.delay_seconds)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._reply.cut is Cut.NONE:
            for number, piece in enumerate(self._reply.body):
                if number and self._reply.piece_seconds:
                    await asyncio.sleep(self._reply.piece_seconds)
                yield piece
            return
        half = self._reply.length // 2
        yield b"".join(self._reply.body)[:half]
        raise httpx2.RemoteProtocolError(
            "peer closed connection without sending complete message body "
            f"(received {half} bytes, expected {self._reply.length})"
        )
