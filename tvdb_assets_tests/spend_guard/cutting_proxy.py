"""A TCP proxy before Postgres that cuts every connection at a chosen moment.

What belongs here: passing bytes on, counting, and cutting. What does not: what is checked after it.

A moment is a number: that of a piece of bytes from any client. It is cut before the server gets
the piece, or after the server has answered it, which the client never hears: then a commit holds
whose outcome nobody knows.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

_RESET = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Passes connections on to a server until the moment comes."""

    def __init__(self, url: str) -> None:
        """Listens on a free port.

        Args:
            url: of the database.
        """
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._server = parts.hostname, parts.port or 5432
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        user = parts.netloc.rpartition("@")[0]
        self.url = urlunsplit(parts._replace(netloc=f"{user}@{host}"))
        """The same database, through this proxy."""
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._left = 0
        self._is_answered = False
        self.pieces = 0
        """From clients, since `arm`."""
        self.last_words = b""
        """Sent to each client before its connection is cut, as a pooler does."""
        self.is_open = True
        """False refuses new connections: the process has no way to the server."""

    def arm(self, piece: int, *, is_answered: bool) -> None:
        """Cut all connections at this piece from now on; 0 never cuts.

        Args:
            piece: 1-based.
            is_answered: the server gets the piece, and its answer is thrown away.
        """
        with self._lock:
            self._left, self._is_answered, self.pieces = piece, is_answered, 0

    def cut(self) -> None:
        """Reset every connection now."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            if self.last_words:
                _end_politely(pair[0], self.last_words)
            for end in pair:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                if not self.is_open:
                    raise ConnectionRefusedError
                server = socket.create_connection(self._server)
            except OSError:  # the server is down
                client.close()
                continue
            with self._lock:
                self._pairs.append((client, server))
            cut_next = threading.Event()
            for work in (self._to_server, self._to_client):
                threading.Thread(target=work, args=(client, server, cut_next), daemon=True).start()

    def close(self) -> None:
        """End everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _to_server(
        self, client: socket.socket, server: socket.socket, cut_next: threading.Event
    ) -> None:
        while data := _received(client):
            with self._lock:
                self.pieces += 1
                is_moment = self._left > 0 and self.pieces == self._left
            if is_moment:
                if not self._is_answered:
                    self.cut()
                    return
                cut_next.set()
            with suppress(OSError):
                server.sendall(data)
        _end(server)

    def _to_client(
        self, client: socket.socket, server: socket.socket, cut_next: threading.Event
    ) -> None:
        while data := _received(server):
            if cut_next.is_set():
                self.cut()
                return
            with suppress(OSError):
                client.sendall(data)
        _end(client)


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(1 << 16)
    except OSError:
        return b""


def _end_politely(client: socket.socket, last_words: bytes) -> None:
    with suppress(OSError):
        client.sendall(last_words)
        client.shutdown(socket.SHUT_WR)
        # What the client has sent is read: closing would throw the last words away otherwise.
        client.settimeout(0.05)
        while client.recv(1 << 16):
            pass


def fatal_error(code: str) -> bytes:
    """What a server or a pooler sends to a client whose connection it ends.

    Args:
        code: SQLSTATE.
    """
    fields = {"S": "FATAL", "V": "FATAL", "C": code, "M": "the connection is ended"}
    body = b"".join(f"{kind}{value}\0".encode() for kind, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!i", 4 + len(body)) + body


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting_proxy(url: str) -> Iterator[CuttingProxy]:
    """A proxy before the database of this URL, until the block ends."""
    proxy = CuttingProxy(url)
    thread = threading.Thread(target=proxy.serve, name="cutting-proxy", daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
