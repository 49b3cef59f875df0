"""A limit on the processor time of a piece of Python code, which is interrupted at its end.

What belongs here: the timer and its exception. What does not: the time limit of a whole task, at
which its process is killed (`parsing.worker_pool`).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN_SECONDS = 0.2
"""A library may swallow the exception, so it is raised again."""


class DeadlineExceeded(BaseException):
    """The code took longer than it may."""


@contextmanager
def cpu_deadline(seconds: float) -> Iterator[None]:
    """Interrupt the block after so many seconds of processor time of this process.

    Python code and regular expressions are interrupted at once, C code when it returns. Outside of
    the main thread, where signals can't be handled, the block is not interrupted.

    Raises:
        DeadlineExceeded: the block took longer.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise DeadlineExceeded

    former = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, former)
