"""Killable, reused, recycled worker processes with a time and a memory limit per task.

What belongs here: the parent's side: queue, limits, what a death means. What does not:
what a task does (`parsing`), one process (`worker_process`),
or the child's own set-up (`worker_main`).

Each worker has one thread in the parent that hands it one task at a time, so a death takes
one task; or several small ones, of which each is done alone after a death. One more thread
watches clock and resident memory of the busy ones. Children are started with `subprocess`
(never fork alone, never the parent's ``__main__``), so threads and gRPC in the parent don't
matter.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, ParamSpec, Self, TypeVar

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import ParseError, TvdbError
from tvdb_assets.parsing.active_limits import apply_limits
from tvdb_assets.parsing.worker_process import WorkerProcess, WorkerSlot
from tvdb_assets.settings import Settings

_P = ParamSpec("_P")
_T = TypeVar("_T")

_WATCH_SECONDS = 0.025
_MIB = 1024 * 1024

_Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]
_Tasks = Sequence[_Task]
"""That a worker is handed at once."""


class WorkerPool:
    """Run module-level functions in worker processes; `close` it, or use it in a ``with``.

    Nothing is started before the first task, and no process before it is needed. Leaving
    the context waits for what was submitted; leaving it by an exception cancels what has
    not begun and kills the rest. Bounding what is submitted is the caller's job.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout_seconds: float = 60.0,
        memory_mib: int = 1_024,
        tasks_per_worker: int = 500,
        prepare: tuple[Callable[[Any], None], Any] | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            workers: processes, at most.
            timeout_seconds: of one task.
            memory_mib: resident memory of one process.
            tasks_per_worker: after which it is replaced.
            prepare: a function at the top of a module and its argument: each process's first
                task, which tells it what holds for all others.
        """
        self._prepare = prepare
        self._timeout_seconds = timeout_seconds
        self._memory_mib = memory_mib
        self._tasks_per_worker = tasks_per_worker
        self._tasks: queue.SimpleQueue[_Tasks | None] = queue.SimpleQueue()
        self._slots = [WorkerSlot() for _ in range(workers)]
        self._threads: list[threading.Thread] = []
        self._submit_lock = threading.Lock()
        self._closed = False
        self._stopped = threading.Event()
        self._busy = threading.Semaphore(0)
        self._early: dict[tuple[Callable[..., Any], tuple[Any, ...]], Future[Any]] = {}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say."""
        return cls(
            workers=settings.parse_workers,
            timeout_seconds=settings.parse_timeout_seconds,
            memory_mib=settings.parse_memory_mib,
            tasks_per_worker=settings.parse_worker_documents,
            prepare=(apply_limits, settings.limits),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close(cancel=kind is not None)

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Queue ``fn(*args)`` for the next free worker.

        The future ends with the result, with the `TvdbError` that ``fn`` raised, or with a
        `ParseError`: ``parse_timeout``, ``parse_memory``, ``parser_crashed``, or
        ``corrupt`` for any other exception.

        Raises:
            ValueError: ``fn`` can't be found by name from another process.
            RuntimeError: the pool is closed.
        """
        if kwargs:
            raise ValueError("tasks take positional arguments only")
        _check_importable(fn)
        with self._submit_lock:
            if (early := self._begun(fn, args)) is not None:
                return early
            future: Future[_T] = Future()
            self._put([(future, fn, args)])
        return future

    def _put(self, tasks: _Tasks) -> None:
        if self._closed:
            raise RuntimeError("the worker pool is closed")
        if not self._threads:
            self._start_threads()
        self._tasks.put(tasks)

    def _begun(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> Future[Any] | None:
        """The future of a task that was begun early, which is given once."""
        if not self._early:
            return None
        try:
            return self._early.pop((fn, args), None)
        except TypeError:
            return None  # What can't be hashed was not begun early.

    def submit_early(self, many: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]]) -> None:
        """Begin what will be submitted: `submit` of the same task gets this one's future.

        What nobody submits is dropped when the pool is closed.

        Args:
            many: functions with their arguments, which must be hashable. One worker is handed
                all of them at once: for small tasks, which would take less time than the way
                there and back does while this process is busy.

        Raises:
            ValueError: see `submit`.
            RuntimeError: the pool is closed.
        """
        for fn, _ in many:
            _check_importable(fn)
        with self._submit_lock:
            tasks: list[_Task] = [(Future(), fn, args) for fn, args in many]
            self._put(tasks)
            self._early.update({(fn, args): future for future, fn, args in tasks})

    def process_ids(self) -> tuple[int, ...]:
        """Of the workers that live now."""
        workers = [slot.worker for slot in self._slots]
        return tuple(worker.process.pid for worker in workers if worker is not None)

    def close(self, *, cancel: bool = False) -> None:
        """Finish, or with ``cancel`` drop, what was submitted, and end the workers."""
        with self._submit_lock:
            first, self._closed = not self._closed, True
            unwanted = list(self._early.values())
            self._early.clear()
        if not first:
            return
        for future in unwanted:
            future.cancel()
        if cancel:
            self._drop_queue()
            for slot in self._slots:
                slot.kill_if_busy("closed")
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()
        self._stopped.set()
        self._busy.release()
        if self._threads:
            self._watcher.join()

    def _start_threads(self) -> None:
        for slot in self._slots:
            thread = threading.Thread(
                target=self._serve, args=(slot,), name="tvdb-worker", daemon=True
            )
            self._threads.append(thread)
        self._watcher = threading.Thread(target=self._watch, name="tvdb-watcher", daemon=True)
        for thread in (*self._threads, self._watcher):
            thread.start()

    def _drop_queue(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                for future, _, _ in self._tasks.get_nowait() or ():
                    future.cancel()

    def _serve(self, slot: WorkerSlot) -> None:
        while (queued := self._tasks.get()) is not None:
            tasks = [task for task in queued if task[0].set_running_or_notify_cancel()]
            if tasks:
                self._do(slot, tasks)
            # A finished task's bytes must not live until the next one comes.
            del queued, tasks
        slot.retire()

    def _do(self, slot: WorkerSlot, tasks: _Tasks) -> None:
        """Give each future its end."""
        try:
            answers = self._run(slot, [_packed(fn, args) for _, fn, args in tasks])
        except BaseException as error:
            if isinstance(error, ParseError) and len(tasks) > 1:
                # One of them killed the worker, or they took too long together.
                for task in tasks:
                    self._do(slot, [task])
                return
            for future, _, _ in tasks:
                future.set_exception(error)
            return
        for (future, _, _), answer in zip(tasks, answers, strict=True):
            try:
                result = self._open(answer)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

    def _run(self, slot: WorkerSlot, tasks: Sequence[bytes]) -> Sequence[bytes]:
        """The answers of a worker to these packed tasks."""
        worker = self._ready_worker(slot)
        slot.begin(self._timeout_seconds)
        self._busy.release()
        try:
            answers = worker.ask(tasks)
        except (EOFError, OSError):
            answers = None
        finally:
            reason = slot.end()
        if answers is None or reason is not None:
            slot.retire(kill=True)
            raise self._death(reason, worker.process.returncode)
        worker.tasks += len(tasks)
        if worker.tasks >= self._tasks_per_worker:
            slot.retire()
        return answers

    def _ready_worker(self, slot: WorkerSlot) -> WorkerProcess:
        if slot.worker is not None and slot.worker.process.poll() is not None:
            slot.retire()
        if slot.worker is None:
            slot.worker = WorkerProcess.start(self._memory_mib)
            if self._prepare is not None:
                fn, argument = self._prepare
                self._open(slot.worker.ask([_packed(fn, (argument,))])[0])
        return slot.worker

    def _open(self, answer: bytes) -> Any:
        kind, value = pickle.loads(answer)
        if kind == "result":
            return value
        if kind == "error" and isinstance(value, TvdbError):
            raise value
        if kind == "memory":
            raise self._death("memory", None)
        raise codes.PARSER_STOPPED.error(kind=value)

    def _death(self, reason: str | None, returncode: int | None) -> TvdbError:
        if reason == "timeout":
            return codes.PARSE_TIMEOUT.error(seconds=self._timeout_seconds)
        if reason == "memory":
            return codes.PARSE_MEMORY.error(limit=self._memory_mib)
        if reason == "closed":
            return codes.PARSING_STOPPED.error()
        return codes.PARSER_CRASHED.error(exit=_describe_exit(returncode))

    def _watch(self) -> None:
        while not self._stopped.is_set():
            # Asleep until a task begins, so an idle pool costs nothing.
            self._busy.acquire()
            while not self._stopped.wait(_WATCH_SECONDS):
                busy = [slot.check(self._memory_mib * _MIB) for slot in self._slots]
                if not any(busy):
                    break
            while self._busy.acquire(blocking=False):
                pass
            if any(slot.is_busy for slot in self._slots):
                self._busy.release()


_handed_on: list[WorkerPool] = []


def hand_on(pool: WorkerPool) -> None:
    """Leave a pool, which may be busy, to whoever next needs one in this process.

    A run of Dagster makes its own, deep inside, and can't be given one.
    """
    _handed_on.append(pool)


def take_handed_on() -> WorkerPool | None:
    """The pool that was handed on, to be closed by the caller; None if there is none."""
    return _handed_on.pop() if _handed_on else None


def drop_handed_on(pool: WorkerPool) -> None:
    """Close a pool that was handed on, unless somebody has taken it."""
    if pool in _handed_on:
        _handed_on.remove(pool)
        pool.close(cancel=True)


def _check_importable(fn: Callable[..., Any]) -> None:
    name = getattr(fn, "__qualname__", "")
    if fn.__module__ == "__main__" or not name.isidentifier():
        raise ValueError("a task must be a function at the top of an importable module")


def _packed(fn: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
    return pickle.dumps((fn.__module__, fn.__qualname__, args), protocol=pickle.HIGHEST_PROTOCOL)


def _describe_exit(returncode: int | None) -> str:
    if returncode is None:
        return "no exit status"
    if returncode < 0:
        try:
            return f"signal {signal.Signals(-returncode).name}"
        except ValueError:
            return f"signal {-returncode}"
    return f"exit status {returncode}"
