"""Calls of the file system that may never return, given up after some time without progress.

What belongs here: running such a call in a thread that can be abandoned, and a source that does.
What does not: what is called (`folder`).

A network file system whose server is gone answers nothing, and a call that waits in the kernel
can't be interrupted. So it waits in its own thread, for which no process waits at its end.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeVar

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile
from tvdb_assets.sources.source_store import ListedPage, SourceStore

STALL_SECONDS = 60.0
"""Default of TVDB_SOURCE_TIMEOUT_SECONDS."""
MAX_ABANDONED = 4
"""Abandoned calls of a source that may wait at the same time; with so many, others fail at once."""
_BATCH = 500
_BATCH_SECONDS = 0.2
_IDLE_SECONDS = 5.0

_T = TypeVar("_T")
_thread = threading.local()
_abandoned: Counter[str] = Counter()
_idle: list[_CallThread] = []
_lock = threading.Lock()


class StalledError(Exception):
    """A call made no progress for too long."""


def note_progress() -> None:
    """Say from within a long call that it is not stalled."""
    call: _Call | None = getattr(_thread, "call", None)
    if call is not None:
        call.progressed_at = time.monotonic()


class StallGuard:
    """Runs calls of one source, and gives up those that make no progress."""

    def __init__(self, root: str, seconds: float) -> None:
        """Runs nothing yet.

        Args:
            root: the source, of which all guards of this process count the abandoned calls.
            seconds: longest time without progress.
        """
        self._root = root
        self.seconds = seconds

    def run(self, function: Callable[[], _T]) -> _T:
        """Call a function; its exceptions are raised here.

        Raises:
            StalledError: it did not return in time, or too many other calls have not yet.
        """
        results: list[_T] = []
        call = self._start(lambda: results.append(function()))
        while not call.is_over.wait(max(0.0, call.seconds_left(self.seconds))):
            if call.seconds_left(self.seconds) <= 0:
                self._abandon(call)
        if call.error is not None:
            raise call.error
        return results[0]

    def iterate(self, function: Callable[[], Iterator[_T]]) -> Iterator[_T]:
        """The items of an iterator, which is read some batches ahead.

        Raises:
            StalledError: the next item did not come in time. The items before it were returned.
        """
        batches: queue.Queue[list[_T] | None] = queue.Queue(maxsize=16)
        is_wanted = True
        batch: list[_T] = []

        def put(full: list[_T] | None) -> None:
            while is_wanted:
                note_progress()
                try:
                    return batches.put(full, timeout=self.seconds / 2)
                except queue.Full:
                    continue  # the caller takes its time, which is no stall

        def read() -> None:
            nonlocal batch
            began = time.monotonic()
            try:
                for item in function():
                    note_progress()
                    batch.append(item)
                    if not is_wanted:
                        return
                    if len(batch) >= _BATCH or time.monotonic() - began > _BATCH_SECONDS:
                        full, batch, began = batch, [], time.monotonic()
                        put(full)
            finally:
                put(batch)
                put(None)

        call = self._start(read)
        try:
            while True:
                try:
                    full = batches.get(timeout=max(0.0, call.seconds_left(self.seconds)))
                except queue.Empty:
                    if call.seconds_left(self.seconds) <= 0:
                        yield from list(batch)
                        self._abandon(call)
                    continue
                if full is None:
                    break
                yield from full
        finally:
            is_wanted = False
        call.is_over.wait()
        if call.error is not None:
            raise call.error

    def _start(self, function: Callable[[], object]) -> _Call:
        with _lock:
            if _abandoned[self._root] >= MAX_ABANDONED:
                raise StalledError
            thread = _idle.pop() if _idle else None
        call = _Call(function, self._root)
        (thread or _CallThread()).calls.put(call)
        return call

    def _abandon(self, call: _Call) -> None:
        with _lock:
            if not call.is_over.is_set():
                call.is_abandoned = True
                _abandoned[self._root] += 1
        raise StalledError


class _Call:
    """A call in a thread."""

    def __init__(self, function: Callable[[], object], root: str) -> None:
        self._function = function
        self._root = root
        self.progressed_at = time.monotonic()
        self.is_over = threading.Event()
        self.is_abandoned = False
        self.error: BaseException | None = None

    def seconds_left(self, seconds: float) -> float:
        return self.progressed_at + seconds - time.monotonic()

    def run(self) -> None:
        _thread.call = self
        try:
            self._function()
        except BaseException as error:
            self.error = error  # raised in the thread of the caller
        _thread.call = None

    def end(self) -> None:
        """Let the caller go on; the lock is held."""
        self.is_over.set()
        if self.is_abandoned:
            _abandoned[self._root] -= 1


class _CallThread(threading.Thread):
    """Runs one call after the other, and ends if there is none for a while."""

    def __init__(self) -> None:
        super().__init__(name="tvdb-source", daemon=True)
        self.calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            try:
                call = self.calls.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with _lock:
                    if self not in _idle:
                        continue  # a call is on its way
                    _idle.remove(self)
                    return
            call.run()
            with _lock:
                _idle.append(self)
                call.end()
            del call


class GuardedStore:
    """A source whose calls may never return."""

    def __init__(self, store: SourceStore, guard: StallGuard) -> None:
        """Lists and reads nothing yet."""
        self._store = store
        self._guard = guard

    @property
    def reads_in_flight(self) -> int:
        """See `SourceStore.reads_in_flight`."""
        return self._store.reads_in_flight

    def list(self, prefix: str) -> Iterator[SourceFile | SourceError]:
        """See `SourceStore.list`; a listing that stalls breaks off like any other."""
        try:
            yield from self._guard.iterate(lambda: self._store.list(prefix))
        except StalledError:
            kind = f"no answer for {self._guard.seconds:g} seconds"
            yield codes.UNLISTED.error(kind=kind).about(prefix)

    def pages(self, after: str) -> Iterator[ListedPage]:
        """See `SourceStore.pages`; each page is read when it is wanted, so that few are held."""
        pages = self._store.pages(after)
        position = after
        try:
            while (page := self._guard.run(lambda: next(pages, None))) is not None:
                position = page.position
                yield page
        except StalledError:
            kind = f"no answer for {self._guard.seconds:g} seconds"
            yield ListedPage([codes.UNLISTED.error(kind=kind).about("")], position)

    def stat(self, path: str) -> SourceFile:
        """See `SourceStore.stat`."""
        return self._run(path, lambda: self._store.stat(path))

    def read(self, path: str, max_bytes: int) -> bytes:
        """See `SourceStore.read`."""
        return self._run(path, lambda: self._store.read(path, max_bytes))

    def fetch(self, path: str, max_bytes: int) -> tuple[SourceFile, bytes]:
        """See `SourceStore.fetch`."""
        return self._run(path, lambda: self._store.fetch(path, max_bytes))

    def _run(self, path: str, function: Callable[[], _T]) -> _T:
        try:
            return self._guard.run(function)
        except StalledError:
            raise codes.READ_STALLED.error(seconds=self._guard.seconds).about(path) from None
