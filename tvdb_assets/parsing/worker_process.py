"""One worker process, as its parent sees it: start, communication, limits, end.

What belongs here: start, environment, folder and end of a process, and its kill at a limit. What
does not: the queue and the error for a dead worker (`parsing.worker_pool`), the set-up within the
child (`parsing.worker_main`).
"""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, Self

import orjson
import psutil

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ServiceError
from tvdb_assets.parsing.confinement import Confinement, forbid_tracing
from tvdb_assets.parsing.worker_replies import ReplyError, unpack

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
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


class WorkerProcess:
    """One child process with its pipe and its temporary folder."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        connection: Connection[Any, Any],
        folder: str,
        max_reply_bytes: int,
    ) -> None:
        self.process = process
        self.connection = connection
        self.folder = folder
        self.max_reply_bytes = max_reply_bytes
        self.statistics = psutil.Process(process.pid)
        self.confinement = Confinement(False, False, False, False, False)
        """What the kernel enforces for this process."""
        self.tasks = 0
        """Number of tasks done so far."""

    @classmethod
    def start(cls, memory_mib: int, modules: Sequence[str]) -> Self:
        """Start a child and wait until it is confined and accepts tasks.

        Args:
            memory_mib: limit of its resident memory in MiB.
            modules: the modules of its tasks.

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
        # A reply is held by the worker next to the values that it was made of, so an honest one
        # is smaller than half of the memory limit.
        worker = cls(process, Connection(parent_end), folder, memory_mib * _MIB // 2)
        try:
            if worker.connection.poll(_START_SECONDS):
                # No document has reached the worker yet, so this message is its own.
                worker.confinement = Confinement(**orjson.loads(worker.connection.recv_bytes()))
                if not worker.confinement.parent and forbid_tracing():
                    worker.confinement = replace(worker.confinement, parent=True)
                return worker
            why = "it did not answer"
        except (EOFError, OSError):
            why = "it ended at once"
        worker.end(kill=True)
        raise _cannot_start(why)

    def ask(self, tasks: Sequence[bytes]) -> list[memoryview]:
        """Send pickled tasks and return the replies, one per task, which nothing has checked yet.

        Raises:
            EOFError or OSError: the process died.
            ReplyTooLargeError: the replies exceed their limit; they were not read.
            ReplyError: there is not one reply per task.
        """
        self.connection.send_bytes(pickle.dumps(tasks, protocol=pickle.HIGHEST_PROTOCOL))
        try:
            message = self.connection.recv_bytes(self.max_reply_bytes)
        except OSError as error:
            # So `Connection` marks that a message announced more bytes than allowed.
            if not self.connection.readable:
                raise ReplyTooLargeError from None
            raise error
        replies = unpack(message)
        if len(replies) != len(tasks):
            raise ReplyError("number of replies")
        return replies

    def end(self, *, kill: bool) -> None:
        """End the process and remove its folder; without ``kill``, it ends when its pipe closes."""
        if kill:
            self.process.kill()
        self.connection.close()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class WorkerSlot:
    """One worker of the pool; the lock keeps a late kill from hitting the next task."""

    def __init__(self) -> None:
        self.worker: WorkerProcess | None = None
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
            try:
                resident = self.worker.statistics.memory_info().rss
            except psutil.Error:
                return True
            if resident > memory_bytes:
                self._kill("memory")
            return True

    def kill_if_busy(self, reason: str) -> None:
        """Kill the worker if it has a task."""
        with self._lock:
            if self._deadline is not None and self.worker is not None:
                self._kill(reason)

    def retire(self, *, kill: bool = False) -> None:
        """End the worker and leave the slot empty."""
        with self._lock:
            worker, self.worker = self.worker, None
        if worker is not None:
            worker.end(kill=kill and worker.process.poll() is None)

    def _kill(self, reason: str) -> None:
        assert self.worker is not None
        self._reason = self._reason or reason
        self.worker.process.kill()


def _cannot_start(why: str) -> ServiceError:
    return codes.WORKERS_UNAVAILABLE.error(why=why)
