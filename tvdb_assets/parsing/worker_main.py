"""The main program of a worker process: confine itself, then run tasks until the pipe closes.

What belongs here: the confinement of a process that reads hostile files. What does not: any import
that would slow every start; the task that needs a parser imports it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from tvdb_assets.errors import DocumentError
from tvdb_assets.parsing.worker_replies import (
    encode_error,
    encode_exception,
    encode_result,
    pack,
)

_MIB = 1024 * 1024
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9
_CLONE_NEWNET = 0x40000000
_FILE_MIB = 64


def _confine(parent: int, memory_mib: int) -> None:
    """Die with the parent, write no core dump, open no connection, limit memory and file sizes."""
    if sys.platform == "linux":
        import ctypes

        system = ctypes.CDLL(None)
        system.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        # An ordinary user is not allowed this; the audit hook below confines Python code anyway.
        system.unshare(_CLONE_NEWNET)
    if os.getppid() != parent:
        os._exit(1)
    with contextlib.suppress(ImportError):
        import resource

        limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _FILE_MIB * _MIB)]
        if sys.platform == "linux":
            # The parent watches resident memory; this limit only stops a single huge allocation.
            # Mapped libraries and arenas reserve much more address space than they use.
            limits.append((resource.RLIMIT_AS, (2 * memory_mib + 1_024) * _MIB))
        for limit, value in limits:
            hard = resource.getrlimit(limit)[1]
            allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(limit, (allowed, allowed))
    sys.addaudithook(_forbid)


def _forbid(event: str, args: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"}:
        raise PermissionError(f"a parser may not use {event}")


def _run_task(message: bytes) -> bytes:
    """The reply to one task. The parent pickled the task, so unpickling it is safe here."""
    try:
        module, name, args = pickle.loads(message)
        task = getattr(import_module(module), name)
        return encode_result(task, task(*args))
    except DocumentError as error:
        return encode_error(error)
    except Exception as error:
        # The message of a library's exception may quote the document; its class does not.
        return encode_exception(error)


def main() -> None:
    """Run tasks from the inherited connection until the parent closes it."""
    descriptor, parent, memory_mib = map(int, sys.argv[1:4])
    connection: Connection[Any, Any] = Connection(descriptor)
    _confine(parent, memory_mib)
    connection.send_bytes(b"ready")
    while True:
        try:
            message = connection.recv_bytes()
        except (EOFError, OSError):
            return
        tasks: list[bytes] = pickle.loads(message)
        del message
        tasks.reverse()  # so that the bytes of a task are released before the next one runs
        replies = []
        while tasks:
            replies.append(_run_task(tasks.pop()))
        with contextlib.suppress(OSError):
            connection.send_bytes(pack(replies))
        del replies


if __name__ == "__main__":
    main()
