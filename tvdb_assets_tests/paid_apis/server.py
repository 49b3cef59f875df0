"""The simulated APIs behind a real socket: HTTP/1.1, kept alive, and broken on request.

What belongs here: reading requests and delivering answers, late or cut as they say. What does
not: what is answered (`core`). A small protocol rather than a framework, because no framework
resets a connection.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tvdb_assets_tests.paid_apis.control import control
from tvdb_assets_tests.paid_apis.core import Behaviour, PaidApis
from tvdb_assets_tests.paid_apis.replies import Cut, Reply

_LONGEST_HEAD = 64 * 1024


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server in a thread of this process.

    Attributes:
        url: Without a path: append ``/v1`` for the OpenAI client.
        apis: What answers. Hold ``lock`` while touching it and requests are in flight.
    """

    url: str
    apis: PaidApis
    lock: threading.Lock


@contextmanager
def running_server(
    behaviour: Behaviour | None = None, *, port: int = 0, clock: Callable[[], float] = time.time
) -> Iterator[RunningServer]:
    """Serve both APIs on a free port of this machine until the block ends."""
    apis, lock = PaidApis(behaviour), threading.Lock()
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    serving = serve(listener, apis, lock, clock, stop)
    thread = threading.Thread(target=_run, args=(loop, serving), name="paid-apis", daemon=True)
    thread.start()
    try:
        yield RunningServer(f"http://127.0.0.1:{listener.getsockname()[1]}", apis, lock)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def serve(
    listener: socket.socket,
    apis: PaidApis,
    lock: threading.Lock,
    clock: Callable[[], float],
    stop: asyncio.Event,
) -> None:
    """Serve on ``listener`` until ``stop``; connections that are open then are dropped."""
    connections: set[_Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Connection(apis, lock, clock, connections), sock=listener
    )
    try:
        await stop.wait()
    finally:
        server.close()
        for connection in list(connections):
            connection.reset()
        await asyncio.sleep(0)  # lets the transports close their sockets


def _run(loop: asyncio.AbstractEventLoop, serving: Coroutine[Any, Any, None]) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(serving)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class _Connection(asyncio.Protocol):
    """One client: its requests are answered one after the other."""

    def __init__(
        self,
        apis: PaidApis,
        lock: threading.Lock,
        clock: Callable[[], float],
        connections: set[_Connection],
    ) -> None:
        self._apis, self._lock, self._clock = apis, lock, clock
        self._connections = connections
        self._received = bytearray()
        self._continued = False
        self._waiting: asyncio.TimerHandle | None = None
        self._pending: Reply | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._waiting is not None:
            self._waiting.cancel()
        if self._pending is not None:
            with self._lock:
                self._apis.answer_lost(self._pending.request_id)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._pending is None:
            self._next()

    def reset(self) -> None:
        """Close so that the client is sent a reset, not an end."""
        given = self._transport.get_extra_info("socket")
        if given is not None:
            given.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _next(self) -> None:
        """Start on the next request, if all of it is here."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            if len(self._received) > _LONGEST_HEAD:
                self._refuse()
            return
        try:
            method, path, headers = _read_head(bytes(self._received[:end]))
            found = _read_body(self._received, end + 4, headers)
        except ValueError:
            self._refuse()
            return
        if found is None:
            if headers.get("expect", "").lower() == "100-continue" and not self._continued:
                self._continued = True
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body, used = found
        del self._received[:used]
        self._continued = False
        with self._lock:
            now = self._clock()
            reply = control(self._apis, method, path, body)
            reply = reply or self._apis.handle(method, path, headers, body, now)
        self._pending = reply
        loop = asyncio.get_running_loop()
        keep = headers.get("connection", "").lower() != "close"
        if reply.delay_seconds > 0:
            self._waiting = loop.call_later(reply.delay_seconds, self._deliver, reply, keep)
        else:
            self._deliver(reply, keep)

    def _deliver(self, reply: Reply, keep: bool) -> None:
        self._waiting = self._pending = None
        if reply.cut is Cut.BEFORE_ANSWER:
            self.reset()
            return
        phrase = HTTPStatus(reply.status).phrase if reply.status != 529 else "Overloaded"
        lines = [f"HTTP/1.1 {reply.status} {phrase}", f"content-length: {reply.length}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        lines += [] if keep else ["connection: close"]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if reply.cut is Cut.MID_BODY:
            # An end rather than a reset: a reset may overtake the half that was sent.
            self._transport.write(head + b"".join(reply.body)[: reply.length // 2])
            self._transport.close()
            return
        if reply.piece_seconds:
            self._transport.write(head)
            self._pending = reply
            self._drip(reply, 0, keep)
            return
        self._transport.writelines([head, *reply.body])
        self._delivered(keep)

    def _drip(self, reply: Reply, piece: int, keep: bool) -> None:
        self._transport.write(reply.body[piece])
        if piece + 1 == len(reply.body):
            self._waiting = self._pending = None
            self._delivered(keep)
            return
        self._waiting = asyncio.get_running_loop().call_later(
            reply.piece_seconds, self._drip, reply, piece + 1, keep
        )

    def _delivered(self, keep: bool) -> None:
        if not keep:
            self._transport.close()
        elif self._received:
            self._next()

    def _refuse(self) -> None:
        self._transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        self._transport.close()


def _read_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return method, path, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _read_body(
    received: bytearray, start: int, headers: dict[str, str]
) -> tuple[bytes, int] | None:
    """The body and where it ends, or None if more of it is to come."""
    if headers.get("transfer-encoding", "").lower() != "chunked":
        end = start + int(headers.get("content-length", "0"))
        return (bytes(received[start:end]), end) if len(received) >= end else None
    pieces: list[bytes] = []
    while True:
        line = received.find(b"\r\n", start)
        if line < 0:
            return None
        size = int(bytes(received[start:line]).partition(b";")[0], 16)
        start = line + 2
        if len(received) < start + size + 2:
            return None
        pieces.append(bytes(received[start : start + size]))
        start += size + 2
        if size == 0:
            return b"".join(pieces), start
