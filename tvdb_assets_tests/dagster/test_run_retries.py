"""A run that lost its database is retried by Dagster, and no other run whose step failed."""

from typing import Any

import dagster as dg
import psycopg
import pytest

from tvdb_assets import error_codes as codes
from tvdb_assets.dagster.compat import RETRY_ON_FAILURE_TAG
from tvdb_assets.dagster.run_retries import retried_if_database_is_lost


def retry_tag(error: Exception, tags: dict[str, str]) -> str | None:
    """The tag of a run whose step ended with an error."""

    @dg.op
    def step(context: dg.OpExecutionContext) -> None:
        with retried_if_database_is_lost(context):  # type: ignore[arg-type]
            raise error

    @dg.job
    def job() -> None:
        step()

    with dg.DagsterInstance.ephemeral() as instance:
        result: Any = job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)
        assert not result.success
        run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run.tags.get(RETRY_ON_FAILURE_TAG)


@pytest.mark.parametrize(
    "error",
    [codes.DATABASE_LOST.error(kind="OperationalError"), psycopg.OperationalError("closed")],
)
def test_a_run_that_lost_its_database_is_retried(error: Exception) -> None:
    assert retry_tag(error, {}) == "true"


@pytest.mark.parametrize(
    "error",
    [dg.Failure("1 of 2 documents failed"), codes.DATABASE_RIGHTS.error(kind="x"), KeyError("x")],
)
def test_a_run_that_failed_otherwise_is_not_retried(error: Exception) -> None:
    assert retry_tag(error, {}) is None
    # Dagster copies the tag of a run to the run that retries it.
    assert retry_tag(error, {RETRY_ON_FAILURE_TAG: "true"}) == "false"
