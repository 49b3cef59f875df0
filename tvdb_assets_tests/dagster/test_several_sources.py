"""Documents of several sources: each command acts on its own, and a source can move or go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tvdb_assets.cli import tvdb
from tvdb_assets.dagster import ingest
from tvdb_assets.dagster.reconciler import Reconciler
from tvdb_assets.dagster.resources import BudgetView
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.lifecycle import DocumentStatus
from tvdb_assets.settings import load_settings
from tvdb_assets_tests.dagster.project import TEXTS, Project

# Dagster itself still asks pydantic by the old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")


def command(*arguments: str) -> dict[str, Any]:
    """What a command prints with ``--json``; its error is raised."""
    result = CliRunner().invoke(tvdb, [*arguments, "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return dict(json.loads(result.stdout))


@pytest.fixture
def other(project: Project) -> Path:
    """Another source with a document that both have, and one of its own; all are published."""
    folder = project.documents.parent / "other" / "documents"
    folder.mkdir(parents=True)
    (folder / "0.md").write_text("# Other note\n\nThe other source says so.\n")
    (folder / "own.md").write_text("# Own note\n\nOnly the other source has it.\n")
    project.run(project.tick())
    assert command("ingest", str(folder))["documents"]["published"] == 2
    return folder


def documents_of(project: Project, folder: Path) -> dict[str, DocumentStatus]:
    return {path: row.status for path, row in project.registry.known(str(folder)).items()}


def vectors(project: Project) -> int:
    with project.database.transaction() as tx:
        row = tx.execute("SELECT count(*) FROM tvdb.embeddings").fetchone()
    assert row is not None
    return int(row[0])


def test_forget_and_retry_act_on_the_current_source_alone(project: Project, other: Path) -> None:
    assert command("forget", "0.md") == {"forgotten": ["0.md"]}
    assert sorted(documents_of(project, other)) == ["0.md", "own.md"]
    assert sorted(documents_of(project, project.documents)) == sorted(set(TEXTS) - {"0.md"})
    for name in ("own.md", "0.md", "documents/0.md"):
        for verb in ("forget", "retry"):
            with pytest.raises(ConfigurationError) as caught:
                command(verb, name)
            assert caught.value.code == "document_elsewhere"
            assert str(other) in caught.value.message
    assert sorted(documents_of(project, other)) == ["0.md", "own.md"]


def test_status_and_trace_show_the_document_of_the_current_source(
    project: Project, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command("status", "0.md")["row"]["source"] == str(project.documents)
    assert command("status", "own.md")["row"]["source"] == str(other)
    assert command("trace", "own.md")["events"]
    monkeypatch.setenv("TVDB_SOURCE", str(other))
    assert command("status", "0.md")["row"]["source"] == str(other)
    monkeypatch.setenv("TVDB_SOURCE", str(other.parent))
    for verb in ("status", "trace"):
        with pytest.raises(ConfigurationError) as caught:
            command(verb, "0.md")
        assert caught.value.code == "document_elsewhere"


def test_a_trace_has_the_runs_of_the_document_of_one_source(
    project: Project, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project.database.transaction() as tx:
        runs = dict(tx.execute("SELECT source, run_id FROM tvdb.documents WHERE path = '0.md'"))
        # The rows of paid calls have the path alone.
        for run_id in runs.values():
            tx.execute(
                "INSERT INTO tvdb.service_events (happened_at, run_id, service, kind, document,"
                " message) VALUES (tvdb.clock(), %s, 'llamaparse', 'job_resumed', '0.md', '')",
                (run_id,),
            )
    for folder in (project.documents, other):
        monkeypatch.setenv("TVDB_SOURCE", str(folder))
        traced = command("trace", "0.md")
        assert [run["run_id"] for run in traced["runs"]] == [runs[str(folder)]]
        assert {event["source"] for event in traced["events"]} == {None, str(folder)}


def test_documents_that_wait_are_counted_for_the_current_source(
    project: Project, other: Path
) -> None:
    with project.database.transaction() as tx:
        tx.execute(
            "UPDATE tvdb.documents SET status = 'deferred', deferred_at = tvdb.clock(),"
            " disposition = 'deferred', error_code = 'budget_exhausted',"
            " failed_stage = 'embeddings'"
        )
    assert project.registry.count_deferred(source=str(other)) == 2
    assert BudgetView(load_settings(), project.database).waiting() == len(TEXTS)


def test_names_that_differ_in_case_or_in_the_form_of_an_accent_are_different_documents(
    project: Project,
) -> None:
    names = ("Note.md", "note.md", "caf\u00e9.md", "cafe\u0301.md")
    for name in names:
        project.write(name, f"# Note\n\nThe note {name.encode('unicode-escape').decode()} says so.")
    if len(list(project.documents.glob("[Nnc]*.md"))) < len(names):
        pytest.skip("the file system has one file for both names")
    assert command("ingest")["documents"]["published"] == len(TEXTS) + len(names)
    assert command("forget", names[2]) == {"forgotten": [names[2]]}
    assert project.searchable() == {*TEXTS, *names} - {names[2]}
    assert {command("status", name)["document"] for name in names if name != names[2]} == {
        *names
    } - {names[2]}


def test_search_names_the_source_and_marks_another_one(project: Project, other: Path) -> None:
    found = command("search", "What says the other source?")
    hits = {hit["text"].strip().splitlines()[-1]: hit["source"] for hit in found["results"]}
    assert hits["Only the other source has it."] == str(other)
    assert set(hits.values()) == {str(other), str(project.documents)}
    assert found["other_sources"] == [str(other)]
    shown = CliRunner().invoke(tvdb, ["search", "What says the other source?"]).output
    lines = shown.replace("\n", "").replace(" ", "")
    assert f"source:{other}(notthecurrentsource)" in lines
    assert f"source:{project.documents}(" not in lines
    command("source", "drop", str(other))
    alone = CliRunner().invoke(tvdb, ["search", "What says the other source?"]).output
    assert "source:" not in alone


def test_only_documents_of_the_current_source_are_planned(
    project: Project, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with project.database.transaction() as tx:
        tx.execute("UPDATE tvdb.documents SET manually_requested_at = tvdb.clock()")
    shutil.rmtree(other)
    due = command("catch-up", "--dry-run")["by_document"]
    assert [row["source"] for row in due] == [str(project.documents)] * len(TEXTS)
    assert sorted(project.covered(project.catch_up_tick())) == sorted(TEXTS)
    monkeypatch.setenv("TVDB_SOURCE", str(other))
    assert sorted(project.covered(project.catch_up_tick())) == ["documents/0.md", "own.md"]


def test_a_source_that_is_missing_fails_its_own_documents_alone(
    project: Project, other: Path
) -> None:
    project.write("1.md", "# Note 1\n\nIt reads otherwise now.\n")
    shutil.rmtree(other)
    with project.database.transaction() as tx:
        tx.execute("UPDATE tvdb.documents SET is_changed = true WHERE path IN ('1.md', 'own.md')")
    with Reconciler.open(load_settings(), project.instance) as reconciler:
        runs = reconciler.runs(["1.md", "own.md"])
    for planned in runs:
        ingest.run(project.instance, planned.tags, lambda _: None)
    assert documents_of(project, project.documents)["1.md"] is DocumentStatus.PUBLISHED
    [failure] = project.registry.failures()
    assert (failure.document, failure.code) == ("own.md", "source_unavailable")
    assert "own.md" in project.searchable(), "what was published stays"


def test_a_source_that_moved_is_reported_and_moved_without_new_vectors(
    project: Project, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = vectors(project)
    moved = other.with_name("moved")
    other.rename(moved)
    monkeypatch.setenv("TVDB_SOURCE", str(moved))
    sources = {row["source"]: row for row in command("status")["sources"]}
    assert sources[str(other)] == {
        "source": str(other),
        "documents": 2,
        "is_current": False,
    }
    shown = CliRunner().invoke(tvdb, ["status"]).output
    assert str(other) in shown.replace("\n", "")
    assert "source move" in shown.replace("\n", " ")

    assert command("source", "move", str(other), str(moved))["moved"] == 2
    summary = command("ingest")
    assert summary["documents"]["unchanged"] == 2
    assert (summary["run_ids"], summary["embedded_texts"]) == ([], 0)
    assert sorted(documents_of(project, moved)) == ["0.md", "own.md"]
    assert vectors(project) == before


def test_a_source_that_was_ingested_again_before_the_move_has_each_document_once(
    project: Project, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = vectors(project)
    moved = other.with_name("moved")
    other.rename(moved)
    (moved / "late.md").write_text("# Late\n\nIt is new.\n")
    monkeypatch.setenv("TVDB_SOURCE", str(moved))
    command("ingest")
    done = command("source", "move", str(other), str(moved))
    assert (done["moved"], done["duplicates"]) == (0, 2)
    assert set(documents_of(project, moved).values()) == {DocumentStatus.PUBLISHED}
    assert documents_of(project, other) == {}
    assert vectors(project) == before + 1
    assert project.searchable() == {*TEXTS, "own.md", "late.md"}


def test_a_source_that_is_not_needed_any_more_is_dropped(project: Project, other: Path) -> None:
    shutil.rmtree(other)
    assert command("source", "drop", str(other))["deleted"] == 2
    assert documents_of(project, other) == {}
    assert project.searchable() == set(TEXTS)
    assert set(project.instance.get_dynamic_partitions("documents")) == set(TEXTS)
    with pytest.raises(ConfigurationError) as caught:
        command("source", "drop", str(other))
    assert caught.value.code == "source_unknown"
