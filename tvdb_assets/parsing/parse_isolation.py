"""Which documents may share a parser process, and which need one of their own.

What belongs here: that decision, in the parent by the name and in a parser by the content. What
does not: the processes (`parsing.worker_pool`), or a format's own statement (`is_memory_safe`).

A document that takes over its parser can falsify each document that the same process parses later.
So a process parses one document and ends. A fork and the end of the process take 5 to 10 ms of a
processor, which is little next to a PDF and as much as a page of Markdown takes. Formats that are
read without C code, which nobody takes over by bytes, therefore share a process: text, Markdown,
CSV, JSON, subtitles. A document whose content is of another kind than its name says is refused
there before any C code reads it, and then gets its own process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_is_shared: ContextVar[bool] = ContextVar("is_shared", default=False)


class OwnProcessNeededError(Exception):
    """This document may not be parsed by a process that parses others too."""


@contextmanager
def sharing_process(is_shared: bool) -> Iterator[None]:
    """State whether this process parses other documents too."""
    token = _is_shared.set(is_shared)
    try:
        yield
    finally:
        _is_shared.reset(token)


def require_own_process() -> None:
    """Call it before code that is not memory-safe sees the bytes of a document.

    Raises:
        OwnProcessNeededError: this process parses other documents too.
    """
    if _is_shared.get():
        raise OwnProcessNeededError


@dataclass(frozen=True, slots=True)
class TaskTraits:
    """What a task needs of its process."""

    may_share: bool = False
    """Whether the process may run other tasks too."""
    media_types: tuple[str, ...] = ()
    """The libraries for these are loaded before the process is forked."""
    extra_seconds: float = 0.0
    """Added to the time limit, for the OCR of a long scan."""
    most_reply_bytes: int | None = None
    """Most bytes of its reply; None where only the memory limit bounds it."""


_registered: dict[Callable[..., Any], Callable[..., TaskTraits]] = {}


def register_traits(task: Callable[..., Any], traits: Callable[..., TaskTraits]) -> None:
    """State what a task needs by its arguments; otherwise it gets its own process."""
    _registered[task] = traits


def traits_of(task: Callable[..., Any], args: tuple[Any, ...]) -> TaskTraits:
    """What a task with these arguments needs of its process."""
    traits = _registered.get(task)
    return traits(*args) if traits is not None else TaskTraits()
