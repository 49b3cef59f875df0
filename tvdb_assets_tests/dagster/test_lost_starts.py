"""A tick that looks for lost runs goes on where the run launcher can't be loaded or asked."""

from __future__ import annotations

import logging
from pathlib import Path

import dagster as dg
import pytest

from tvdb_assets.dagster.partitions import DocumentPartitions
from tvdb_assets.dagster.storage.home import dagster_instance, instance_settings
from tvdb_assets.dagster.storage.run_launcher import CommandAwareRunLauncher
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.due_documents import DueDocuments
from tvdb_assets.settings import load_settings

CELERY = (Path(__file__).parents[2] / "deploy" / "celery" / "dagster.yaml").read_text("utf-8")
NOBODY = "redis://127.0.0.1:9/0"


class UnusableLauncher(CommandAwareRunLauncher):
    """Needs something that only the process has which starts runs."""

    def __init__(self, **_: object) -> None:
        raise AssertionError("it was loaded")


@pytest.mark.parametrize(
    ("settings", "broker", "events"),
    [
        (CELERY, None, ["launcher_silent"]),
        (CELERY, NOBODY, ["launcher_silent"]),
        (
            instance_settings()
            .replace("tvdb_assets.dagster.storage.run_launcher", __name__)
            .replace(CommandAwareRunLauncher.__name__, UnusableLauncher.__name__),
            None,
            [],
        ),
    ],
    ids=["no address", "no broker", "another launcher"],
)
def test_a_run_that_can_not_be_asked_about_is_left_alone(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    settings: str,
    broker: str | None,
    events: list[str],
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", database.url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.delenv(name, raising=False)
        if broker is not None:
            monkeypatch.setenv(name, broker)
    (tmp_path / "dagster.yaml").write_text(settings, "utf-8")
    with dagster_instance(load_settings()) as instance, caplog.at_level(logging.WARNING, "tvdb"):
        tags = {"dagster-celery/task_id": "a-task"}
        run = dg.DagsterRun("a_job", status=dg.DagsterRunStatus.STARTING, tags=tags)
        instance.add_run(run)
        assert DocumentPartitions(instance, DueDocuments(database)).fail_dead_runs() == []
    assert [name for name in ("launcher_silent",) if name in caplog.text] == events
