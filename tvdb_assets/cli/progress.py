"""The progress of the commands that process documents: a bar on a terminal, else lines.

What belongs here: the display, and what an interrupted command says. What does not: the numbers
(`reporting.run_progress`), or the summary at the end (`run_summary`).
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tvdb_assets.cli.output import PrintingConsole, notices
from tvdb_assets.core.message_counts import counted
from tvdb_assets.reporting.run_progress import RunProgress

_BAR_SECONDS = 0.5
_LINE_SECONDS = 10.0
_MAX_SHARE = 20
"""Reading the numbers takes at most one part in this many of the time."""


@contextmanager
def progress(read: Callable[[], RunProgress], *, is_quiet: bool) -> Iterator[Callable[[int], None]]:
    """Display the progress: a bar on a terminal, else a line every ten seconds.

    Args:
        read: the progress of this command's runs.
        is_quiet: display nothing, except how far an interrupted command came.

    Yields:
        A function that takes the number of documents to process, and starts the display.
    """
    display = _Display(read)
    with display:
        try:
            yield display.start_quietly if is_quiet else display.start
        except KeyboardInterrupt:
            display.stop()
            done, total = read().documents - display.before, display.total
            notices.print(
                f"Interrupted: {done:,} of {counted(total, 'document')} "
                f"{'is' if total == 1 else 'are'} done and stored. The same command continues with "
                "the rest.",
                markup=False,
            )
            raise


class _Display:
    """The bar or the lines of one command."""

    def __init__(self, read: Callable[[], RunProgress]) -> None:
        self._read = read
        self._is_over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._resources = ExitStack()
        self._started_at = 0.0
        self.before = 0
        self.total = 0

    def __enter__(self) -> None:
        self.before = self._read().documents
        # Dagster redirects the descriptor of stderr while a step runs. Through a copy of it, the
        # bar stays on the terminal, and out of the log of the step.
        self._console = self._resources.enter_context(_copy_of_stderr())
        self._bar = Progress(
            TextColumn("Documents"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[details]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self._console,
            transient=True,
            expand=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, details="")

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._resources.close()

    def start_quietly(self, documents: int) -> None:
        self.total = documents

    def start(self, documents: int) -> None:
        self.total = documents
        self._started_at = time.monotonic()
        self._bar.update(self._task, total=documents)
        if documents:
            self._bar.start()
            self._watcher.start()

    def stop(self) -> None:
        self._is_over.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._bar.stop()

    def _watch(self) -> None:
        interval = least = _BAR_SECONDS if self._console.is_terminal else _LINE_SECONDS
        while not self._is_over.wait(interval):
            asked_at = time.monotonic()
            now = self._read()
            interval = max(least, _MAX_SHARE * (time.monotonic() - asked_at))
            done = now.documents - self.before
            details = f"{counted(now.pages, 'page')} ${now.usd:,.4f}"
            self._bar.update(self._task, completed=done, details=details)
            if not self._console.is_terminal:
                self._console.print(self._line(done, now), markup=False)

    def _line(self, done: int, now: RunProgress) -> str:
        text = f"{done:,} of {counted(self.total, 'document')} done, "
        text += f"{counted(now.pages, 'page')}, ${now.usd:,.4f}"
        if not 0 < done < self.total:
            return f"{text}."
        left = (time.monotonic() - self._started_at) / done * (self.total - done)
        return f"{text}, about {_duration(left)} left."


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@contextmanager
def _copy_of_stderr() -> Iterator[Console]:
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (OSError, io.UnsupportedOperation):  # a stream of a test or a notebook
        yield notices
        return
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
        yield PrintingConsole(file=stream, highlight=False, soft_wrap=not stream.isatty())
