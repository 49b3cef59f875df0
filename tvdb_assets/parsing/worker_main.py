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

from tvdb_assets.errors import TvdbError

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


def _run_task(message: bytes) -> tuple[str, object]:
    try:
        module, name, args = pickle.loads(message)
        return "result", getattr(import_module(module), name)(*args)
    except TvdbError as error:
        # The exception of a library may quote the document, or may not pickle.
        error.__cause__ = error.__context__ = None
        return "error", error
    except MemoryError:
        return "memory", None
    except Exception as error:
        return "exception", type(error).__name__


def _pickled(response: tuple[str, object]) -> bytes:
    try:
        return pickle.dumps(response, protocol=pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        return pickle.dumps(("memory", None))
    except Exception as error:
        return pickle.dumps(("exception", type(error).__name__))


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
        responses = []
        while tasks:
            responses.append(_pickled(_run_task(tasks.pop())))
        with contextlib.suppress(OSError):
            connection.send_bytes(pickle.dumps(responses, protocol=pickle.HIGHEST_PROTOCOL))
        del responses


if __name__ == "__main__":
    main()
