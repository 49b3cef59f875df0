"""Sensor, schedule and jobs on a real instance: what they ask for, and what comes of it.

What belongs here: ticks, evaluated as Dagster's daemon does, and the runs that they ask for,
executed. What does not: what is due (`storage.test_due`), or the daemon itself.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.definitions.run_request import RunRequest

from tvdb_assets import ingest
from tvdb_assets.automation.partitions import IN_PROCESS_TAG, DocumentPartitions
from tvdb_assets.automation.upkeep import is_well
from tvdb_assets.cli import tvdb
from tvdb_assets.definitions import defs
from tvdb_assets.models import Stage
from tvdb_assets.settings import load_settings
from tvdb_assets.storage.database import Database
from tvdb_assets.storage.deletion import Deletion
from tvdb_assets.storage.due import DueDocuments
from tvdb_assets.storage.home import dagster_instance
from tvdb_assets.storage.registry import Registry
from tvdb_assets_tests.paid_router import Paid, Shelf

pytestmark = [
    # Dagster itself still asks pydantic by the old name, and calls the old names of its own.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
_TEXTS = {f"{n}.md": f"# Note {n}\n\nThe matter of series {n} is settled.\n" for n in range(6)}


def _resources() -> dict[str, object]:
    return dict(defs().resources or {})


class Project:
    """A source, a database and an instance; what a daemon would do is done by hand."""

    def __init__(self, folder: Path, database: Database, instance: dg.DagsterInstance) -> None:
        self.documents = folder / "documents"
        self.database = database
        self.instance = instance
        self.registry = Registry(database)

    def write(self, name: str, text: str) -> None:
        """Write a file that nothing has written to for a while."""
        path = self.documents / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def tick(self) -> list[RunRequest]:
        """One tick of `document_intake`."""
        sensor = self._repository().get_sensor_def("document_intake")
        with dg.build_sensor_context(
            instance=self.instance, repository_def=self._repository(), resources=_resources()
        ) as context:
            return list(sensor.evaluate_tick(context).run_requests or [])

    def night(self) -> list[RunRequest]:
        """One tick of `nightly_catch_up`."""
        schedule = self._repository().get_schedule_def("nightly_catch_up")
        with dg.build_schedule_context(
            instance=self.instance, repository_def=self._repository(), resources=_resources()
        ) as context:
            return list(schedule.evaluate_tick(context).run_requests or [])

    def _repository(self) -> dg.RepositoryDefinition:
        return defs().get_repository_def()

    def covered(self, requests: Sequence[RunRequest]) -> list[str]:
        """The partitions of runs, in Dagster's order."""
        ordered = self.instance.get_dynamic_partitions("documents")
        keys: list[str] = []
        for request in requests:
            only = request.tags.get("dagster/partition")
            first = only or request.tags["dagster/asset_partition_range_start"]
            last = only or request.tags["dagster/asset_partition_range_end"]
            keys += ordered[ordered.index(first) : ordered.index(last) + 1]
        return keys

    def run(self, requests: Sequence[RunRequest]) -> list[str]:
        """Execute what was asked for; returns the partitions."""
        covered = self.covered(requests)
        for request in requests:
            ingest.run(self.instance, request.tags, lambda _: None)
        return covered

    def shown(self) -> set[str]:
        """The documents that search shows."""
        with self.database.transaction() as tx:
            rows = tx.execute("SELECT DISTINCT document FROM tvdb.search_index").fetchall()
        return {row[0] for row in rows}

    def materialized(self) -> set[str]:
        return self.instance.get_materialized_partitions(dg.AssetKey(Stage.EMBEDDINGS.value))


