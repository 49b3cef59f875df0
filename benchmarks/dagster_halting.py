"""How Dagster's own features halt paid work: pools, the run queue, cancellation, sensors.

``python benchmarks/dagster_halting.py`` takes some minutes and prints a line for each observation.
Names of functions of this file as arguments choose. docs/architecture.md,
"Halting", draws the conclusions.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.execution.backfill import PartitionBackfill
from dagster_halting_jobs import POOL, defs
from rich.console import Console

from tvdb_assets.dagster.storage.home import dagster_instance, instance_settings
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.settings import load_settings

JOBS = str(Path(__file__).parent / "dagster_halting_jobs.py")
BIN = Path(sys.executable).parent
ALL = ("pools", "queue", "cancelling", "skipping")
LONG = 10.0
"""Seconds after which an event is considered not to happen."""
_TAG = {"kind": "paid"}
_QUEUE = """
concurrency:
  runs:
    tag_concurrency_limits:
      - {{key: kind, value: paid, limit: {limit}}}
"""
console = Console(width=110, highlight=False)


class Site:
    """A home with an instance, and the notes of its jobs."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.home = home
        self.instance = instance
        self.notes = home / "notes"
        self.environment = {**os.environ, "DAGSTER_HOME": str(home), "NOTED": str(self.notes)}

    def noted(self) -> Counter[str]:
        """The work of the jobs since the last `forget`."""
        return Counter(self.notes.read_text().split()) if self.notes.exists() else Counter()

    def forget(self) -> None:
        self.notes.write_text("")

    def limit_pool(self, slots: int) -> None:
        self.instance.event_log_storage.set_concurrency_slots(POOL, slots)

    def limit_queue(self, runs: int) -> None:
        (self.home / "dagster.yaml").write_text(instance_settings() + _QUEUE.format(limit=runs))

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(BIN / "dagster"), *command],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def launch(self, job: str, tags: dict[str, str]) -> str:
        """Put a run into the queue, which the daemon reads."""
        launching = self.start("job", "launch", "-f", JOBS, "-j", job, "--tags", json.dumps(tags))
        assert launching.wait() == 0
        return self.newest().run_id

    def newest(self) -> dg.DagsterRun:
        """The newest run."""
        [run] = self.instance.get_runs(limit=1)
        return run

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[str]]:
        command = "from dagster._daemon.cli import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", command, "run", "-f", JOBS],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill(process)

    def backfill(self, backfill_id: str) -> None:
        """Request the partition of `paid_partition`, as the UI does."""
        graph = defs.get_repository_def().asset_graph
        requested = {AssetKeyPartitionKey(dg.AssetKey("paid_partition"), "a")}
        self.instance.add_backfill(
            PartitionBackfill.from_asset_graph_subset(
                backfill_id=backfill_id,
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=self.instance,
                asset_graph_subset=AssetGraphSubset.from_asset_partition_set(requested, graph),
                title=None,
                description=None,
                run_config=None,
            )
        )

    def backfill_status(self, backfill_id: str) -> str:
        backfill = self.instance.get_backfill(backfill_id)
        assert backfill is not None
        return backfill.status.value

    def kill_run_workers(self, daemon: subprocess.Popen[str]) -> None:
        """As a machine that crashes would; the daemon and its code server stay alive."""
        for process in psutil.Process(daemon.pid).children(recursive=True):
            if "spawn_main" in " ".join(process.cmdline()):
                process.kill()

    def status(self, run_id: str) -> str:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status.value


def main() -> None:
    """Observe each of the four."""
    with tempfile.TemporaryDirectory(prefix="tvdb-halts-") as folder:
        home = Path(folder)
        server = EmbeddedPostgres(home)
        os.environ.update(DAGSTER_HOME=folder, TVDB_DATABASE_URL=server.ensure_running())
        try:
            (home / "dagster.yaml").write_text(instance_settings())
            with dagster_instance(load_settings()) as instance:
                site = Site(home, instance)
                observations = (pools, queue, cancelling, skipping)
                for observe in [
                    each for each in observations if each.__name__ in (sys.argv[1:] or ALL)
                ]:
                    console.rule(observe.__name__)
                    observe(site)
        finally:
            server.stop()


