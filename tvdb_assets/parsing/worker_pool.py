"""A pool of reused worker processes with a time limit and a memory limit per task.

What belongs here: the parent's side: the queue, the limits, the error for a dead worker. What does
not: the tasks (`parsing.parse_tasks`), one process (`parsing.worker_process`), the set-up within
the child (`parsing.worker_main`).

Each worker has one thread in the parent that sends it one batch of tasks at a time. If the worker
dies, a batch of several tasks is repeated one by one, so only the task that kills a worker fails.
One more thread watches the time and the resident memory of busy workers. Children are started with
`subprocess`, never by fork alone and never with the parent's ``__main__``, so threads and gRPC in
the parent do not matter.
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
from tvdb_assets.errors import DocumentError, ParseError, TvdbError
from tvdb_assets.parsing.active_limits import apply_limits
from tvdb_assets.parsing.confinement import Confinement
from tvdb_assets.parsing.worker_process import ReplyTooLargeError, WorkerProcess, WorkerSlot
from tvdb_assets.parsing.worker_replies import (
    OutOfMemoryError,
    ReplyError,
    TaskFailedError,
    decode,
)
from tvdb_assets.settings import Settings

_P = ParamSpec("_P")
_T = TypeVar("_T")

_WATCH_SECONDS = 0.025
_MIB = 1024 * 1024

_MODULES = ("tvdb_assets.parsing.parse_tasks", "tvdb_assets.parsing.container_members")

_Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...]]
_Tasks = Sequence[_Task]
"""A batch of tasks that a worker gets at once."""


class WorkerPool:
    """Run module-level functions in worker processes; `close` it, or use it in a ``with``.

    Threads start with the first task, and each process starts when it is first needed. At the end
    of the ``with`` block the pool waits for all submitted tasks. After an exception it cancels the
    queued tasks and kills the running ones. The caller limits the number of queued tasks.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout_seconds: float = 60.0,
        memory_mib: int = 1_024,
        tasks_per_worker: int = 500,
        prepare: tuple[Callable[[Any], None], Any] | None = None,
        modules: Sequence[str] = _MODULES,
    ) -> None:
        """Start nothing yet.

        Args:
            workers: Maximum number of processes.
            timeout_seconds: Time limit of one task.
            memory_mib: Limit of the resident memory of one process in MiB.
            tasks_per_worker: Number of tasks after which a process is replaced.
            prepare: A module-level function and its argument: the first task of each process, for
                its set-up.
            modules: The modules of the tasks. A process imports them before it is confined.
        """
        self.observed_confinement: Confinement | None = None
        """The protections of the newest worker; None before the first one has started."""
        self._modules = modules
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
        """A pool with the values of the settings."""
        return cls(
            workers=settings.parse_workers,
            timeout_seconds=settings.parse_timeout_seconds,
            memory_mib=settings.parse_memory_mib,
            tasks_per_worker=settings.parse_worker_documents,
            prepare=(apply_limits, settings.document_limits),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close(cancel=kind is not None)

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Queue ``fn(*args)`` for the next free worker.

        The future ends with the result, with the `DocumentError` that ``fn`` raised, or with a
        `ParseError`: ``parse_timeout``, ``parse_memory``, ``parser_crashed``, or
        ``corrupt`` for any other exception. The return annotation of ``fn`` is the schema of its
        reply (`parsing.worker_replies`).

        Raises:
            ValueError: ``fn`` can't be found by name from another process.
            RuntimeError: the pool is closed.
        """
        if kwargs:
            raise ValueError("tasks take positional arguments only")
        _check_importable(fn)
        with self._submit_lock:
            if (submitted := self._take_early_future(fn, args)) is not None:
                return submitted
            future: Future[_T] = Future()
            self._enqueue([(future, fn, args)])
        return future

    def _enqueue(self, tasks: _Tasks) -> None:
        if self._closed:
            raise RuntimeError("the worker pool is closed")
        if not self._threads:
            self._start_threads()
        self._tasks.put(tasks)

    def _take_early_future(
        self, fn: Callable[..., Any], args: tuple[Any, ...]
    ) -> Future[Any] | None:
        """The future of a task from `submit_early`; it is returned only once."""
        if not self._early:
            return None
        try:
            return self._early.pop((fn, args), None)
        except TypeError:
            return None  # `submit_early` takes only hashable arguments.

    def submit_early(self, many: Sequence[tuple[Callable[..., Any], tuple[Any, ...]]]) -> None:
        """Start tasks before `submit` is called for them; that call then returns their future.

        A task that is never submitted is dropped when the pool is closed.

        Args:
            many: Functions with their hashable arguments. One worker gets all of them at once. Use
                it for small tasks, which take less time than the messages to the worker and back
                while this process is busy.

        Raises:
            ValueError: see `submit`.
            RuntimeError: the pool is closed.
        """
        for fn, _ in many:
            _check_importable(fn)
        with self._submit_lock:
            tasks: list[_Task] = [(Future(), fn, args) for fn, args in many]
            self._enqueue(tasks)
            self._early.update({(fn, args): future for future, fn, args in tasks})

    def process_ids(self) -> tuple[int, ...]:
        """The process ids of the living workers."""
        workers = [slot.worker for slot in self._slots]
        return tuple(worker.process.pid for worker in workers if worker is not None)

    def confinement(self) -> Confinement:
        """Which protections hold for the workers of this machine; may start one to see.

        Raises:
            ServiceError: no worker can be started.
        """
        for slot in self._slots:
            if (worker := slot.worker) is not None:
                return worker.confinement
        worker = WorkerProcess.start(self._memory_mib, self._modules)
        worker.end(kill=True)
        return worker.confinement

    def close(self, *, cancel: bool = False) -> None:
        """Finish the submitted tasks, or with ``cancel`` drop them, and end the workers."""
        with self._submit_lock:
            is_first_call, self._closed = not self._closed, True
            not_submitted = list(self._early.values())
            self._early.clear()
        if not is_first_call:
            return
        for future in not_submitted:
            future.cancel()
        if cancel:
            self._cancel_queued()
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
                target=self._run_queued_tasks, args=(slot,), name="tvdb-worker", daemon=True
            )
            self._threads.append(thread)
        self._watcher = threading.Thread(
            target=self._watch_limits, name="tvdb-watcher", daemon=True
        )
        for thread in (*self._threads, self._watcher):
            thread.start()

    def _cancel_queued(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                for future, _, _ in self._tasks.get_nowait() or ():
                    future.cancel()

    def _run_queued_tasks(self, slot: WorkerSlot) -> None:
        """Run batches of the queue in a slot's worker until the pool is closed."""
        while (queued := self._tasks.get()) is not None:
            tasks = [task for task in queued if task[0].set_running_or_notify_cancel()]
            if tasks:
                self._complete(slot, tasks)
            # Release the bytes of a finished task before waiting for the next one.
            del queued, tasks
        slot.retire()

    def _complete(self, slot: WorkerSlot, tasks: _Tasks) -> None:
        """Run tasks and set the result or the error of each future."""
        try:
            replies = self._run(slot, [_pickled_task(fn, args) for _, fn, args in tasks])
            outcomes = self._outcomes(slot, tasks, replies)
        except BaseException as error:
            if isinstance(error, ParseError) and len(tasks) > 1:
                # One of them killed the worker, or all together exceeded the time limit.
                for task in tasks:
                    self._complete(slot, [task])
                return
            for future, _, _ in tasks:
                future.set_exception(error)
            return
        for (future, _, _), (result, failure) in zip(tasks, outcomes, strict=True):
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(result)

    def _outcomes(
        self, slot: WorkerSlot, tasks: _Tasks, replies: Sequence[memoryview]
    ) -> list[tuple[Any, TvdbError | None]]:
        """The result or the error of each task.

        Raises:
            ParseError: a reply is not valid. Then none of this worker's replies is used.
        """
        try:
            return [
                self._outcome(fn, reply) for (_, fn, _), reply in zip(tasks, replies, strict=True)
            ]
        except ReplyError as error:
            slot.retire(kill=True)
            raise codes.REPLY_INVALID.error(why=str(error)) from None

    def _run(self, slot: WorkerSlot, tasks: Sequence[bytes]) -> Sequence[memoryview]:
        """The replies of a worker to these pickled tasks, not checked yet."""
        worker = self._running_worker(slot)
        slot.begin(self._timeout_seconds)
        self._busy.release()
        try:
            replies = worker.ask(tasks)
        except ReplyTooLargeError:
            slot.retire(kill=True)
            raise self._error_of_death("memory", None) from None
        except ReplyError as error:
            slot.retire(kill=True)
            raise codes.REPLY_INVALID.error(why=str(error)) from None
        except (EOFError, OSError):
            replies = None
        finally:
            reason = slot.end()
        if replies is None or reason is not None:
            slot.retire(kill=True)
            raise self._error_of_death(reason, worker.process.returncode)
        worker.tasks += len(tasks)
        if worker.tasks >= self._tasks_per_worker:
            slot.retire()
        return replies

    def _running_worker(self, slot: WorkerSlot) -> WorkerProcess:
        """The slot's worker; a new one if there is none or it has died."""
        if slot.worker is not None and slot.worker.process.poll() is not None:
            slot.retire()
        if slot.worker is None:
            slot.worker = WorkerProcess.start(self._memory_mib, self._modules)
            self.observed_confinement = slot.worker.confinement
            if self._prepare is not None:
                fn, argument = self._prepare
                decode(fn, slot.worker.ask([_pickled_task(fn, (argument,))])[0])
        return slot.worker

    def _outcome(self, fn: Callable[..., Any], reply: memoryview) -> tuple[Any, TvdbError | None]:
        """The result of a task, or its error."""
        try:
            return decode(fn, reply), None
        except DocumentError as error:
            return None, error
        except OutOfMemoryError:
            return None, self._error_of_death("memory", None)
        except TaskFailedError as error:
            return None, codes.PARSER_STOPPED.error(kind=str(error))

    def _error_of_death(self, reason: str | None, returncode: int | None) -> TvdbError:
        if reason == "timeout":
            return codes.PARSE_TIMEOUT.error(seconds=self._timeout_seconds)
        if reason == "memory":
            return codes.PARSE_MEMORY.error(limit=self._memory_mib)
        if reason == "closed":
            return codes.PARSING_STOPPED.error()
        return codes.PARSER_CRASHED.error(exit=_describe_exit(returncode))

    def _watch_limits(self) -> None:
        while not self._stopped.is_set():
            # Sleep until a task begins, so an idle pool costs nothing.
            self._busy.acquire()
            while not self._stopped.wait(_WATCH_SECONDS):
                busy = [slot.check(self._memory_mib * _MIB) for slot in self._slots]
                if not any(busy):
                    break
            while self._busy.acquire(blocking=False):
                pass
            if any(slot.is_busy for slot in self._slots):
                self._busy.release()


def _check_importable(fn: Callable[..., Any]) -> None:
    name = getattr(fn, "__qualname__", "")
    if fn.__module__ == "__main__" or not name.isidentifier():
        raise ValueError("a task must be a function at the top of an importable module")


def _pickled_task(fn: Callable[..., Any], args: tuple[Any, ...]) -> bytes:
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
