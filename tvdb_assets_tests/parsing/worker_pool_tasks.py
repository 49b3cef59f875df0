"""Tasks that the tests of the worker pool send to worker processes, which import them."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path

from tvdb_assets import error_codes as codes
from tvdb_assets.core.chunking import Chunker
from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.errors import ParseError
from tvdb_assets.parsing.active_limits import apply_limits
from tvdb_assets.parsing.parse_isolation import (
    TaskTraits,
    register_traits,
    require_own_process,
    traits_of,
)
from tvdb_assets.parsing.parse_tasks import prepare_document
from tvdb_assets.parsing.reading import ocr

_calls: dict[str, int] = {}


def echo(value: object) -> object:
    return value


def echo_bytes(value: bytes) -> bytes:
    return value


def add_line(name: str) -> int:
    """Count the calls with this name in this process; it may be shared, except for ``own``."""
    if name == "own":
        require_own_process()
    _calls[name] = _calls.get(name, 0) + 1
    return _calls[name]


def die_in_shared_process() -> None:
    os._exit(1)


for _task in (add_line, die_in_shared_process):
    register_traits(_task, lambda *_: TaskTraits(may_share=True))


def spin_unless_again(server: str) -> int:
    """Run until this process is killed, unless another server has forked it."""
    while str(os.getppid()) == server:
        time.monotonic()
    return 1


def write_for_ocr(mebibytes: int) -> int:
    with ocr.file_of(bytes(mebibytes << 20)) as file:
        return file.stat().st_size


def process_id() -> int:
    return os.getpid()


def parent_process_id() -> int:
    return os.getppid()


def spin() -> None:
    while True:
        time.monotonic()


def grow() -> int:
    blocks = []
    while True:
        blocks.append(b"x" * 1_000_000)


def allocate(mebibytes: int) -> int:
    return len(bytearray(mebibytes * 1024 * 1024))


def die_by_signal(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()


def exit_with_status_3() -> None:
    os._exit(3)


def fail_with_text() -> None:
    raise KeyError("the document's own words")


def refuse() -> None:
    raise codes.ENCRYPTED.error(what="PDF")


def unpicklable() -> object:
    return lambda: None


def surroundings() -> tuple[dict[str, str], str, list[str]]:
    return dict(os.environ), str(Path.cwd()), sorted(sys.modules)


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5)


_events: list[tuple[str, str]] = []
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def record_events(limits: DocumentLimits) -> None:
    """Apply limits, and record from now on which files and connections this process opens."""
    apply_limits(limits)

    def record(event: str, args: tuple[object, ...]) -> None:
        if event == "open" and isinstance(args[2], int) and args[2] & _WRITING:
            _events.append((event, os.path.realpath(str(args[0]))))
        elif event.startswith("socket.") or event in {"os.system", "subprocess.Popen", "os.exec"}:
            _events.append((event, ""))

    sys.addaudithook(record)


def parse_recorded(data: bytes, name: str) -> tuple[str, list[tuple[str, str]], str, int]:
    """Parse a document: code of its error, events, folder, peak of memory in KiB."""
    code = ""
    _events.clear()
    try:
        prepare_document(data, name, "local", None)
    except ParseError as error:
        code = error.code
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return code, _events, os.path.realpath(Path.cwd()), peak


def imports_while_parsing(data: bytes, path: str) -> list[str]:
    """The libraries that are imported for the first time while a document is parsed."""
    before = set(sys.modules)
    prepare_document(data, path, "local", Chunker(128, 16))
    return sorted({name.partition(".")[0] for name in set(sys.modules) - before})


register_traits(
    imports_while_parsing,
    lambda *args: TaskTraits(media_types=traits_of(prepare_document, args).media_types),
)
