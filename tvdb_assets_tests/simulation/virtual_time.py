"""An event loop whose time advances only when no task can run.

What belongs here: the clock, and the loop that moves it. What does not: what is
simulated on them (`simulated_services`).

A sleep costs nothing: when the loop would wait for a timer, the clock jumps to it instead.
What asyncio would run in a thread runs within the loop, after a delay drawn from the seed. So
the order of everything is chosen by the seed, and by nothing else.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

LONGEST_INGESTION_SECONDS = 3 * 3600.0
"""Virtual time. An ingestion that takes longer is stuck."""


class StuckError(AssertionError):
    """All tasks wait for something that can no longer happen."""


class Clock:
    """The time of one simulation. Its event loops advance it."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self.elapsed = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.elapsed)

    def seconds(self) -> float:
        """Since the epoch."""
        return self._start.timestamp() + self.elapsed

    def advance(self, seconds: float) -> None:
        self.elapsed += seconds


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on a `Clock`."""

    def __init__(self, clock: Clock, stream: random.Random) -> None:
        self._clock = clock
        self._stream = stream
        super().__init__(_JumpingSelector(clock))

    def time(self) -> float:
        return self._clock.elapsed

    def run_in_executor(
        self, executor: object, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self.create_future()
        self.call_later(self._stream.uniform(0.0001, 0.01), _run, future, func, args)
        return future


def loops(clock: Clock, seed: int) -> Callable[[], asyncio.AbstractEventLoop]:
    """Make loops that continue at the time where the last one ended."""
    stream = random.Random(seed)
    return lambda: VirtualLoop(clock, stream)


def parse_start(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _run(future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    # As a thread does, it runs to its end though nobody may wait for it any more.
    try:
        value = func(*args)
    except BaseException as error:
        if not future.cancelled():
            future.set_exception(error)
    else:
        if not future.cancelled():
            future.set_result(value)


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._latest = clock.elapsed + LONGEST_INGESTION_SECONDS

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise StuckError("nothing is scheduled, and nothing can happen")
        if timeout > 0:
            self._clock.advance(timeout)
            if self._clock.elapsed > self._latest:
                raise StuckError(f"it takes longer than {LONGEST_INGESTION_SECONDS:.0f} seconds")
        return super().select(0)
