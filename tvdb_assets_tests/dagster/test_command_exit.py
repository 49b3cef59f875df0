"""The exit of ``dagster asset materialize`` if a document waits for a budget."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tvdb_assets.dagster.storage import command_exit
from tvdb_assets.dagster.storage.command_exit import note_waiting_documents
from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.dagster.project import Project

# Dagster itself still uses pydantic's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")

DEFINITIONS = """\
import atexit
import multiprocessing
import sys

from tvdb_assets.definitions import defs

__all__ = ["defs"]

if multiprocessing.parent_process() is None:
    atexit.register(print, "an exit handler ran", file=sys.stderr)
"""


@pytest.mark.timeout(400)
def test_a_budget_halt_exits_with_3_says_why_and_runs_exit_handlers(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TVDB_EMBEDDER_MODE": "real",
        "TVDB_DAILY_COST_LIMIT": "0.0000001",
        "OPENAI_API_KEY": "sk-test",
        # Nothing listens there, and nothing is sent.
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "location.py").write_text(DEFINITIONS, "utf-8")
    project.instance.add_dynamic_partitions("documents", ["0.md"])
    done = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "dagster"), "asset", "materialize"),
            *("-f", str(tmp_path / "location.py")),
            *("--select", "parsed_documents*", "--partition", "0.md"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "1 document waits." in done.stderr
    assert "would exceed today's budget" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.rstrip().endswith("an exit handler ran")


def _dagster(note: str, database: Database, *, is_failing: bool = False) -> click.Group:
    """A command line with Dagster's command names, in which a run deferred a document."""

    @click.group(name="dagster")
    def dagster() -> None: ...

    @dagster.group()
    def asset() -> None: ...

    @asset.command(name=note)
    def command() -> None:
        note_waiting_documents(database.url, "a-run")
        if is_failing:
            raise click.ClickException("Materialization failed.")

    return dagster


@pytest.fixture
def waiting(database: Database) -> Database:
    with database.transaction() as tx:
        tx.execute(
            "INSERT INTO tvdb.documents (partition_key, source, path, size, etag, status, run_id,"
            " disposition, deferred_at, error_code, error_message, error_remedy)"
            " VALUES ('a.md', '/d', 'a.md', 1, 'e', 'deferred', 'a-run', 'deferred', now(),"
            " 'budget', 'No budget.', 'Wait.')"
        )
    return database


def test_only_the_command_that_materializes_ends_with_3(waiting: Database) -> None:
    done = CliRunner().invoke(_dagster("materialize", waiting), ["asset", "materialize"])
    assert done.exit_code == command_exit.DOCUMENTS_WAIT == 3
    assert done.stderr == "\n1 document waits. No budget. Wait.\n"
    done = CliRunner().invoke(_dagster("list", waiting), ["asset", "list"])
    assert (done.exit_code, done.stderr) == (0, "")
    note_waiting_documents(waiting.url, "a-run")


def test_a_command_that_fails_keeps_its_own_error(waiting: Database) -> None:
    command = _dagster("materialize", waiting, is_failing=True)
    done = CliRunner().invoke(command, ["asset", "materialize"])
    assert done.exit_code == 1
    assert done.stderr == "Error: Materialization failed.\n"
