"""Lets Dagster retry a run that lost its database, and no other run whose step failed.

What belongs here: the choice of these runs. What does not: runs whose process was killed, which
``dagster.yaml`` lets Dagster retry, or the retries of a paid call (`spend_guard.retry_policy`).

A failed step is not repeated, because the failure of each document is recorded. But if the database
was restarted, nothing is recorded and no document is at fault. Such a run gets a tag, by which
Dagster starts it again. It continues with what is not stored yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import stamina
from sqlalchemy.exc import DBAPIError, OperationalError

from tvdb_assets import error_codes as codes
from tvdb_assets.dagster import compat
from tvdb_assets.errors import TvdbError
from tvdb_assets.repositories.database import is_connection_lost

WAIT_SECONDS = 120.0
"""How long a failing run waits for the database. Without it, the failure can't be stored either."""
_LOST = frozenset({codes.DATABASE_LOST.code, codes.DATABASE_UNREACHABLE.code})


@contextmanager
def retried_if_database_is_lost(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Run the block; if it lost its database, Dagster retries the run."""
    if context.run.tags.get(compat.RETRY_ON_FAILURE_TAG) == "true":
        # Dagster copies the tag to a retry, which may fail for another reason.
        context.instance.add_run_tags(context.run.run_id, {compat.RETRY_ON_FAILURE_TAG: "false"})
    try:
        yield
    except Exception as error:
        if is_lost_database(error):
            _request_retry(context.instance, context.run.run_id)
        raise


def is_lost_database(error: Exception) -> bool:
    """Whether an error of our database or of Dagster's storage shows that a connection broke."""
    if isinstance(error, TvdbError):
        return error.code in _LOST
    if isinstance(error, DBAPIError):
        # A server that is starting refuses a new connection, which invalidates none.
        return error.connection_invalidated or isinstance(error, OperationalError)
    return is_connection_lost(error)


def _request_retry(instance: dg.DagsterInstance, run_id: str) -> None:
    for attempt in stamina.retry_context(
        on=DBAPIError, attempts=None, timeout=WAIT_SECONDS, wait_initial=0.5, wait_max=5.0
    ):
        with attempt:
            instance.add_run_tags(run_id, {compat.RETRY_ON_FAILURE_TAG: "true"})