def pools(site: Site) -> None:
    """A limit of 0, and of 1 with a worker that is killed."""
    site.limit_pool(0)
    commands = {
        "multiprocess": ("job", "execute", "-f", JOBS, "-j", "multi"),
        "in-process": ("job", "execute", "-f", JOBS, "-j", "single"),
        "asset materialize": ("asset", "materialize", "-f", JOBS, "--select", "paid_asset"),
    }
    for name, command in commands.items():
        site.forget()
        waiting = site.start(*command)
        # Time enough for the free part.
        time.sleep(LONG * 2)
        state = "waits" if waiting.poll() is None else f"ended with {waiting.returncode}"
        report(f"limit 0, {name}", f"after {LONG * 2:.0f} s it {state}; {dict(site.noted())}")
        site.limit_pool(1)
        seconds = wait_for(lambda: site.noted()["stored"] == 10)
        report(f"limit 1 again, {name}", f"all is stored after {seconds:.0f} s")
        waiting.wait()
        site.limit_pool(0)
    site.limit_pool(1)
    site.forget()
    killed = site.start(*commands["multiprocess"])
    wait_for(lambda: site.noted()["sent"] > 2)
    kill(killed)
    site.forget()
    following = site.start(*commands["multiprocess"])
    seconds = wait_for(lambda: site.noted()["sent"] > 0, LONG * 2)
    got = f"got the slot after {seconds:.0f} s" if seconds < LONG * 2 else "never got the slot"
    report("limit 1, the process that has the slot killed", f"the next run {got}; no daemon")
    with site.daemon():
        seconds = wait_for(lambda: site.noted()["sent"] > 0, LONG * 3)
    got = f"got it after {seconds:.0f} s" if seconds < LONG * 3 else f"not in {LONG * 3:.0f} s"
    report("… and with a daemon", got)
    kill(following)
    for run in site.instance.get_run_ids():
        site.instance.event_log_storage.free_concurrency_slots_for_run(run)
    site.limit_pool(10)


def queue(site: Site) -> None:
    """A limit of 0 for a tag of runs."""
    site.limit_queue(0)
    site.forget()
    with site.daemon():
        run_id = site.launch("multi", _TAG)
        time.sleep(LONG)
        report("limit 0, queued", f"{site.status(run_id)}; {dict(site.noted())}")
        command = ("job", "execute", "-f", JOBS, "-j", "single", "--tags", json.dumps(_TAG))
        site.start(*command).wait()
        report("limit 0, job execute", f"paid {site.noted()['stored']} times")
        site.forget()
        site.limit_queue(1)
        time.sleep(LONG)
        report("limit 1 in dagster.yaml", f"{site.status(run_id)} without a restart")
    with site.daemon():
        seconds = wait_for(lambda: site.noted()["sent"] > 2)
        report("… and after one", f"paid after {seconds:.0f} s")
        site.limit_queue(0)
        wait_for(lambda: site.status(run_id) == "SUCCESS")
        report("limit 0 while it pays", f"it continues and pays {site.noted()['stored']} times")
        site.limit_queue(1)
    with site.daemon() as daemon:
        site.forget()
        first = site.launch("multi", _TAG)
        wait_for(lambda: site.noted()["sent"] > 2)
        site.kill_run_workers(daemon)
        site.forget()
        second = site.launch("multi", _TAG)
        time.sleep(LONG)
        report(
            "limit 1, a worker killed",
            f"{site.status(first)}; the next is {site.status(second)}",
        )
        seconds = wait_for(lambda: site.noted()["sent"] > 0, 180)
        report("… and then", f"the next pays after {seconds:.0f} s more")
    (site.home / "dagster.yaml").write_text(instance_settings())


def cancelling(site: Site) -> None:
    """Cancelling a run in the middle of a request, in processes of the queue and of a shell."""
    site.forget()
    with site.daemon():
        run_id = site.launch("multi", {})
        wait_for(lambda: site.noted()["sent"] > 2)
        answer = site.instance.run_launcher.terminate(run_id)
        wait_for(lambda: site.status(run_id) in ("CANCELED", "FAILURE", "SUCCESS"))
        lost = site.noted()["sent"] - site.noted()["stored"]
        report("a run that pays", f"{answer}, {site.status(run_id)}; sent and not stored: {lost}")
        site.forget()
        site.backfill("halted")
        wait_for(lambda: site.noted()["sent"] > 2, 90)
        [run] = site.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": "halted"}))
        site.instance.run_launcher.terminate(run.run_id)
        seconds = wait_for(lambda: site.backfill_status("halted") != "REQUESTED", 120)
        report("a run of a backfill", f"{site.backfill_status('halted')} after {seconds:.0f} s")
    site.forget()
    shell = site.start("asset", "materialize", "-f", JOBS, "--select", "paid_asset")
    wait_for(lambda: site.noted()["sent"] > 2)
    newest = site.newest()
    answer = site.instance.run_launcher.terminate(newest.run_id)
    shell.wait()
    observation = f"{answer}, {site.status(newest.run_id)}; paid {site.noted()['stored']} times"
    report("asset materialize", observation)


def skipping(site: Site) -> None:
    """A sensor that requests nothing stops nothing else."""
    site.forget()
    with site.daemon():
        run_id = site.launch("single", {})
        wait_for(lambda: site.status(run_id) == "SUCCESS")
    report("a run that a person launches", f"paid {site.noted()['stored']} times")


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> float:
    """Seconds until a condition is true, or ``seconds``."""
    started = time.monotonic()
    while not condition() and time.monotonic() - started < seconds:
        time.sleep(0.1)
    return min(seconds, time.monotonic() - started)


def kill(process: subprocess.Popen[str]) -> None:
    """End a process and what it started, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def report(name: str, observation: str) -> None:
    """One line."""
    console.print(f"[bold]{name}[/]: {observation}")


if __name__ == "__main__":
    main()
