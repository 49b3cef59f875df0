"""Ids of runs and requests, and the values derived from them.

What belongs here: the id of a run, the part that each request adds to it, and their form in a
request header and in a trace. What does not: the code that stores or sends them.

One id identifies all records of a run: the id of the Dagster run, or a new id of the same format
for work outside of Dagster. Each paid or free request adds a part, so that a line in a provider's
log identifies the run and the ledger entry without a lookup table.
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
    """Create an id in the format of Dagster's run ids: a random UUID."""
    return str(uuid4())


def new_part() -> UUID:
    """Create the part that a call, an attempt or a request adds to the id of its run."""
    return uuid4()


def current_run_id() -> str | None:
    """The run id of the current `run_scope`; None outside of a scope."""
    return _current.get()


@contextmanager
def run_scope(run_id: str) -> Iterator[str]:
    """Set the run id of all work in the block, unless the work receives another id explicitly."""
    token = _current.set(run_id)
    try:
        yield run_id
    finally:
        _current.reset(token)


def request_id(run_id: str, part: UUID) -> str:
    """The value of ``X-Client-Request-Id``: the run's id, a dot and the part of the request."""
    # A run id that a caller chose may contain characters that a header can't.
    run = re.sub(r"[^!-~]", "_", run_id)[:_HEADER_BYTES]
    return f"{run}.{part}"


def part_of(client_request_id: str) -> UUID | None:
    """Extract the part from a request id; None if this package did not create the id."""
    found = _PART.match(client_request_id)
    return UUID(found["part"]) if found else None


def service_request_id(name: str | None) -> str | None:
    """A service's own name for a request, as far as it is stored: an index takes no long text."""
    return name and name.replace("\0", "")[:_HEADER_BYTES]


def trace_id(run_id: str) -> int:
    """The 128-bit trace id of a run: its own id if that is a UUID, else a hash."""
    try:
        return UUID(run_id).int
    except ValueError:
        return int.from_bytes(sha256(run_id.encode()).digest()[:16])


def span_id(run_id: str, *names: str) -> int:
    """The 64-bit id of a span, which is the same in every process, so a child can name its parent.

    Args:
        run_id: id of the run.
        names: the subject of the span: no name for the run, a stage, or a stage and a document.
    """
    digest = sha256("\0".join((run_id, *names)).encode()).digest()
    return int.from_bytes(digest[:8]) or 1