@pytest.fixture
def project(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    (tmp_path / "documents").mkdir()
    for name, value in {
        "DAGSTER_HOME": str(tmp_path / "home"),
        "TVDB_SOURCE": str(tmp_path / "documents"),
        "TVDB_DATABASE_URL": database.url,
        "TVDB_SERVICE_MODE": "local",
        "TVDB_PARSE_WORKERS": "1",
        "TVDB_INTAKE_SETTLE_SECONDS": "0",
    }.items():
        monkeypatch.setenv(name, value)
    with dagster_instance(load_settings()) as instance:
        made = Project(tmp_path, database, instance)
        for name, text in _TEXTS.items():
            made.write(name, text)
        yield made


def test_files_that_come_change_move_and_go_are_followed_by_few_runs(project: Project) -> None:
    first = project.tick()
    assert len(first) == 1
    assert sorted(project.covered(first)) == sorted(_TEXTS)
    # Until the runs have come and gone, nothing is asked for twice.
    assert project.tick() == []
    assert project.night() == []
    project.run(first)
    assert project.shown() == project.materialized() == set(_TEXTS)
    assert project.tick() == []

    # Far apart in Dagster's order, and one run all the same.
    project.write("0.md", "# Note 0\n\nIt reads otherwise now.\n")
    project.write("5.md", "# Note 5\n\nIt reads otherwise now, too.\n")
    (project.documents / "3.md").rename(project.documents / "moved.md")
    (project.documents / "2.md").unlink()
    before = embedded(project)
    second = project.tick()
    assert "3.md" not in project.shown()
    assert "2.md" not in project.shown()
    assert len(second) == 1
    assert sorted(project.covered(second)) == ["0.md", "5.md", "moved.md"]
    project.run(second)
    assert embedded(project) - before == 2, "the text that moved is not embedded again"

    assert project.tick() == []
    left = {"0.md", "1.md", "4.md", "5.md", "moved.md"}
    assert project.shown() == left
    assert set(project.instance.get_dynamic_partitions("documents")) == left
    assert set(project.registry.listed(str(project.documents))) == left


def embedded(project: Project) -> int:
    with project.database.transaction() as tx:
        row = tx.execute("SELECT count(*) FROM tvdb.embeddings").fetchone()
    assert row is not None
    return int(row[0])


def test_a_file_that_is_being_written_is_left_for_the_next_tick(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_INTAKE_SETTLE_SECONDS", "3600")
    assert project.tick() == []
    assert project.registry.counts()["documents"]["total"] == 0
    an_hour_ago = (project.documents / "0.md").stat().st_mtime - 4_000
    os.utime(project.documents / "0.md", (an_hour_ago, an_hour_ago))
    # A copy that keeps its original's time is not settled by that.
    assert project.tick() == []
    monkeypatch.setenv("TVDB_INTAKE_SETTLE_SECONDS", "0")
    assert len(project.covered(project.tick())) == len(_TEXTS)


def test_a_file_that_was_forgotten_by_hand_is_left_alone_until_it_changes(
    project: Project,
) -> None:
    project.run(project.tick())
    [known] = project.registry.find("0.md")
    Deletion(project.database).forget([known.document_id], is_by_hand=True)
    assert project.tick() == []
    assert project.shown() == project.materialized() & set(
        project.instance.get_dynamic_partitions("documents")
    )
    project.write("0.md", "# Note 0\n\nIt reads otherwise now.\n")
    assert project.run(project.tick()) == ["0.md"]
    assert project.shown() == set(_TEXTS)


def test_a_folder_that_is_not_mounted_deletes_nothing(project: Project) -> None:
    project.run(project.tick())
    for name in _TEXTS:
        (project.documents / name).unlink()
    with pytest.raises(Exception, match="holds no documents"):
        project.tick()
    assert project.shown() == set(_TEXTS)
    shutil.rmtree(project.documents)
    with pytest.raises(Exception, match="does not exist"):
        project.tick()
    assert project.shown() == set(_TEXTS)


def test_the_night_takes_what_is_stale_and_what_dagster_does_not_show(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.run(project.tick())
    assert project.night() == [], "an empty night makes no run"
    with project.database.transaction() as tx:
        tx.execute(
            "DELETE FROM dagster.event_logs WHERE partition = '4.md' AND asset_key = '[\"chunks\"]'"
        )
    assert project.run(project.night()) == ["4.md"]
    assert project.night() == []
    monkeypatch.setenv("TVDB_CHUNK_TOKENS", "32")
    monkeypatch.setenv("TVDB_CHUNK_OVERLAP_TOKENS", "0")
    assert project.tick() == [], "what may be much waits for the night"
    monkeypatch.setenv("TVDB_RUN_PARTITIONS", "4")
    night = project.night()
    assert len(night) == 2
    assert sorted(project.run(night)) == sorted(_TEXTS)
    assert project.night() == []


def test_two_catch_ups_and_an_intake_at_the_same_moment_ask_for_each_document_once(
    project: Project,
) -> None:
    barrier = threading.Barrier(3)
    asked: list[list[RunRequest]] = []
    # An intake has to have seen the files before a catch-up can find them missing.
    first = project.tick()
    with project.database.transaction() as tx:
        tx.execute("UPDATE tvdb.documents SET requested_at = NULL")
    assert len(first) == 1

    def at_once(plan: object) -> None:
        barrier.wait()
        assert callable(plan)
        asked.append(plan())

    threads = [
        threading.Thread(target=at_once, args=(plan,))
        for plan in (project.night, project.night, project.tick)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 3
    covered = [key for requests in asked for key in project.covered(requests)]
    assert sorted(covered) == sorted(_TEXTS)


def test_the_partition_of_a_deleted_document_stays_while_a_run_waits_to_start(
    project: Project,
) -> None:
    requests = project.tick()
    job = defs().resolve_implicit_global_asset_job_def()
    run = project.instance.create_run_for_job(job, tags=requests[0].tags)
    due = DueDocuments(project.database)
    partitions = DocumentPartitions(project.instance, due)
    assert partitions.under_way() == set(_TEXTS)
    deletion = Deletion(project.database)
    [known] = project.registry.find("0.md")
    deletion.forget([known.document_id])
    partitions.drop_removed(deletion)
    assert "0.md" in project.instance.get_dynamic_partitions("documents")
    # The run starts, finds its range, and does what is left of it.
    result = job.execute_in_process(
        instance=project.instance, tags=dict(requests[0].tags), raise_on_error=False
    )
    assert result.success
    assert project.shown() == set(_TEXTS) - {"0.md"}
    project.instance.delete_run(run.run_id)
    partitions.drop_removed(deletion)
    assert "0.md" not in project.instance.get_dynamic_partitions("documents")


def test_a_run_whose_process_is_gone_holds_nothing_back(project: Project) -> None:
    requests = project.tick()
    run = project.instance.create_run_for_job(
        defs().resolve_implicit_global_asset_job_def(), tags=requests[0].tags
    )
    partitions = DocumentPartitions(project.instance, DueDocuments(project.database))
    # As Dagster shows a run that was killed: started long ago, and never ended.
    project.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=run.job_name),
        run.run_id,
        timestamp=1_700_000_000.0,
    )
    with DueDocuments(project.database).run_lives(run.run_id):
        assert partitions.under_way() == set(_TEXTS)
    assert partitions.under_way() == set()


def test_a_command_that_was_killed_before_its_run_started_holds_nothing_back(
    project: Project,
) -> None:
    requests = project.tick()
    run = project.instance.create_run_for_job(
        defs().resolve_implicit_global_asset_job_def(),
        tags={**requests[0].tags, IN_PROCESS_TAG: "true"},
    )
    partitions = DocumentPartitions(project.instance, DueDocuments(project.database))
    assert partitions.under_way() == set(_TEXTS), "it may be about to start"
    with project.database.transaction() as tx:
        tx.execute("UPDATE dagster.runs SET create_timestamp = create_timestamp - interval '6 min'")
    assert partitions.under_way() == set()
    assert partitions.fail_dead_runs() == [run.run_id]


def test_a_job_asks_for_what_failed_and_the_sensor_brings_it(project: Project) -> None:
    project.write("broken.pdf", "%PDF-1.7\n1 0 obj\n<< /Type /Cat")
    project.run(project.tick())
    [broken] = project.registry.find("broken.pdf")
    assert broken.quarantine == "terminal"
    assert project.tick() == []
    result = defs().resolve_job_def("retry_documents").execute_in_process(instance=project.instance)
    assert result.success
    assert project.run(project.tick()) == ["broken.pdf"]
    assert project.tick() == []
    # A file that was mended leaves quarantine by itself.
    project.write("broken.pdf", "The text is whole again, and no PDF any more.\n")
    project.run(project.tick())
    [mended] = project.registry.find("broken.pdf")
    assert (mended.status, mended.quarantine) == ("published", None)


def test_maintenance_cuts_dagsters_log_back_and_its_view_of_partitions_stays(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_RETENTION_DAYS", "30")
    project.run(project.tick())
    project.write("0.md", "# Note 0\n\nIt reads otherwise now.\n")
    project.run(project.tick())
    dead = project.instance.create_run_for_job(
        defs().resolve_implicit_global_asset_job_def(), tags={"tvdb/in_process": "true"}
    )
    project.instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name=dead.job_name),
        dead.run_id,
        timestamp=1_700_000_000.0,
    )
    with project.database.transaction() as tx:
        tx.execute("UPDATE dagster.event_logs SET timestamp = timestamp - interval '1 year'")
    before = partition_events(project)
    result = defs().resolve_job_def("maintenance").execute_in_process(instance=project.instance)
    assert result.success
    # Of each asset and partition the newest materialization and plan.
    assert partition_events(project) == 2 * 3 * len(_TEXTS) < before
    assert project.materialized() == set(_TEXTS)
    assert project.night() == []
    ended = project.instance.get_run_by_id(dead.run_id)
    assert ended is not None
    assert ended.status is dg.DagsterRunStatus.FAILURE


def partition_events(project: Project) -> int:
    with project.database.transaction() as tx:
        row = tx.execute(
            "SELECT count(*) FROM dagster.event_logs WHERE partition IS NOT NULL"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_the_commands_tell_what_is_due_and_make_it(project: Project) -> None:
    project.write("broken.pdf", "%PDF-1.7\n1 0 obj\n<< /Type /Cat")
    project.tick()
    with project.database.transaction() as tx:
        tx.execute("UPDATE tvdb.documents SET requested_at = NULL")

    code, due = command("catch-up", "--dry-run")
    assert code == 0
    assert due["due"] == {"missing": len(_TEXTS) + 1}
    assert {row["document"] for row in due["by_document"]} == {*_TEXTS, "broken.pdf"}
    assert due["fits"] is True
    assert project.shown() == set()

    code, done = command("catch-up")
    assert (code, done["documents"]["published"], done["documents"]["failed"]) == (1, 6, 1)
    assert project.shown() == project.materialized() == set(_TEXTS)
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


def test_what_a_stand_in_made_is_tried_again_a_while_after_the_service_refused(
    paid: Paid, shelf: Shelf
) -> None:
    shelf.write("note.md", "# Note\n\nThe boiler is serviced in autumn.\n")
    paid.apis.faults.script("unavailable", times=None)
    shelf.walk(service_mode="hybrid")
    assert shelf.degraded_rows()["documents"] == 1
    router = paid.router(service_mode="hybrid")
    paid.apis.faults.clear()
    paid.clock.forward(400)
    assert is_well(router)
    paid.apis.faults.script("insufficient_quota")
    shelf.walk(service_mode="hybrid")
    assert not is_well(router)
    # What waited for the quota may be gone, so that nobody asks again: time alone has to do.
    paid.clock.forward(15 * 60 + 1)
    assert is_well(router)
