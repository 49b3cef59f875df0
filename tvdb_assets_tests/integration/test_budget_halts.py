"""Budget halts and resumption in real processes: daemon, code server, run workers, shell.

What belongs here: the effects of a budget that users of a project see. What does not: the check of
one call (`spend_guard`), or the stages of a document (`test_walkthrough`).

The tests of this file form one sequence and run in order, because a daemon costs seconds: each
takes the state that those before it left.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from tvdb_assets.core.message_counts import counted
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

# Dagster itself still uses pydantic's old name.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    # Takes a minute on an idle machine and longer on a shared one.
    pytest.mark.timeout(600),
]

DOCUMENTS = 30
PAGES = 12
FIRST, SECOND, LAST = "000.md", "001.md", f"{DOCUMENTS - 1:03}.md"


@pytest.fixture(scope="module")
def project(
    server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BudgetHaltProject]:
    with ExitStack() as stack:
        server = stack.enter_context(running_server(Behaviour(latency_seconds=0.02)))
        url = stack.enter_context(new_database(server_url, "halts_story"))
        made = BudgetHaltProject(tmp_path_factory.mktemp("halts"), url, server, DOCUMENTS)
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


def materialize(project: BudgetHaltProject, document: str) -> tuple[int, str]:
    done = project.run(
        *("dagster", "asset", "materialize", "-m", "tvdb_assets.definitions"),
        *("--select", "parsed_documents*", "--partition", document),
        TVDB_DAILY_COST_LIMIT=f"{project.cost:f}",
    )
    return done.code, done.output


def no_run_failed(instance: dg.DagsterInstance) -> bool:
    statuses = {run.status for run in instance.get_runs()}
    return statuses == {dg.DagsterRunStatus.SUCCESS}


def test_without_a_daemon_documents_beyond_the_budget_are_deferred(
    project: BudgetHaltProject, instance: dg.DagsterInstance
) -> None:
    project.register(instance)

    code, output = materialize(project, FIRST)
    assert code == 0, output
    assert project.paid() == (project.cost, 0)

    code, output = materialize(project, SECOND)
    assert code == 3, output
    assert "1 document waits." in output
    assert "would exceed today's budget" in output
    assert "tvdb limits" in output
    assert project.paid() == (project.cost, 0)
    assert project.statuses() == {"published": 1, "deferred": 1, "registered": DOCUMENTS - 2}
    assert no_run_failed(instance)
    made = {
        stage: instance.get_materialized_partitions(dg.AssetKey(stage.value)) for stage in Stage
    }
    # The free stages were completed.
    assert made[Stage.PARSED_DOCUMENTS] == made[Stage.CHUNKS] == {FIRST, SECOND}
    assert made[Stage.EMBEDDINGS] == {FIRST}


def test_a_backfill_over_three_budget_days_completes_automatically(
    project: BudgetHaltProject, instance: dg.DagsterInstance
) -> None:
    keys = instance.get_dynamic_partitions("documents")
    backfill_id = project.backfill(instance, keys[2:])
    project.start_daemon()

    for window in (1, 2, 3):
        share = DOCUMENTS * window // 3

        def is_halted(share: int = share) -> bool:
            left = {"published": share, "deferred": DOCUMENTS - share}
            return project.statuses() == {k: n for k, n in left.items() if n} and is_idle(instance)

        project.until(is_halted, 150)
        # The amounts are exact.
        assert project.paid() == (project.limit * window, 0)
        assert project.spent_by_day() == [project.limit] * window
        project.until(lambda reported=3 * window: len(thresholds(instance)) == reported)
        if window < 3:
            project.until(lambda left=DOCUMENTS - share: waiting_events(instance, left))
            assert backfill_status(instance, backfill_id) is BulkActionStatus.REQUESTED
            project.turn_window(window)

    def is_complete() -> bool:
        return backfill_status(instance, backfill_id) is BulkActionStatus.COMPLETED_SUCCESS

    project.until(is_complete, 60)
    assert no_run_failed(instance)
    assert resumed(instance) >= 2
    # The backfill takes two runs, and the first one announced all of it before it paid.
    [first] = instance.get_run_records(
        dg.RunsFilter(tags={"dagster/backfill": backfill_id}), limit=1, ascending=True
    )
    assert f"About {DOCUMENTS // 3 - 1} of {DOCUMENTS - 2} documents fit" in log(
        instance, first.dagster_run.run_id
    )


def log(instance: dg.DagsterInstance, run_id: str) -> str:
    return "\n".join(entry.user_message for entry in instance.all_logs(run_id))


def test_a_halt_is_reported_by_the_sensor_and_by_observations(
    project: BudgetHaltProject, instance: dg.DagsterInstance
) -> None:
    assert waiting_events(instance, DOCUMENTS * 2 // 3)
    assert all(tick.error is None for tick in ticks(instance))
    assert sorted(thresholds(instance)) == sorted([50, 80, 100] * 3)


def waiting_events(instance: dg.DagsterInstance, documents: int) -> bool:
    """Whether a tick of the sensor reported this number of waiting documents."""
    message = counted(documents, "document waits", "documents wait")
    return any(f"{message}." in (t.skip_reason or "") for t in ticks(instance))


def thresholds(instance: dg.DagsterInstance) -> list[object]:
    """The thresholds that were reported as observations of the cost report."""
    seen = instance.fetch_observations(dg.AssetKey("cost_report"), limit=50).records
    reported = [record.asset_observation for record in seen]
    return [
        made.metadata["threshold_percent"].value
        for made in reported
        if made is not None and "threshold_percent" in made.metadata
    ]


def test_a_waiting_partition_has_an_observation(instance: dg.DagsterInstance) -> None:
    seen = instance.fetch_observations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("embeddings"), asset_partitions=[SECOND, LAST]),
        limit=20,
    ).records
    reported = [record.asset_observation for record in seen]
    assert {made.partition for made in reported if made is not None} == {SECOND, LAST}
    for made in reported:
        assert made is not None
        assert made.metadata["deferred"].value == "budget_exhausted"
        assert "tvdb limits" in str(made.metadata["resumes"].value)


def test_materializations_carry_costs_as_numbers(instance: dg.DagsterInstance) -> None:
    total = Decimal(0)
    records = instance.fetch_materializations(dg.AssetKey("embeddings"), limit=100).records
    assert len(records) == DOCUMENTS
    for record in records:
        assert record.asset_materialization is not None
        metadata = record.asset_materialization.metadata
        cost = metadata["cost_usd"]
        assert isinstance(cost, dg.FloatMetadataValue)
        assert isinstance(metadata["paid_requests"], dg.IntMetadataValue)
        assert isinstance(metadata["paid_tokens"], dg.IntMetadataValue)
        assert metadata["paid_requests"].value == 1
        assert cost.value
        total += Decimal(repr(cost.value))
    [paid] = {
        r.asset_materialization.metadata["cost_usd"].value
        for r in records
        if r.asset_materialization
    }
    assert paid == pytest.approx(float(total / DOCUMENTS))


def test_a_raised_limit_resumes_documents_and_a_pause_stops_running_work(
    project: BudgetHaltProject, instance: dg.DagsterInstance
) -> None:
    project.add_paid_parses(PAGES)
    done = project.run("tvdb", "ingest", "--json", str(project.source))
    assert done.code == 3, done.output
    assert f"About 0 of {PAGES} documents fit" in done.output
    assert done.json["forecasts"][0]["documents_that_fit"] == 0
    assert project.waiting() == PAGES
    before = resumed(instance)
    behaviour = project.server.apis.behaviour
    with project.server.lock:
        # One parse takes long enough for a pause between two parses.
        project.server.apis.behaviour = replace(behaviour, latency_seconds=1.0)

    raised = project.run("tvdb", "limits", "--daily", "1", "--json")
    assert raised.code == 0, raised.output
    answered = time.time()
    project.until(lambda: resumed(instance) > before)
    # Within one tick: each tick that began after the end of the command found work.
    late = [tick for tick in ticks(instance) if tick.timestamp > answered]
    assert not [tick for tick in late if re.search("documents? waits?", tick.skip_reason or "")]
    project.until(lambda: project.submitted() > 0)
    paused = project.run("tvdb", "pause", "--json")
    assert paused.code == 0, paused.output
    project.until(lambda: is_idle(instance))

    assert 0 < project.submitted() < PAGES
    assert project.waiting() == PAGES
    assert project.reserved_after_the_newest_change() <= 1
    with project.server.lock:
        project.server.apis.behaviour = behaviour
    assert project.run("tvdb", "resume").code == 0
    project.until(lambda: project.statuses() == {"published": DOCUMENTS + PAGES})
    project.until(lambda: is_idle(instance))
    assert no_run_failed(instance)
    # Documents that were parsed before the pause were not parsed again.
    assert project.submitted() == PAGES
    assert project.paid()[1] == 0
    changes = raised.json["changes"] + paused.json["changes"]
    assert [(made["kind"], bool(made["changed_by"])) for made in changes] == [
        ("daily_usd", True),
        ("is_paused", True),
        ("daily_usd", True),
    ]
    # The pause records the run that was active.
    assert len(paused.json["changes"][0]["run_ids"]) == 1


@pytest.mark.full
def test_an_ingest_completes_the_backfill_of_its_documents(
    project: BudgetHaltProject, instance: dg.DagsterInstance
) -> None:
    assert project.run("tvdb", "pause").code == 0
    backfill_id = project.backfill(instance, project.add_texts(instance, 2))
    project.until(lambda: project.waiting() == 2)
    project.until(lambda: is_idle(instance))
    # Without a daemon, only the ingest resumes them.
    project.kill_daemon()
    assert project.run("tvdb", "resume").code == 0

    done = project.run("tvdb", "ingest", "--json", str(project.source))

    assert done.code == 0, done.output
    assert done.json["documents"]["published"] == 2
    project.start_daemon()
    project.until(
        lambda: backfill_status(instance, backfill_id) is BulkActionStatus.COMPLETED_SUCCESS
    )
    assert no_run_failed(instance)
