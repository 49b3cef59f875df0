"""A refused key or an exhausted quota defers documents, in their rows and in Dagster alike.

What belongs here: real processes against paid services that refuse the account. What does not:
budgets (`test_budget_halts`), or which answer is a refusal (`embedding`).

The tests of this file run in order, because a daemon costs seconds: each takes the state that
those before it left.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from tvdb_assets.models import Stage
from tvdb_assets_tests.integration.budget_halts import (
    BudgetHaltProject,
    backfill_status,
    is_idle,
    new_database,
    resumed,
    ticks,
)
from tvdb_assets_tests.paid_apis import Behaviour, running_server

pytestmark = [
    # Dagster itself still uses pydantic's old name.
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    # Takes a minute on an idle machine and longer on a shared one.
    pytest.mark.timeout(600),
]

DOCUMENTS = 4
FIRST = "000.md"
REFUSES_ALL = Behaviour(keys=frozenset({"sk-another"}))
EVENTS = (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE)


@pytest.fixture(scope="module")
def project(
    server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BudgetHaltProject]:
    with ExitStack() as stack:
        server = stack.enter_context(running_server(REFUSES_ALL))
        url = stack.enter_context(new_database(server_url, "refused_key"))
        made = BudgetHaltProject(tmp_path_factory.mktemp("refused"), url, server, DOCUMENTS)
        made.environment["TVDB_DAILY_COST_LIMIT"] = "5.00"
        stack.callback(made.end)
        yield made


@pytest.fixture
def instance(
    project: BudgetHaltProject, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    for name, value in project.environment.items():
        if name.startswith(("TVDB_", "DAGSTER", "OPENAI", "LLAMA")):
            monkeypatch.setenv(name, value)
    with project.instance() as opened:
        yield opened


def no_run_failed(instance: dg.DagsterInstance) -> bool:
    return {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}


def test_a_materialization_with_a_refused_key_exits_with_3(
    project: BudgetHaltProject, instance: dg.DagsterInstance
) -> None:
    project.register(instance)

    done = project.run(
        *("dagster", "asset", "materialize", "-m", "tvdb_assets.definitions"),
        *("--select", "parsed_documents*", "--partition", FIRST),
    )

    assert done.code == 3, done.output
    assert "does not accept the API key" in done.output
    assert project.statuses() == {"deferred": 1, "registered": DOCUMENTS - 1}
    assert no_run_failed(instance)
    [run] = instance.get_runs()
    assert not [e for kind in EVENTS for e in instance.all_logs(run.run_id, of_type=kind)]
    [seen] = instance.fetch_observations(dg.AssetKey(Stage.EMBEDDINGS.value), limit=5).records
    assert seen.asset_observation is not None
    assert seen.asset_observation.partition == FIRST
    assert seen.asset_observation.metadata["deferred"].value == "key_refused"
    # The free stages were completed.
    assert instance.get_materialized_partitions(dg.AssetKey(Stage.CHUNKS.value)) == {FIRST}
    assert not instance.get_materialized_partitions(dg.AssetKey(Stage.EMBEDDINGS.value))


def test_an_ingest_and_a_retry_with_a_refused_key_exit_with_3(
    project: BudgetHaltProject, instance: dg.DagsterInstance
) -> None:
    done = project.run("tvdb", "ingest", "--json", str(project.source))
    assert done.code == 3, done.output
    assert done.json["failures"] == []
    assert {d["code"] for d in done.json["deferred"]} == {"key_refused"}
    assert project.statuses() == {"deferred": DOCUMENTS}
    assert project.run("tvdb", "retry", FIRST).code == 3
    assert project.statuses() == {"deferred": DOCUMENTS}
    assert no_run_failed(instance)


@pytest.mark.full
def test_a_backfill_waits_for_the_key_and_is_completed_later(
    project: BudgetHaltProject, instance: dg.DagsterInstance
) -> None:
    new = project.add_texts(instance, 3)
    backfill_id = project.backfill(instance, new)
    project.start_daemon()
    project.until(lambda: project.waiting() == DOCUMENTS + len(new), 150)
    project.until(lambda: is_idle(instance))
    before = resumed(instance)
    # Dagster treats a backfill without an unfinished run as failed within a few seconds.
    project.until(lambda: len(ticks_since_the_last_run(instance)) > 3)
    assert backfill_status(instance, backfill_id) is BulkActionStatus.REQUESTED
    assert no_run_failed(instance)

    with project.server.lock:
        project.server.apis.behaviour = replace(REFUSES_ALL, keys=None)
    assert project.run("tvdb", "resume").code == 0

    project.until(lambda: project.statuses() == {"published": DOCUMENTS + len(new)}, 150)
    project.until(
        lambda: backfill_status(instance, backfill_id) is BulkActionStatus.COMPLETED_SUCCESS
    )
    project.until(lambda: is_idle(instance))
    assert resumed(instance) > before
    assert no_run_failed(instance)


def ticks_since_the_last_run(instance: dg.DagsterInstance) -> list[float]:
    """The times of the cost sensor's ticks since the end of the newest run."""
    [newest] = instance.get_run_records(limit=1)
    assert newest.end_time is not None
    return [tick.timestamp for tick in ticks(instance) if tick.timestamp > newest.end_time]
