"""The fork server and its parsers, as their parent sees them: start, communication, limits, end.

What belongs here: start, environment, folder and end of a process, and its kill at a limit. What
does not: the queue and the error for a dead worker (`parsing.worker_pool`), the set-up within the
child (`parsing.worker_main`).
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any, Self

import orjson
import psutil

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ServiceError
from tvdb_assets.parsing.confinement import (
    Confinement,
    forbid_tracing,
    occupies_more,
    remove_tree,
)
from tvdb_assets.parsing.worker_replies import ReplyError, unpack

_START_SECONDS = 60.0
_MAX_THREADS = 512
"""More than a library starts on any machine, and too few to harm one."""
_MAX_FILES, _MAX_FILES_MIB = 64, 256
"""A parser writes one file at a time, of a document that is read by OCR."""
_MIB = 1024 * 1024
# The variables that an interpreter and a loader need; no keys, no proxies, no settings.
_INHERITED_ENVIRONMENT = (
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "LANG",
    "LC_ALL",
)


class ReplyTooLargeError(Exception):
    """A worker sent more bytes than a reply may have."""


class ForkServer:
    """The process that forks a parser for each document, and sees none of their bytes."""

    def __init__(
        self, process: subprocess.Popen[bytes], control: Connection[Any, Any], folder: str
    ) -> None:
        self.process = process
        self._control = control
        self._folder = folder
        self._lock = threading.Lock()

    @classmethod
    def start(cls, memory_mib: int, modules: Sequence[str]) -> Self:
        """Start the server and wait until it is confined and accepts requests.

        Args:
            memory_mib: limit of the resident memory of a parser in MiB.
            modules: the modules of the tasks.

        Raises:
            ServiceError: it can't be started; no document is the cause.
        """
        folder = os.path.realpath(tempfile.mkdtemp(prefix="tvdb-worker-"))
        child_end, parent_end = (end.detach() for end in socket.socketpair())
        environment = {
            name: os.environ[name] for name in _INHERITED_ENVIRONMENT if name in os.environ
        } | {
            "PYTHONPATH": os.pathsep.join(path or str(os.getcwd()) for path in sys.path),  # noqa: PTH109
            "PYTHONHASHSEED": "0",
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
            "HOME": folder,
            "TMPDIR": folder,
            # The pool provides the parallelism; threads of a parsing library only cost memory.
            "OMP_NUM_THREADS": "1",
            "RAYON_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }
        try:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "tvdb_assets.parsing.worker_main"),
                    *(str(child_end), str(os.getpid()), str(memory_mib), *modules),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=environment,
                pass_fds=(child_end,),
            )
        except OSError as error:
            os.close(parent_end)
            shutil.rmtree(folder, ignore_errors=True)
            raise _cannot_start(type(error).__name__) from error
        finally:
            os.close(child_end)
        server = cls(process, Connection(parent_end), folder)
        try:
            if server._control.poll(_START_SECONDS):
                server._control.recv_bytes()
                return server
            why = "it did not answer"
        except (EOFError, OSError):
            why = "it ended at once"
        server.end()
        raise _cannot_start(why)

    @property
    def is_alive(self) -> bool:
        """Whether the server runs."""
        return self.process.poll() is None

    def prepare(self, fn: Callable[[Any], None], argument: object) -> None:
        """Call a module-level function in the server, for the set-up of all parsers.

        Raises:
            ServiceError: the server is gone.
        """
        self._ask("prepare", fn.__module__, fn.__qualname__, argument)

    def fork(
        self, memory_mib: int, media_types: Sequence[str] = (), *, is_shared: bool = False
    ) -> ParserProcess:
        """Fork a parser and wait until it is confined.

        Args:
            memory_mib: limit of its resident memory in MiB.
            media_types: the libraries for these are loaded before the fork.
            is_shared: whether it parses several documents; see `parsing.parse_isolation`.

        Raises:
            ServiceError: there is no parser; no document is the cause.
        """
        child_end, parent_end = socket.socketpair()
        with child_end:
            try:
                found = self._ask(
                    "start", tuple(media_types), is_shared, channel=child_end.fileno()
                )
            except ServiceError:
                parent_end.close()
                raise
        connection: Connection[Any, Any] = Connection(parent_end.detach())
        folder = f"{self._folder}/{found['folder']}"
        parser = ParserProcess(self, found["process"], connection, memory_mib, folder)
        try:
            if connection.poll(_START_SECONDS):
                # No document has reached the parser yet, so this message is its own.
                confinement = Confinement(**orjson.loads(connection.recv_bytes()))
                if not confinement.parent and forbid_tracing():
                    confinement = replace(confinement, parent=True)
                parser.confinement = confinement
                return parser
            why = "a parser did not answer"
        except (EOFError, OSError):
            why = "a parser ended at once"
        parser.end()
        raise _cannot_start(why)

    def end_parser(self, process: int) -> int | None:
        """Kill a parser; returns its exit status as of `subprocess`, None if the server is gone."""
        try:
            return self._ask("end", process)["returncode"]
        except ServiceError:
            return None

    def end(self) -> None:
        """End the server and its parsers, and remove their folder."""
        self.process.kill()
        self._control.close()
        self.process.wait()
        remove_tree(self._folder)

    def _ask(self, *request: object, channel: int | None = None) -> dict[str, int]:
        try:
            with self._lock:
                self._control.send_bytes(pickle.dumps(request, pickle.HIGHEST_PROTOCOL))
                if channel is not None:
                    reduction.send_handle(self._control, channel, self.process.pid)
                reply: dict[str, int] = orjson.loads(self._control.recv_bytes()) or {}
                return reply
        except (EOFError, OSError):
            raise _cannot_start("the server of the parsers is gone") from None


class ParserProcess:
    """One parser with its channel: for one document, or for several that may share it."""

    def __init__(
        self,
        server: ForkServer,
        process: int,
        connection: Connection[Any, Any],
        memory_mib: int,
        folder: str,
    ) -> None:
        self.process_id = process
        self._folder = folder
        self.confinement = Confinement(False, False, False, False, False)
        """What the kernel enforces for this process."""
        self.tasks = 0
        """Number of tasks done so far."""
        self.server = server
        self._connection = connection
        # A reply is held by the parser next to the values that it was made of, so an honest one
        # is smaller than half of the memory limit.
        self._max_reply_bytes = memory_mib * _MIB // 2
        self._statistics: psutil.Process | None = None
        # Unlike the process id, it never names another process, also not when the server is gone.
        self._handle = os.pidfd_open(process) if hasattr(os, "pidfd_open") else None

    @property
    def is_ready(self) -> bool:
        """Whether it waits for a task: it lives, and has not written what nobody asked for."""
        return self.server.is_alive and not self._connection.poll(0)

    def ask(self, tasks: Sequence[bytes], most_reply_bytes: int | None = None) -> list[memoryview]:
        """Send pickled tasks and return the replies, one per task, which nothing has checked yet.

        Args:
            tasks: the tasks.
            most_reply_bytes: most bytes of all replies; None where only the memory limit bounds
                them.

        Raises:
            EOFError or OSError: the process died.
            ReplyTooLargeError: the replies exceed the limit by the memory; they were not read.
            ReplyError: they exceed ``most_reply_bytes``, or there is not one reply per task.
        """
        self._connection.send_bytes(pickle.dumps(tasks, protocol=pickle.HIGHEST_PROTOCOL))
        try:
            most = min(self._max_reply_bytes, most_reply_bytes or self._max_reply_bytes)
            message = self._connection.recv_bytes(most)
        except OSError as error:
            # So `Connection` marks that a message announced more bytes than allowed.
            if not self._connection.readable:
                if most < self._max_reply_bytes:
                    raise ReplyError("size, for such a small document") from None
                raise ReplyTooLargeError from None
            raise error
        replies = unpack(message, len(tasks))
        if len(replies) != len(tasks):
            raise ReplyError("number of replies")
        return replies

    def exceeds(self, memory_bytes: int) -> bool:
        """Whether it uses more memory or threads than it may."""
        try:
            if self._statistics is None:
                self._statistics = psutil.Process(self.process_id)
            return bool(
                self._statistics.memory_info().rss > memory_bytes
                or self._statistics.num_threads() > _MAX_THREADS
            )
        except psutil.Error:
            return False

    def fills_disk(self) -> bool:
        """Whether it wrote more than any document needs."""
        return occupies_more(self._folder, _MAX_FILES, _MAX_FILES_MIB * _MIB)

    def kill(self) -> None:
        """Kill it; the server keeps its process id taken until `end`."""
        with contextlib.suppress(ProcessLookupError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            else:
                os.kill(self.process_id, signal.SIGKILL)

    def end(self) -> int | None:
        """Kill it and remove its files; returns its exit status, None if that is not known."""
        self._connection.close()
        if self._handle is not None:
            os.close(self._handle)
        return self.server.end_parser(self.process_id)


class WorkerSlot:
    """The workers of one thread of the pool; the lock keeps a late kill from the next task."""

    def __init__(self) -> None:
        self.worker: ParserProcess | None = None
        """It runs the current task, or ran the last one."""
        self.shared: ParserProcess | None = None
        """It runs those tasks that may share a process."""
        self._lock = threading.Lock()
        self._deadline: float | None = None
        self._reason: str | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a task is running."""
        return self._deadline is not None

    def begin(self, seconds: float) -> None:
        """Note that a task begins, with its time limit in seconds."""
        with self._lock:
            self._reason = None
            self._deadline = time.monotonic() + seconds

    def end(self) -> str | None:
        """Note the end of the task; returns the reason if the worker was killed."""
        with self._lock:
            self._deadline = None
            return self._reason

    def check(self, memory_bytes: int) -> bool:
        """Kill the worker if its task exceeds a limit; returns whether there is a task."""
        with self._lock:
            if self._deadline is None or self.worker is None:
                return False
            if time.monotonic() > self._deadline:
                self._kill("timeout")
                return True
            if self.worker.exceeds(memory_bytes):
                self._kill("memory")
            elif self.worker.fills_disk():
                self._kill("files")
            return True

    def kill_if_busy(self, reason: str) -> None:
        """Kill the worker if it has a task."""
        with self._lock:
            if self._deadline is not None and self.worker is not None:
                self._kill(reason)

    def retire(self, *, shared: bool = False) -> int | None:
        """End the worker, or the shared one; returns its exit status, if it was ended here."""
        with self._lock:
            worker, self.worker = self.worker, None
            if shared:
                worker, self.shared = self.shared, None
        return worker.end() if worker is not None else None

    def _kill(self, reason: str) -> None:
        assert self.worker is not None
        self._reason = self._reason or reason
        self.worker.kill()


def _cannot_start(why: str) -> ServiceError:
    return codes.WORKERS_UNAVAILABLE.error(why=why)
