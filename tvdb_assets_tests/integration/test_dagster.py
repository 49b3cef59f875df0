"""The assets in real Dagster processes, checked through Dagster and the command line.

What belongs here: `tvdb ingest` and Dagster's own command, on an instance in Postgres. What
does not: the rows of an ingestion in the project's tables (`test_walkthrough`).

The tests of this file form one sequence and run in order, because a process with Dagster costs
seconds: each takes the state that those before it left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from tvdb_assets.dagster.storage.home import dagster_instance
from tvdb_assets.models import Stage
from tvdb_assets.settings import load_settings

GOOD = ["archive/old.md", "good.md", "house.md", "security.md", "travel.md"]
CORRUPT = "broken.pdf"
TEXTS = {
    "archive/old.md": "# Archive\n\nThe minutes of the founding meeting are kept in the cellar.\n",
    "good.md": "# Leave\n\nEvery employee has thirty days of vacation a year.\n",
    "house.md": "# House\n\nThe boiler and the heating are serviced each autumn.\n",
    "security.md": "# Security\n\nWhoever sees a leaked password calls the security office.\n",
    "travel.md": "# Travel\n\nA hotel may cost at most ninety euros a night.\n",
}


@dataclass(frozen=True)
class CommandResult:
    """A process that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.stdout)
        assert isinstance(value, dict)
        return value


