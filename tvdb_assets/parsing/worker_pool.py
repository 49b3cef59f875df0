"""A pool of worker processes with a time limit and a memory limit per task.

What belongs here: the parent's side: the queue, the limits, the error for a dead worker. What does
not: the tasks (`parsing.parse_tasks`), one process (`parsing.worker_process`), the set-up within
the child (`parsing.worker_main`).

Each thread runs one task at a time in a parser, a process that a fork server forks for it and that
ends with it. Tasks that may share a process (`parsing.parse_isolation`) are sent to one parser per
thread, several at once where they were submitted together; if it dies, they are repeated one by
one, so only the task that kills it fails. One more thread watches the time and the memory of busy
parsers. The server is started with `subprocess`, never by fork alone and never with the parent's
``__main__``, so threads and gRPC in the parent do not matter.
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
from tvdb_assets.parsing.parse_isolation import TaskTraits, traits_of
from tvdb_assets.parsing.reply_checks import check_result
from tvdb_assets.parsing.worker_process import (
    ForkServer,
    ParserProcess,
    ReplyTooLargeError,
    WorkerSlot,
)
from tvdb_assets.parsing.worker_replies import (
    OutOfMemoryError,
    OwnProcessRequestedError,
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
            workers: Maximum number of tasks at a time.
            timeout_seconds: Time limit of one task.
            memory_mib: Limit of the resident memory of one process in MiB.
            tasks_per_worker: Number of tasks after which a shared process is replaced.
            prepare: A module-level function and its argument, for the set-up of the processes.
            modules: The modules of the tasks. They are imported before anything is confined.
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
        self._server: ForkServer | None = None
        self._server_lock = threading.Lock()
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
        workers = {worker for slot in self._slots for worker in (slot.worker, slot.shared)}
        return tuple(worker.process_id for worker in workers if worker is not None)

    def confinement(self) -> Confinement:
        """Which protections hold for the workers of this machine; may start one to see.

        Raises:
            ServiceError: no worker can be started.
        """
        if self.observed_confinement is None:
            was_started = self._server is not None
            self._forked(TaskTraits()).end()
            if not was_started:
                self._end_server()
        assert self.observed_confinement is not None
        return self.observed_confinement

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
        self._end_server()

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
        slot.retire(shared=True)

    def _complete(self, slot: WorkerSlot, tasks: _Tasks) -> None:
        """Run tasks and set the result or the error of each future."""
        shared = [task for task in tasks if traits_of(task[1], task[2]).may_share]
        for task in tasks:
            if task not in shared:
                self._complete_alone(slot, task)
        if shared:
            self._complete_shared(slot, shared)

    def _complete_shared(self, slot: WorkerSlot, tasks: _Tasks) -> None:
        """Run tasks in a parser that parses others too; move those out that may not share it."""
        try:
            outcomes = self._run(slot, tasks, is_shared=True)
        except BaseException as error:
            if isinstance(error, ParseError) and len(tasks) > 1:
                # One of them killed the parser, or all together exceeded the time limit.
                for task in tasks:
                    self._complete_shared(slot, [task])
                return
            for future, _, _ in tasks:
                future.set_exception(error)
            return
        for task, outcome in zip(tasks, outcomes, strict=True):
            if isinstance(outcome, OwnProcessRequestedError):
                self._complete_alone(slot, task)
            else:
                _settle(task[0], outcome)

    def _complete_alone(self, slot: WorkerSlot, task: _Task) -> None:
        """Run a task in its own parser."""
        try:
            (outcome,) = self._run(slot, [task], is_shared=False)
            if isinstance(outcome, OwnProcessRequestedError):
                outcome = codes.REPLY_INVALID.error(why="kind")
        except BaseException as error:
            outcome = error
        _settle(task[0], outcome)

    def _run(self, slot: WorkerSlot, tasks: _Tasks, *, is_shared: bool) -> list[Any]:
        """The outcomes of tasks in one parser: results and errors.

        Raises:
            ParseError: the parser died or was killed, or a reply is not valid. Then none of its
                replies is used.
        """
        messages = [_pickled_task(fn, args) for _, fn, args in tasks]
        traits = [traits_of(fn, args) for _, fn, args in tasks]
        for is_last_attempt in (False, True):
            worker = self._parser(slot, traits[0], is_shared=is_shared)
            slot.begin(self._timeout_seconds + max(each.extra_seconds for each in traits))
            self._busy.release()
            replies, is_valid = None, False
            try:
                replies = worker.ask(messages, _most_reply_bytes(traits))
                outcomes = [
                    self._outcome(fn, args, reply)
                    for (_, fn, args), reply in zip(tasks, replies, strict=True)
                ]
                is_valid = True
            except ReplyTooLargeError:
                raise self._error_of_death("memory", None) from None
            except ReplyError as error:
                raise codes.REPLY_INVALID.error(why=str(error)) from None
            except (EOFError, OSError):
                pass  # it died
            finally:
                reason = slot.end()
                returncode = None
                worker.tasks += len(tasks)
                is_worn = worker.tasks >= self._tasks_per_worker
                if not is_shared or not is_valid or reason is not None or is_worn:
                    returncode = slot.retire(shared=is_shared)
            if is_valid and reason is None:
                return outcomes
            if reason is not None or is_last_attempt or worker.server.is_alive:
                break
            # The server was killed, and its parsers with it: no document did that.
        raise self._error_of_death(reason, returncode)

    def _parser(self, slot: WorkerSlot, traits: TaskTraits, *, is_shared: bool) -> ParserProcess:
        """The parser of the slot's next tasks, forked if there is none."""
        if is_shared and slot.shared is not None:
            if slot.shared.is_ready:
                slot.worker = slot.shared
                return slot.shared
            slot.worker = slot.shared
            slot.retire(shared=True)
        worker = self._forked(traits, is_shared=is_shared)
        slot.worker = worker
        if is_shared:
            slot.shared = worker
        return worker

    def _forked(self, traits: TaskTraits, *, is_shared: bool = False) -> ParserProcess:
        with self._server_lock:
            if self._server is not None and not self._server.is_alive:
                self._server.end()
                self._server = None
            if self._server is None:
                self._server = ForkServer.start(self._memory_mib, self._modules)
                if self._prepare is not None:
                    self._server.prepare(*self._prepare)
            server = self._server
        worker = server.fork(self._memory_mib, traits.media_types, is_shared=is_shared)
        self.observed_confinement = worker.confinement
        return worker

    def _end_server(self) -> None:
        with self._server_lock:
            server, self._server = self._server, None
        if server is not None:
            server.end()

    def _outcome(self, fn: Callable[..., Any], args: tuple[Any, ...], reply: memoryview) -> Any:
        """The result of a task, or its error.

        Raises:
            ReplyError: the reply is not valid.
        """
        try:
            result = decode(fn, reply)
            check_result(fn, args, result)
            return result
        except ValueError as error:
            raise ReplyError(str(error)) from None
        except (DocumentError, OwnProcessRequestedError) as error:
            return error
        except OutOfMemoryError:
            return self._error_of_death("memory", None)
        except TaskFailedError as error:
            return codes.PARSER_STOPPED.error(kind=str(error))

    def _error_of_death(self, reason: str | None, returncode: int | None) -> TvdbError:
        if reason == "timeout":
            return codes.PARSE_TIMEOUT.error(seconds=self._timeout_seconds)
        if reason == "memory":
            return codes.PARSE_MEMORY.error(limit=self._memory_mib)
        if reason == "files":
            return codes.PARSER_FILLS_DISK.error()
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


def _most_reply_bytes(traits: Sequence[TaskTraits]) -> int | None:
    """Most bytes of the replies of tasks with these traits."""
    total = 0
    for each in traits:
        if each.most_reply_bytes is None:
            return None
        total += each.most_reply_bytes
    return total


def _settle(future: Future[Any], outcome: Any) -> None:
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


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
