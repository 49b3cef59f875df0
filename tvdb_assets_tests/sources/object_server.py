"""A server on this machine that hands out objects slowly, not at all, or with an error.

What belongs here: answers to GET of objects of S3, and how many requests wait at the same time.
What does not: listings (`listing_server`, `s3_server`), or any check.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from urllib.parse import unquote

BODY = b"# Title\n\nThe text of an object.\n"


class ObjectServer:
    """Serves any object; its name says how: ``stall…``, ``trickle…``, ``half…``, ``status…``."""

    def __init__(self, delay_seconds: float = 0.0, gathered: int = 0) -> None:
        """Serve from a thread, between ``with`` and its end.

        Args:
            delay_seconds: before each answer.
            gathered: requests that must be waiting before the first one is answered.
        """
        self.requests: Counter[str] = Counter()
        """By method and name."""
        self._delay_seconds = delay_seconds
        self._gathered = gathered
        self._waiting = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> ObjectServer:
        self._thread.start()
        self._all_wait = asyncio.Event()
        started = asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        self._server = asyncio.run_coroutine_threadsafe(started, self._loop).result()
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
                name = unquote(target.partition("?")[0]).rpartition("/")[2]
                self.requests[f"{method} {name}"] += 1
                found = re.search(rb"(?i)range: bytes=(\d+)-", head)
                await self._answer(name, int(found[1]) if found else 0, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        writer.close()

    async def _answer(self, name: str, start: int, writer: asyncio.StreamWriter) -> None:
        self._waiting += 1
        if self._waiting >= self._gathered:
            self._all_wait.set()
        await self._all_wait.wait()
        if self._delay_seconds:
            await asyncio.sleep(self._delay_seconds)
        if name.startswith("stall"):
            await asyncio.sleep(3_600)
        status = name.removeprefix("status-")[:3] if name.startswith("status-") else "200"
        body = BODY[start:] if status == "200" else b"<Error><Code>Refused</Code></Error>"
        part = f"Content-Range: bytes {start}-{len(BODY) - 1}/{len(BODY)}\r\n" if start else ""
        writer.write(
            f"HTTP/1.1 {206 if start else status} Status\r\nContent-Length: {len(body)}\r\n{part}"
            'ETag: "e"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n'.encode()
        )
        if name.startswith("half"):
            writer.write(b"" if start else body[: len(body) // 2])
            await writer.drain()
            await asyncio.sleep(3_600)
        if name.startswith("trickle"):
            for byte in body:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.1)
            return
        writer.write(body)
        await writer.drain()
