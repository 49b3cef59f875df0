"""The main program of a worker process: confine itself, then run tasks until the pipe closes.

What belongs here: the order of the two, and running a task. What does not: how the process is
confined (`parsing.confinement`), or how a reply is written (`parsing.worker_replies`).
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

import orjson

from tvdb_assets.errors import DocumentError
from tvdb_assets.parsing.confinement import confine
from tvdb_assets.parsing.worker_replies import (
    encode_error,
    encode_exception,
    encode_result,
    pack,
)


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
    for module in sys.argv[4:]:
        # The folders of these modules may hold more than libraries, so they can't be read later.
        import_module(module)
    connection: Connection[Any, Any] = Connection(descriptor)
    confinement = confine(parent, memory_mib, os.getcwd())  # noqa: PTH109
    connection.send_bytes(orjson.dumps(confinement))
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
