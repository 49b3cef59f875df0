"""Real processes for tests that race and kill: cheap to start, and nothing shared with pytest.

What belongs here: starting them and seeing how they ended. What does not: what they do. They
come from a fork server that has imported the package once, so that hundreds can be killed; it
is a separate interpreter, without pytest's threads.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

KILLED = -signal.SIGKILL
_LONGEST_WAIT_SECONDS = 600
"""The time limit of a test is lower; a machine that is busy does not fail a test earlier."""
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tvdb_assets_tests.spend_guard.preloaded_processes"])


def start(target: Callable[..., Any], *arguments: Any) -> BaseProcess:
    """Run a module-level function in a new process; what it returns is lost."""
    process = _CONTEXT.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """Wait for a process; returns its exit code, `KILLED` for one that was killed."""
    process.join(_LONGEST_WAIT_SECONDS)
    assert process.exitcode is not None, "it never ended"
    return process.exitcode


class Crew:
    """Processes that do one task after the other, all of them at once."""

    def __init__(self, target: Callable[[Any], Any], size: int) -> None:
        """Each process calls ``target`` with each task, and sends the result."""
        self._target = target
        self.members = [self._hired() for _ in range(size)]

    def run(self, tasks: Sequence[Any], first: int = 0) -> list[Any]:
        """Give processes a task each, from the ``first`` on; returns what they made, in order."""
        numbers = range(first, first + len(tasks))
        for number, task in zip(numbers, tasks, strict=True):
            self.send(number, task)
        return [self.answer(number) for number in numbers]

    def send(self, number: int, task: Any) -> None:
        """Give one process a task, and do not wait for it."""
        self.members[number][1].send(task)

    def kill(self, number: int) -> None:
        """SIGKILL, then wait until it is gone."""
        process, pipe = self.members[number]
        process.kill()
        assert ended(process) == KILLED
        pipe.close()

    def replace(self, number: int) -> None:
        """Replace a process that has ended."""
        self.members[number] = self._hired()

    def is_done(self, number: int, seconds: float = _LONGEST_WAIT_SECONDS) -> bool:
        """Whether a process has answered, or died, within so many seconds."""
        process, pipe = self.members[number]
        return bool(wait([pipe, process.sentinel], seconds))

    def answer(self, number: int) -> Any:
        """What a process made of its task.

        Raises:
            EOFError: it died.
        """
        assert self.is_done(number), "it never answered"
        answer = self.members[number][1].recv()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _hired(self) -> tuple[BaseProcess, Connection]:
        here, there = _CONTEXT.Pipe()
        process = start(_serve, there, self._target)
        there.close()
        return process, here

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exc: object) -> None:
        for process, pipe in self.members:
            if process.is_alive():
                process.kill()
            process.join()
            pipe.close()


def _serve(pipe: Connection, target: Callable[[Any], Any]) -> None:
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            answer = target(task)
        except Exception as error:
            answer = error
        pipe.send(answer)
