"""Tasks that `test_workers` sends to worker processes; they must be importable there."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

from tvdb_assets.errors import ParseError


def echo(value: object) -> object:
    return value


def process_id() -> int:
    return os.getpid()


def spin_after_telling(path: str) -> None:
    Path(path).write_text(str(os.getpid()))
    while True:
        time.monotonic()


def grow() -> int:
    held = []
    while True:
        held.append(b"x" * 1_000_000)


def allocate(mebibytes: int) -> int:
    return len(bytearray(mebibytes * 1024 * 1024))


def die(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()


def leave() -> None:
    os._exit(3)


def fail_with_text() -> None:
    raise KeyError("the document's own words")


def refuse() -> None:
    raise ParseError("encrypted", "It is locked.", remedy="Unlock it.")


def unpicklable() -> object:
    return lambda: None


def surroundings() -> tuple[dict[str, str], str, list[str]]:
    return dict(os.environ), str(Path.cwd()), sorted(sys.modules)


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5)
