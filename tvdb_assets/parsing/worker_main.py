"""The main program of the fork server, and of the parsers that it forks.

What belongs here: the order of import, confinement and fork, and running a task. What does not: how
a process is confined (`parsing.confinement`), or how a reply is written (`parsing.worker_replies`).

The server imports libraries once and sees no byte of a document. Each parser is a fork of it, with
its own channel to the parent, so what one document does to its parser reaches no other.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import sys
import tempfile
from importlib import import_module
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any, NoReturn

import orjson

from tvdb_assets.core.token_counting import tokenizer
from tvdb_assets.errors import DocumentError
from tvdb_assets.parsing.confinement import ServerConfinement, remove_tree
from tvdb_assets.parsing.format_registry import load_libraries
from tvdb_assets.parsing.parse_isolation import OwnProcessNeededError, sharing_process
from tvdb_assets.parsing.worker_replies import (
    encode_error,
    encode_exception,
    encode_own_process_needed,
    encode_result,
    pack,
)

_PARENT_CHECK_SECONDS = 10.0


class _ForkServer:
    """Answers the requests of the parent: prepare, start and end."""

    def __init__(self, control: int, parent: int, memory_mib: int) -> None:
        self._control: Connection[Any, Any] = Connection(control)
        self._parent = parent
        self._folder = os.getcwd()  # noqa: PTH109
        self._confinement = ServerConfinement(parent, memory_mib, self._folder)
        self._started = 0
        self._folders: dict[int, str] = {}
        self._loaded: set[str] = set()

    def run(self) -> None:
        """Serve until the parent closes the connection or is gone."""
        tokenizer()
        self._control.send_bytes(b"{}")
        with contextlib.suppress(EOFError, OSError):
            while True:
                while not self._control.poll(_PARENT_CHECK_SECONDS):
                    if os.getppid() != self._parent:
                        return
                kind, *arguments = pickle.loads(self._control.recv_bytes())
                reply = getattr(self, f"_{kind}")(*arguments)
                self._control.send_bytes(orjson.dumps(reply))

    def _prepare(self, module: str, name: str, argument: object) -> None:
        getattr(import_module(module), name)(argument)

    def _start(self, media_types: tuple[str, ...], is_shared: bool) -> dict[str, int]:
        """Fork a parser with the channel that follows this request."""
        channel = reduction.recv_handle(self._control)
        for media_type in media_types:
            if media_type not in self._loaded:
                self._loaded.add(media_type)
                load_libraries(media_type)
                # Otherwise a collection in a parser would copy the memory of all these objects.
                gc.freeze()
        self._started += 1
        folder = f"{self._folder}/{self._started}"
        os.mkdir(folder)  # noqa: PTH102
        server = os.getpid()
        process = os.fork()
        if process == 0:
            self._serve(channel, server, folder, is_shared)
        os.close(channel)
        self._folders[process] = folder
        return {"process": process, "folder": self._started}

    def _end(self, process: int) -> dict[str, int]:
        """Kill a parser and remove its files; until then its process id is taken."""
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        folder = self._folders.pop(process)
        try:
            os.rmdir(folder)  # noqa: PTH106
        except OSError:
            # The parent removes what is left with the server's folder.
            remove_tree(folder)
        return {"returncode": os.waitstatus_to_exitcode(status)}

    def _serve(self, channel: int, server: int, folder: str, is_shared: bool) -> NoReturn:
        """The life of a parser: confine itself, then run tasks until its channel closes."""
        try:
            control = self._control.fileno()
            os.chdir(folder)
            os.environ["HOME"] = os.environ["TMPDIR"] = tempfile.tempdir = folder
            confinement = self._confinement.confine_parser(server, folder)
            os.dup2(channel, control)
            os.closerange(3, control)
            os.closerange(control + 1, 1_024)
            connection: Connection[Any, Any] = Connection(control)
            connection.send_bytes(orjson.dumps(confinement))
            _run_tasks(connection, is_shared)
        finally:
            os._exit(0)


def _run_tasks(connection: Connection[Any, Any], is_shared: bool) -> None:
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
            replies.append(_run_task(tasks.pop(), is_shared))
        with contextlib.suppress(OSError):
            connection.send_bytes(pack(replies))
        del replies


def _run_task(message: bytes, is_shared: bool) -> bytes:
    """The reply to one task. The parent pickled the task, so unpickling it is safe here."""
    try:
        module, name, args = pickle.loads(message)
        task = getattr(import_module(module), name)
        with sharing_process(is_shared):
            return encode_result(task, task(*args))
    except OwnProcessNeededError:
        return encode_own_process_needed()
    except DocumentError as error:
        return encode_error(error)
    except Exception as error:
        # The message of a library's exception may quote the document; its class does not.
        return encode_exception(error)


def main() -> None:
    """Serve the inherited connection until the parent closes it."""
    control, parent, memory_mib = map(int, sys.argv[1:4])
    for module in sys.argv[4:]:
        # The folders of these modules may hold more than libraries, so they can't be read later.
        import_module(module)
    server = _ForkServer(control, parent, memory_mib)
    gc.collect()
    gc.freeze()
    server.run()


if __name__ == "__main__":
    main()
