"""Ids: the one place that makes them, and all that is derived from them.

What belongs here: the id of a run, the part that each call adds to it, and the forms in which
they travel: a request header, a trace. What does not: who carries them.

One id finds everything: a Dagster run's own id, or, for work outside of Dagster, a fresh one of
the same form. Each paid or free request adds a part, so that the line in a provider's log leads
back to run and ledger entry without any table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import sha256
from uuid import UUID, uuid4

_current: ContextVar[str | None] = ContextVar("tvdb_run_id", default=None)
_HEADER_BYTES = 200
_PART = re.compile(r"^(?P<run>.+)\.(?P<part>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})$")


def new_run_id() -> str:
    """An id for work that has none yet, as Dagster makes them: a random UUID."""
    return str(uuid4())


def new_part() -> UUID:
    """What one call, attempt or request adds to its run's id."""
    return uuid4()


def current() -> str | None:
    """The id that this work is under, if somebody has given it one."""
    return _current.get()


@contextmanager
def run_scope(run_id: str) -> Iterator[str]:
    """Have all that is done in the block carry this id, where it is given no other."""
    token = _current.set(run_id)
    try:
        yield run_id
    finally:
        _current.reset(token)


def request_id(run_id: str, part: UUID) -> str:
    """What is sent as ``X-Client-Request-Id``: the run's id, a dot, and the request's own part."""
    # A run id that a caller chose may hold what no header can.
    run = re.sub(r"[^!-~]", "_", run_id)[:_HEADER_BYTES]
    return f"{run}.{part}"


def part_of(client_request_id: str) -> UUID | None:
    """The part of a request id that was sent; None where it is none of ours."""
    found = _PART.match(client_request_id)
    return UUID(found["part"]) if found else None


def trace_id(run_id: str) -> int:
    """The 128 bits of the run's trace: those of its id, where that is a UUID."""
    try:
        return UUID(run_id).int
    except ValueError:
        return int.from_bytes(sha256(run_id.encode()).digest()[:16])


def span_id(run_id: str, *names: str) -> int:
    """The 64 bits of a span, the same in every process: what a child needs to name its parent.

    Args:
        run_id: of the run.
        names: what the span is about: nothing for the run itself, a stage, a stage and a document.
    """
    digest = sha256("\0".join((run_id, *names)).encode()).digest()
    return int.from_bytes(digest[:8]) or 1
