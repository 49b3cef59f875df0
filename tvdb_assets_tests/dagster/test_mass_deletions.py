"""Documents that can't be seen, or so many that are gone, are not deleted without a person."""

from __future__ import annotations

import errno
import json
import os
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tvdb_assets.cli import tvdb
from tvdb_assets.core.source_comparison import UNCONFIRMED_DELETIONS
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.retention import Retention
from tvdb_assets_tests.dagster.project import TEXTS, Project

# Dagster itself still asks pydantic by the old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")

MANY = UNCONFIRMED_DELETIONS + 1


def ingest(*arguments: str) -> Result:
    return CliRunner().invoke(tvdb, ["ingest", *arguments, "--json"])


def status() -> dict[str, Any]:
    return dict(json.loads(CliRunner().invoke(tvdb, ["status", "--json"]).stdout))


def with_archive(project: Project, count: int) -> None:
    """Publish all documents, of which so many are in a subfolder."""
    for number in range(count):
        project.write(f"archive/{number}.md", f"# Old note {number}\n\nClaim {number} is paid.\n")
    project.run(project.tick())
    assert len(project.searchable()) == len(TEXTS) + count


def unmount(project: Project) -> None:
    """Leave the subfolder empty, as a mount point is without its mount."""
    for file in (project.documents / "archive").iterdir():
        file.unlink()


@pytest.mark.parametrize("name", ["EACCES", "EIO", "ESTALE"])
def test_documents_of_a_folder_that_can_not_be_listed_stay(
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    with_archive(project, 2)
    before = project.searchable()
    real = os.scandir

    def scandir(opened: int | str) -> Any:
        if os.path.samestat(os.stat(opened), (project.documents / "archive").stat()):  # noqa: PTH116 - a descriptor
            raise OSError(getattr(errno, name), name)
        return real(opened)

    monkeypatch.setattr(os, "scandir", scandir)
    project.write("new.md", "# New\n\nA new note.\n")
    project.run(project.tick())
    assert project.searchable() == before | {"new.md"}
    assert "source_unlisted" in capfd.readouterr().err

    result = ingest()
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert [(f["document"], f["code"]) for f in summary["failures"]] == [("archive", "unlisted")]
    assert summary["documents"]["deleted"] == 0
    assert project.searchable() == before | {"new.md"}

    monkeypatch.setattr(os, "scandir", real)
    assert ingest().exit_code == 0
    assert project.registry.failures() == []


def test_an_ingest_that_would_delete_a_large_part_asks_first(project: Project) -> None:
    with_archive(project, MANY)
    before = project.searchable()
    unmount(project)
    project.write("new.md", "# New\n\nA new note.\n")

    for arguments in ([], [str(project.documents / "archive")]):
        result = ingest(*arguments)
        assert isinstance(result.exception, ConfigurationError)
        assert result.exception.code == "deletion_unconfirmed"
        assert project.searchable() == before

    result = ingest("--delete")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["documents"]["deleted"] == MANY
    assert project.searchable() == {*TEXTS, "new.md"}


def test_the_sensor_leaves_a_large_deletion_for_a_person(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    with_archive(project, MANY)
    before = project.searchable()
    unmount(project)
    project.write("new.md", "# New\n\nA new note.\n")
    project.run(project.tick())
    assert project.searchable() == before | {"new.md"}
    logged = capfd.readouterr().err
    assert "deletion_held" in logged
    assert f"{MANY} missing and not deleted" in logged
    [scan] = status()["open_scans"]
    assert (scan["source"], scan["held"]) == (str(project.documents), MANY)
    assert ingest("--delete").exit_code == 0
    assert status()["open_scans"] == []


def test_an_empty_subfolder_keeps_its_vectors_for_the_days_of_the_cache(project: Project) -> None:
    with_archive(project, 3)
    files = {file: file.read_text() for file in (project.documents / "archive").iterdir()}
    # Created long ago, and used until now.
    with project.database.transaction() as tx:
        tx.execute("UPDATE tvdb.embeddings SET created_at = created_at - interval '1 year'")
    retention = Retention(project.database)
    days = {"keep": timedelta(days=90), "cache": timedelta(days=30)}

    for delete in (lambda: project.run(project.tick()), ingest):
        unmount(project)
        delete()
        assert project.searchable() == set(TEXTS)
        assert project.registry.find("archive/0.md") == []
        assert retention.delete_old_rows(**days)["vectors"] == 0
        for file, text in files.items():
            file.write_text(text)
        assert json.loads(ingest().stdout)["embedded_texts"] == 0
        assert len(project.searchable()) == len(TEXTS) + 3

    unmount(project)
    ingest()
    with project.database.transaction() as tx:
        tx.execute("UPDATE tvdb.unused_texts SET dropped_at = dropped_at - interval '31 days'")
    deleted = retention.delete_old_rows(**days)
    assert (deleted["vectors"], deleted["unused texts"]) == (3, 3)


def test_few_deletions_and_deletions_within_the_share_need_no_person(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_archive(project, MANY)
    monkeypatch.setenv("TVDB_DELETION_SHARE", "0.9")
    unmount(project)
    project.run(project.tick())
    assert project.searchable() == set(TEXTS)


def test_a_source_that_is_empty_on_purpose_is_emptied_with_the_option(project: Project) -> None:
    project.run(project.tick())
    for name in TEXTS:
        (project.documents / name).unlink()
    result = ingest()
    assert isinstance(result.exception, ConfigurationError)
    assert result.exception.code == "source_empty"
    assert ingest("--delete").exit_code == 0
    assert project.searchable() == set()