class Project:
    """A folder of documents, and a Dagster instance in a separate database."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.documents = folder / "documents"
        self.home = folder / "home"
        self.database_url = database_url
        self._folder = folder
        (self.documents / "archive").mkdir(parents=True)
        self.home.mkdir()
        for name, text in TEXTS.items():
            (self.documents / name).write_text(text, "utf-8")
        (self.documents / CORRUPT).write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Cat")

    def run(self, command: str, *arguments: str) -> CommandResult:
        """Run a program of this environment to its end, as in a shell."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TVDB_", "DAGSTER"))}
        done = subprocess.run(
            [str(Path(sys.executable).parent / command), *arguments],
            cwd=self._folder,
            env=inherited
            | {
                "DAGSTER_HOME": str(self.home),
                "TVDB_SOURCE": str(self.documents),
                "TVDB_DATABASE_URL": self.database_url,
                "TVDB_PARSE_WORKERS": "1",
            },
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def ingest(self) -> CommandResult:
        return self.run("tvdb", "ingest", "--json")

    def materialize(self, partition: str) -> CommandResult:
        return self.run(
            *("dagster", "asset", "materialize", "-m", "tvdb_assets.definitions"),
            *("--select", "*", "--partition", partition),
        )

    def materialized(self, instance: dg.DagsterInstance) -> dict[Stage, set[str]]:
        return {
            stage: instance.get_materialized_partitions(dg.AssetKey(stage.value)) for stage in Stage
        }

    def latest_run_of(self, instance: dg.DagsterInstance, partition: str) -> set[str]:
        """The runs that materialized a partition's newest versions, over all assets."""
        runs: set[str] = set()
        for stage in Stage:
            found = instance.fetch_materializations(
                dg.AssetRecordsFilter(
                    asset_key=dg.AssetKey(stage.value), asset_partitions=[partition]
                ),
                limit=1,
            )
            runs.update(record.run_id for record in found.records)
        return runs


@pytest.fixture(scope="module")
def project(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    url = server_url.replace("/tvdb?", "/dagster_story?")
    assert url != server_url
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE dagster_story")
        try:
            yield Project(tmp_path_factory.mktemp("project"), url)
        finally:
            connection.execute("DROP DATABASE dagster_story WITH (FORCE)")


@pytest.fixture(scope="module")
def first(project: Project) -> CommandResult:
    return project.ingest()


@pytest.fixture
def instance(
    project: Project, first: CommandResult, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(project.home))
    monkeypatch.setenv("TVDB_DATABASE_URL", project.database_url)
    with dagster_instance(load_settings()) as opened:
        yield opened


def test_an_ingest_with_a_failure_exits_with_1_and_reports_json(first: CommandResult) -> None:
    assert first.code == 1, first.stderr
    said = first.json
    assert said.keys() == {
        *("run_ids", "documents", "failures", "embedded_texts", "cached_texts"),
        *("cost_usd", "seconds", "deferred", "indexes", "forecasts", "outlooks", "sources"),
    }
    assert said["documents"] == {
        "total": 6,
        "published": 5,
        "unchanged": 0,
        "failed": 1,
        "degraded": 0,
        "deferred": 0,
        "stale_in_current_index": 0,
        "behind": 0,
        "published_by_others": 0,
        "deleted": 0,
    }
    [failure] = said["failures"]
    assert failure.keys() == {"source", "document", "code", "message", "remedy", "run_id"}
    assert (failure["document"], failure["code"]) == (CORRUPT, "corrupt")
    assert failure["message"]
    assert failure["remedy"]
    assert (said["embedded_texts"], said["cached_texts"], said["cost_usd"]) == (5, 0, "0.00")
    assert said["seconds"] > 0
    assert said["run_ids"]


def test_dagster_shows_good_documents_as_materialized_and_the_bad_one_as_failed(
    project: Project, first: CommandResult, instance: dg.DagsterInstance
) -> None:
    assert set(instance.get_dynamic_partitions("documents")) == {*GOOD, CORRUPT}
    assert project.materialized(instance) == {stage: set(GOOD) for stage in Stage}
    runs = {run.run_id: run.status for run in instance.get_runs()}
    assert runs == dict.fromkeys(first.json["run_ids"], dg.DagsterRunStatus.FAILURE)
    for stage in Stage:
        statuses = instance.get_status_by_partition(
            dg.AssetKey(stage.value),
            [*GOOD, CORRUPT],
            dg.DynamicPartitionsDefinition(name="documents"),
        )
        assert statuses is not None
        shown: dict[str, str] = {key: status.value for key, status in statuses.items() if status}
        assert shown == {**dict.fromkeys(GOOD, "MATERIALIZED"), CORRUPT: "FAILED"}


def test_materializations_carry_counts_and_no_text(
    first: CommandResult, instance: dg.DagsterInstance
) -> None:
    assert first.code == 1
    for stage in Stage:
        records = instance.fetch_materializations(dg.AssetKey(stage.value), limit=10).records
        assert len(records) == len(GOOD)
        for record in records:
            made = record.asset_materialization
            assert made is not None
            assert made.metadata["document"].value == made.partition
            reported = str({name: value.value for name, value in made.metadata.items()})
            assert "boiler" not in reported
            assert "vacation" not in reported


def test_a_second_ingest_starts_no_run_and_embeds_nothing(
    project: Project, instance: dg.DagsterInstance
) -> None:
    before = [run.run_id for run in instance.get_runs()]

    second = project.ingest()

    assert second.code == 1, second.stderr
    said = second.json
    assert said["run_ids"] == []
    assert (said["embedded_texts"], said["cached_texts"]) == (0, 0)
    assert said["documents"] == {
        "total": 6,
        "published": 0,
        "unchanged": 5,
        "failed": 1,
        "degraded": 0,
        "deferred": 0,
        "stale_in_current_index": 0,
        "behind": 0,
        "published_by_others": 0,
        "deleted": 0,
    }
    assert [failure["document"] for failure in said["failures"]] == [CORRUPT]
    assert [run.run_id for run in instance.get_runs()] == before


def test_only_edited_and_deleted_documents_change(
    project: Project, instance: dg.DagsterInstance
) -> None:
    runs_before = {name: project.latest_run_of(instance, name) for name in GOOD}
    (project.documents / "house.md").unlink()
    edited = TEXTS["travel.md"].replace("ninety", "eighty")
    (project.documents / "travel.md").write_text(edited, "utf-8")

    third = project.ingest()

    assert third.code == 1, third.stderr
    said = third.json
    assert said["documents"] == {
        "total": 5,
        "published": 1,
        "unchanged": 3,
        "failed": 1,
        "degraded": 0,
        "deferred": 0,
        "stale_in_current_index": 0,
        "behind": 0,
        "published_by_others": 0,
        "deleted": 1,
    }
    assert said["embedded_texts"] == 1
    [run_id] = said["run_ids"]
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS
    left = [name for name in GOOD if name != "house.md"]
    assert set(instance.get_dynamic_partitions("documents")) == {*left, CORRUPT}
    for name in left:
        now = project.latest_run_of(instance, name)
        assert now == ({run_id} if name == "travel.md" else runs_before[name])
    with psycopg.connect(project.database_url) as connection:
        shown: dict[str, str] = dict(
            connection.execute("SELECT document, text FROM tvdb.search_index").fetchall()
        )
    assert set(shown) == set(left)
    assert "eighty" in shown["travel.md"]


def test_dagsters_own_command_materializes_a_good_partition(
    project: Project, instance: dg.DagsterInstance
) -> None:
    before = project.latest_run_of(instance, "good.md")

    done = project.materialize("good.md")

    assert done.code == 0, done.stdout + done.stderr
    after = project.latest_run_of(instance, "good.md")
    assert len(after) == 1
    assert after.isdisjoint(before)


def test_dagsters_own_command_fails_with_the_reason_for_a_bad_partition(
    project: Project, instance: dg.DagsterInstance
) -> None:
    done = project.materialize(CORRUPT)

    assert done.code == 1
    reported = done.stdout + done.stderr
    assert f"{CORRUPT}: [corrupt]" in reported
    assert "1 of 1 documents failed" in reported
    assert all(CORRUPT not in made for made in project.materialized(instance).values())


def test_a_manually_added_partition_is_materialized_from_its_file(
    project: Project, instance: dg.DagsterInstance
) -> None:
    (project.documents / "added.md").write_text("# Lift\n\nThe lift is out of order.\n", "utf-8")
    instance.add_dynamic_partitions("documents", ["added.md"])

    done = project.materialize("added.md")

    assert done.code == 0, done.stdout + done.stderr
    assert all("added.md" in made for made in project.materialized(instance).values())


def test_a_manually_added_partition_without_a_file_fails(
    project: Project, instance: dg.DagsterInstance
) -> None:
    instance.add_dynamic_partitions("documents", ["nowhere.md"])

    done = project.materialize("nowhere.md")

    assert done.code == 1
    assert "nowhere.md: [vanished]" in done.stdout + done.stderr


def test_an_archive_is_materialized_only_if_all_its_members_are(
    project: Project, instance: dg.DagsterInstance
) -> None:
    for name, files in {
        "letters.zip": {"one.md": "# One\n\nThe first letter.\n"},
        "bundle.zip": {"two.md": "# Two\n\nThe second letter.\n", "broken.pdf": "%PDF-1.7"},
    }.items():
        with zipfile.ZipFile(project.documents / name, "w") as archive:
            for member, content in files.items():
                archive.writestr(member, content)

    done = project.ingest()

    assert done.code == 1, done.stderr
    failures = {failure["document"]: failure for failure in done.json["failures"]}
    assert "1 of 2 documents inside it failed: broken.pdf" in failures["bundle.zip"]["message"]
    assert failures["bundle.zip!/broken.pdf"]["code"] == "corrupt"
    [run_id] = done.json["run_ids"]
    for made in project.materialized(instance).values():
        assert {"letters.zip", "bundle.zip"} & made == {"letters.zip"}
    reported = [event.user_message for event in instance.all_logs(run_id)]
    assert any("bundle.zip!/broken.pdf: [corrupt]" in message for message in reported)
    with psycopg.connect(project.database_url) as connection:
        shown = {d for (d,) in connection.execute("SELECT document FROM tvdb.search_index")}
    assert {"letters.zip!/one.md", "bundle.zip!/two.md"} <= shown
