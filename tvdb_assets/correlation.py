"""Ids of runs and requests, and everything that is derived from them.

What belongs here: the id of a run, the part that each request adds to it, and their form in a
request header and in a trace. What does not: the code that stores or sends them.

One id finds everything: the id of a Dagster run, or a new id of the same form for work outside of
Dagster. Each paid or free request adds a part, so that a line in a provider's log identifies the
run and the ledger entry without a lookup table.
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
    """A new id in the format of Dagster's run ids: a random UUID."""
    return str(uuid4())


def new_part() -> UUID:
    """The part that a call, an attempt or a request adds to the id of its run."""
    return uuid4()


def current_run_id() -> str | None:
    """The id that the current work carries; None outside of any `run_scope`."""
    return _current.get()


@contextmanager
def run_scope(run_id: str) -> Iterator[str]:
    """Let all work in the block carry this id, unless it receives another one explicitly."""
    token = _current.set(run_id)
    try:
        yield run_id
    finally:
        _current.reset(token)


def request_id(run_id: str, part: UUID) -> str:
    """What is sent as ``X-Client-Request-Id``: the run's id, a dot, and the request's own part."""
    # A run id that a caller chose may contain characters that a header can't.
    run = re.sub(r"[^!-~]", "_", run_id)[:_HEADER_BYTES]
    return f"{run}.{part}"


def part_of(client_request_id: str) -> UUID | None:
    """The part of a request id; None if this package did not create the id."""
    found = _PART.match(client_request_id)
    return UUID(found["part"]) if found else None


def trace_id(run_id: str) -> int:
    """The 128-bit trace id of a run: its own id if that is a UUID, else a hash."""
    try:
        return UUID(run_id).int
    except ValueError:
        return int.from_bytes(sha256(run_id.encode()).digest()[:16])


def span_id(run_id: str, *names: str) -> int:
    """The 64-bit id of a span. Every process derives the same id, so a child can name its parent.

    Args:
        run_id: id of the run.
        names: subject of the span: nothing for the run itself, a stage, or a stage and a document.
    """
    digest = sha256("\0".join((run_id, *names)).encode()).digest()
    return int.from_bytes(digest[:8]) or 1
