"""Tasks that `test_workers` sends to worker processes; they must be importable there."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.errors import ParseError
from tvdb_assets.parsing.active_limits import apply_limits


def echo(value: object) -> object:
    return value


def add_line(path: str) -> int:
    with Path(path).open("a+") as file:
        file.write("a line\n")
        file.seek(0)
        return len(file.readlines())


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
    raise ParseError.restored("encrypted", "It is locked.", remedy="Unlock it.")


def unpicklable() -> object:
    return lambda: None


def surroundings() -> tuple[dict[str, str], str, list[str]]:
    return dict(os.environ), str(Path.cwd()), sorted(sys.modules)


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5)


_seen: list[tuple[str, str]] = []
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(limits: DocumentLimits) -> None:
    """Keep to these limits, and note from now on what this process writes or whom it talks to."""
    apply_limits(limits)

    def note(event: str, args: tuple[object, ...]) -> None:
        if event == "open" and isinstance(args[2], int) and args[2] & _WRITING:
            _seen.append((event, os.path.realpath(str(args[0]))))
        elif event.startswith("socket.") or event in {"os.system", "subprocess.Popen", "os.exec"}:
            _seen.append((event, ""))

    sys.addaudithook(note)


def watched() -> tuple[list[tuple[str, str]], str, int]:
    """What was noted, the working folder, and the most KiB that were resident (Linux; else 0)."""
    status = Path("/proc/self/status")
    # What `getrusage` says begins with the most that the parent had.
    lines = status.read_text().splitlines() if status.exists() else []
    most = next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
    return _seen, os.path.realpath(Path.cwd()), most
