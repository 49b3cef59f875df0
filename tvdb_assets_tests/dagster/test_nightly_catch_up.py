"""Due documents: requested by the schedule, by jobs, by commands, and by several at once."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from click.testing import CliRunner
from dagster._core.definitions.run_request import RunRequest

from tvdb_assets.cli import tvdb
from tvdb_assets.dagster.reconciler import paid_services_are_available
from tvdb_assets.definitions import defs
from tvdb_assets.spend_guard.service_state_store import ServiceStates
from tvdb_assets_tests.dagster.project import TEXTS, Project
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

# Dagster itself still uses pydantic's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")


def test_a_catch_up_requests_stale_documents_and_those_that_dagster_does_not_show(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run(project.tick())
    assert project.catch_up_tick() == [], "nothing due, no run"
    with project.database.transaction() as tx:
        tx.execute(
            "DELETE FROM dagster.event_logs WHERE partition = '4.md' AND asset_key = '[\"chunks\"]'"
        )
    assert project.run(project.catch_up_tick()) == ["4.md"]
    assert project.catch_up_tick() == []
    monkeypatch.setenv("TVDB_CHUNK_TOKENS", "32")
    monkeypatch.setenv("TVDB_CHUNK_OVERLAP_TOKENS", "0")
    assert project.tick() == [], "a large change waits for the schedule"
    monkeypatch.setenv("TVDB_RUN_PARTITIONS", "4")
    requests = project.catch_up_tick()
    assert len(requests) == 2
    assert sorted(project.run(requests)) == sorted(TEXTS)
    assert project.catch_up_tick() == []


def test_two_catch_ups_and_an_intake_at_the_same_time_request_each_document_once(
    project: Project,
) -> None:
    barrier = threading.Barrier(3)
    asked: list[list[RunRequest]] = []
    # Files must be registered before a catch-up can find them missing.
    first = project.tick()
    with project.database.transaction() as tx:
        tx.execute("UPDATE tvdb.documents SET run_requested_at = NULL")
    assert len(first) == 1

    def at_once(plan: object) -> None:
        barrier.wait()
        assert callable(plan)
        asked.append(plan())

    threads = [
        threading.Thread(target=at_once, args=(plan,))
        for plan in (project.catch_up_tick, project.catch_up_tick, project.tick)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 3
    covered = [key for requests in asked for key in project.covered(requests)]
    assert sorted(covered) == sorted(TEXTS)


def test_a_job_requests_failed_documents_and_the_sensor_runs_them(project: Project) -> None:
    project.write("broken.pdf", "%PDF-1.7\n1 0 obj\n<< /Type /Cat")
    project.run(project.tick())
    [broken] = project.registry.find("broken.pdf")
    assert broken.quarantine == "terminal"
    assert project.tick() == []
    result = defs().resolve_job_def("retry_documents").execute_in_process(instance=project.instance)
    assert result.success
    assert project.run(project.tick()) == ["broken.pdf"]
    assert project.tick() == []
    # A file that was fixed leaves quarantine automatically.
    project.write("broken.pdf", "The text is complete again, and no PDF any more.\n")
    project.run(project.tick())
    [fixed] = project.registry.find("broken.pdf")
    assert (fixed.status, fixed.quarantine) == ("published", None)


def test_the_commands_list_due_documents_and_run_them(project: Project) -> None:
    project.write("broken.pdf", "%PDF-1.7\n1 0 obj\n<< /Type /Cat")
    project.tick()
    with project.database.transaction() as tx:
        tx.execute("UPDATE tvdb.documents SET run_requested_at = NULL")

    code, due = command("catch-up", "--dry-run")
    assert code == 0
    assert due["due"] == {"missing": len(TEXTS) + 1}
    assert {row["document"] for row in due["by_document"]} == {*TEXTS, "broken.pdf"}
    assert due["fits"] is True
    assert project.searchable() == set()

    code, done = command("catch-up")
    assert (code, done["documents"]["published"], done["documents"]["failed"]) == (1, 6, 1)
    assert project.searchable() == project.materialized() == set(TEXTS)
    assert command("catch-up") == (0, {**done, **_NOTHING, "seconds": pytest.approx(0, abs=60)})

    code, done = command("retry")
    assert (code, done["due"]) == (1, {"wanted": 1})
    assert [failure["document"] for failure in done["failures"]] == ["broken.pdf"]
    code, done = command("retry", "0.md")
    assert (code, done["due"], done["documents"]["published"]) == (0, {"wanted": 1}, 1)

    assert command("forget", "broken.pdf") == (0, {"forgotten": ["broken.pdf"]})
    assert "broken.pdf" not in project.instance.get_dynamic_partitions("documents")


_NOTHING = {
    "run_ids": [],
    "documents": dict.fromkeys(
        ("total", "published", "unchanged", "failed", "degraded", "deferred", "deleted"), 0
    ),
    "failures": [],
    "deferred": [],
    "embedded_texts": 0,
    "cached_texts": 0,
    "due": {},
}


def command(*arguments: str) -> tuple[int, dict[str, Any]]:
    """A command of `tvdb` with ``--json``: its exit code and its document."""
    result = CliRunner().invoke(tvdb, [*arguments, "--json"], catch_exceptions=False)
    said = json.loads(result.stdout)
    assert isinstance(said, dict)
    return result.exit_code, said


def test_a_degraded_document_is_retried_some_time_after_the_service_refused(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("note.md", "# Note\n\nThe boiler is serviced in autumn.\n")
    paid.apis.faults.script("unavailable", times=None)
    folder.ingest(service_mode="hybrid")
    assert folder.degraded_rows()["documents"] == 1
    states = ServiceStates(paid.database, paid.clock)
    paid.apis.faults.clear()
    paid.clock.forward(400)
    assert paid_services_are_available(states)
    paid.apis.faults.script("insufficient_quota")
    folder.ingest(service_mode="hybrid")
    assert not paid_services_are_available(states)
    # No document waits for the quota, so time alone must be enough.
    paid.clock.forward(15 * 60 + 1)
    assert paid_services_are_available(states)
