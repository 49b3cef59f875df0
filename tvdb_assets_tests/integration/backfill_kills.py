"""A backfill in real processes that a test kills: daemon, code server, run workers, Postgres.

What belongs here: starting, killing and restarting them, as a host does. What does not: the checks
(`test_backfill_kills`).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from tvdb_assets.dagster.storage.home import instance_settings
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets_tests.integration.budget_halts import DAEMON

_REPOSITORY = Path(__file__).parents[2]


class KillableProject:
    """One project with an own database server, daemon and code server."""

    def __init__(self, folder: Path, documents: int, run_partitions: int) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.source = folder / "documents"
        self.source.mkdir(parents=True)
        self.home.mkdir()
        (self.home / "dagster.yaml").write_text(self.instance_settings() + _QUEUE, "utf-8")
        for number in range(documents):
            text = f"# Note {number}\n\nThe claim of series {number} is paid within a month.\n"
            (self.source / f"{number:04}.md").write_text(text, "utf-8")
        self.server = EmbeddedPostgres(folder / "server")
        self.url = self.server.ensure_running()
        self._port = free_port()
        (folder / "workspace.yaml").write_text(
            f"load_from:\n  - grpc_server: {{host: 127.0.0.1, port: {self._port},"
            " location_name: tvdb_assets.definitions}\n"
        )
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("TVDB_", "DAGSTER"))},
            "DAGSTER_HOME": str(self.home),
            "TVDB_SOURCE": str(self.source),
            "TVDB_DATABASE_URL": self.url,
            "TVDB_SERVICE_MODE": "local",
            "TVDB_PARSE_WORKERS": "1",
            "TVDB_SENSOR_SECONDS": "3",
            # Only the backfill requests runs, and what continues it.
            "TVDB_INTAKE_SECONDS": "0",
            "TVDB_RUN_PARTITIONS": str(run_partitions),
            "PYTHONPATH": str(_REPOSITORY),
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._groups: list[int] = []
        self.log = folder / "processes.log"

    def instance_settings(self) -> str:
        """The content of the file ``dagster.yaml``, without the limit of concurrent runs."""
        return instance_settings()

    def start(self, name: str) -> None:
        """Start the ``daemon`` or the ``code`` server."""
        self.start_process(
            name,
            {
                "daemon": ["-c", DAEMON, "run", "-w", str(self.folder / "workspace.yaml")],
                "code": ["-m", "dagster", "api", "grpc", "-m", "tvdb_assets.definitions"]
                + ["-h", "127.0.0.1", "-p", str(self._port)],
            }[name],
        )

    def start_process(self, name: str, arguments: Sequence[str]) -> None:
        """Start a process of this Python, in a separate process group."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes[name] = process
        self._groups.append(process.pid)

    def process(self, name: str) -> subprocess.Popen[bytes]:
        """A process that was started."""
        return self._processes[name]

    def kill(self, name: str) -> None:
        """Kill the ``daemon`` or the ``code`` server alone, or a run ``worker``.

        A worker that is ``evicted`` gets SIGTERM, as from a host that is about to stop.
        """
        if name in ("worker", "evicted"):
            for worker in self.workers()[:1]:
                with suppress(psutil.NoSuchProcess):
                    worker.send_signal(signal.SIGKILL if name == "worker" else signal.SIGTERM)
            return
        process = self._processes.pop(name)
        process.kill()
        process.wait(60)

    def workers(self) -> list[psutil.Process]:
        """The processes of runs."""
        return [p for p in psutil.process_iter() if self._is_worker(p)]

    def _is_worker(self, process: psutil.Process) -> bool:
        try:
            is_ours = os.getpgid(process.pid) in self._groups
            return is_ours and "spawn_main" in " ".join(process.cmdline())
        except (psutil.Error, ProcessLookupError):
            return False

    def restart_database(self) -> None:
        """Shut the server down as ``pg_ctl restart -m immediate`` does, and start it again."""
        pid = self.server._folder.server_pid()
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        self.until(lambda: not self.server.is_running())
        assert self.server.ensure_running() == self.url

    def published(self) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM tvdb.documents WHERE status = 'published'"
            ).fetchone()
        assert row is not None
        return int(row[0])

    def until(self, is_ok: Callable[[], bool], seconds: float = 120.0) -> None:
        """Wait for a condition.

        Raises:
            AssertionError: it was not met in time; contains the end of the processes' log.
        """
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not is_ok():
            if time.monotonic() > deadline:
                log = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
                raise AssertionError(f"not within {seconds} s\n{log[-6000:]}")
            pause.wait(0.2)

    def end(self) -> None:
        """End all processes that were started here."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        for process in self._processes.values():
            process.wait()
        self.server.stop()


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port: int = opened.getsockname()[1]
        return port


_QUEUE = """
concurrency:
  runs:
    max_concurrent_runs: 3
"""
