"""One worker process, as its parent sees it: started bare, ended for good.

What belongs here: start, environment, folder, end. What does not: queue and limits
(`workers`), or what the child does with itself (`worker_main`).
"""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Self

import psutil

from tvdb_assets.errors import ServiceError

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
# Parsers get what an interpreter and a loader need; no keys, no proxies, no settings.
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL")


class WorkerProcess:
    """One child process, its pipe and its folder."""

    def __init__(
        self, process: subprocess.Popen[bytes], connection: Connection[Any, Any], folder: str
    ) -> None:
        self.process = process
        self.connection = connection
        self.folder = folder
        self.statistics = psutil.Process(process.pid)
        self.tasks = 0

    @classmethod
    def start(cls, memory_mib: int) -> Self:
        """Start a child and wait until it can take a task.

        Raises:
            ServiceError: it can't be started; says nothing about any document.
        """
        folder = tempfile.mkdtemp(prefix="tvdb-worker-")
        child_end, parent_end = (end.detach() for end in socket.socketpair())
        environment = {
            name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ
        } | {
            "PYTHONPATH": os.pathsep.join(path or str(os.getcwd()) for path in sys.path),  # noqa: PTH109
            "PYTHONHASHSEED": "0",
            "PYTHONUTF8": "1",
            "PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", ""),
            "HOME": folder,
            "TMPDIR": folder,
            # The pool is what runs side by side; a parser's own threads only cost memory.
            "OMP_NUM_THREADS": "1",
            "RAYON_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
        }
        try:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "tvdb_assets.services.worker_main"),
                    *(str(child_end), str(os.getpid()), str(memory_mib)),
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
        worker = cls(process, Connection(parent_end), folder)
        try:
            if (
                worker.connection.poll(_START_SECONDS)
                and worker.connection.recv_bytes() == b"ready"
            ):
                return worker
            why = "it did not answer"
        except (EOFError, OSError):
            why = "it ended at once"
        worker.end(kill=True)
        raise _cannot_start(why)

    def ask(self, tasks: Sequence[bytes]) -> Sequence[bytes]:
        """Its answers to packed tasks, one for each.

        Raises:
            EOFError or OSError: it died.
        """
        self.connection.send_bytes(pickle.dumps(tasks, protocol=pickle.HIGHEST_PROTOCOL))
        answers: list[bytes] = pickle.loads(self.connection.recv_bytes())
        return answers

    def end(self, *, kill: bool) -> None:
        """End the process and remove its folder; a clean end comes from the closed pipe."""
        if kill:
            self.process.kill()
        self.connection.close()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _cannot_start(why: str) -> ServiceError:
    return ServiceError(
        "workers_unavailable",
        f"A parser process could not be started: {why}.",
        remedy="Check that the machine has memory and process slots left, and try again.",
    )
