"""What Dagster's own means do to paid work when it is to halt: seen, not read.

``python benchmarks/halting_means.py`` takes some minutes and prints a line for each thing that
was looked at; names of functions of this file as arguments choose. docs/architecture.md,
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
from halting_jobs import POOL, defs
from rich.console import Console

from tvdb_assets.dagster.storage.home import dagster_instance, instance_settings
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.settings import load_settings

JOBS = str(Path(__file__).parent / "halting_jobs.py")
BIN = Path(sys.executable).parent
ALL = ("pools", "queue", "cancelling", "skipping")
LONG = 10.0
"""Seconds after which what has not happened is taken never to happen."""
_TAG = {"kind": "paid"}
_QUEUE = """
concurrency:
  runs:
    tag_concurrency_limits:
      - {{key: kind, value: paid, limit: {limit}}}
"""
console = Console(width=110, highlight=False)


class Place:
    """A home with an instance, and what its jobs note."""

    def __init__(self, home: Path, instance: dg.DagsterInstance) -> None:
        self.home = home
        self.instance = instance
        self.notes = home / "notes"
        self.environment = {**os.environ, "DAGSTER_HOME": str(home), "NOTED": str(self.notes)}

    def noted(self) -> Counter[str]:
        """What the jobs have done since the last `forget`."""
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
        """The run that was made last."""
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
        """Ask for the partition of `paid_partition`, as the UI does."""
        graph = defs.get_repository_def().asset_graph
        wanted = {AssetKeyPartitionKey(dg.AssetKey("paid_partition"), "a")}
        self.instance.add_backfill(
            PartitionBackfill.from_asset_graph_subset(
                backfill_id=backfill_id,
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=self.instance,
                asset_graph_subset=AssetGraphSubset.from_asset_partition_set(wanted, graph),
                title=None,
                description=None,
                run_config=None,
            )
        )

    def backfill_status(self, backfill_id: str) -> str:
        made = self.instance.get_backfill(backfill_id)
        assert made is not None
        return made.status.value

    def kill_run_workers(self, daemon: subprocess.Popen[str]) -> None:
        """As a machine that dies would; the daemon and its code server live on."""
        for process in psutil.Process(daemon.pid).children(recursive=True):
            if "spawn_main" in " ".join(process.cmdline()):
                process.kill()

    def status(self, run_id: str) -> str:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status.value


def main() -> None:
    """Look at each of the four."""
    with tempfile.TemporaryDirectory(prefix="tvdb-halts-") as folder:
        home = Path(folder)
        server = EmbeddedPostgres(home)
        os.environ.update(DAGSTER_HOME=folder, TVDB_DATABASE_URL=server.ensure_running())
        try:
            (home / "dagster.yaml").write_text(instance_settings())
            with dagster_instance(load_settings()) as instance:
                place = Place(home, instance)
                looks = (pools, queue, cancelling, skipping)
                for look in [each for each in looks if each.__name__ in (sys.argv[1:] or ALL)]:
                    console.rule(look.__name__)
                    look(place)
        finally:
            server.stop()


def pools(place: Place) -> None:
    """A limit of 0, and of 1 with a worker that is killed."""
    place.limit_pool(0)
    commands = {
        "multiprocess": ("job", "execute", "-f", JOBS, "-j", "multi"),
        "in-process": ("job", "execute", "-f", JOBS, "-j", "single"),
        "asset materialize": ("asset", "materialize", "-f", JOBS, "--select", "paid_asset"),
    }
    for name, command in commands.items():
        place.forget()
        waiting = place.start(*command)
        # Time enough for the free part.
        time.sleep(LONG * 2)
        told = "waits" if waiting.poll() is None else f"ended with {waiting.returncode}"
        say(f"limit 0, {name}", f"after {LONG * 2:.0f} s it {told}; {dict(place.noted())}")
        place.limit_pool(1)
        seconds = wait_for(lambda: place.noted()["stored"] == 10)
        say(f"limit 1 again, {name}", f"all is stored after {seconds:.0f} s")
        waiting.wait()
        place.limit_pool(0)
    place.limit_pool(1)
    place.forget()
    killed = place.start(*commands["multiprocess"])
    wait_for(lambda: place.noted()["sent"] > 2)
    kill(killed)
    place.forget()
    following = place.start(*commands["multiprocess"])
    seconds = wait_for(lambda: place.noted()["sent"] > 0, LONG * 2)
    got = f"got the slot after {seconds:.0f} s" if seconds < LONG * 2 else "never got the slot"
    say("limit 1, its holder killed", f"the next run {got}; no daemon")
    with place.daemon():
        seconds = wait_for(lambda: place.noted()["sent"] > 0, LONG * 3)
    got = f"got it after {seconds:.0f} s" if seconds < LONG * 3 else f"not in {LONG * 3:.0f} s"
    say("… and with a daemon", got)
    kill(following)
    for run in place.instance.get_run_ids():
        place.instance.event_log_storage.free_concurrency_slots_for_run(run)
    place.limit_pool(10)


def queue(place: Place) -> None:
    """A limit of 0 for a tag of runs."""
    place.limit_queue(0)
    place.forget()
    with place.daemon():
        run_id = place.launch("multi", _TAG)
        time.sleep(LONG)
        say("limit 0, queued", f"{place.status(run_id)}; {dict(place.noted())}")
        command = ("job", "execute", "-f", JOBS, "-j", "single", "--tags", json.dumps(_TAG))
        place.start(*command).wait()
        say("limit 0, job execute", f"paid {place.noted()['stored']} times")
        place.forget()
        place.limit_queue(1)
        time.sleep(LONG)
        say("limit 1 in dagster.yaml", f"{place.status(run_id)} without a restart")
    with place.daemon():
        seconds = wait_for(lambda: place.noted()["sent"] > 2)
        say("… and after one", f"paid after {seconds:.0f} s")
        place.limit_queue(0)
        wait_for(lambda: place.status(run_id) == "SUCCESS")
        say("limit 0 while it pays", f"it goes on and pays {place.noted()['stored']} times")
        place.limit_queue(1)
    with place.daemon() as daemon:
        place.forget()
        first = place.launch("multi", _TAG)
        wait_for(lambda: place.noted()["sent"] > 2)
        place.kill_run_workers(daemon)
        place.forget()
        second = place.launch("multi", _TAG)
        time.sleep(LONG)
        say(
            "limit 1, a worker killed", f"{place.status(first)}; the next is {place.status(second)}"
        )
        seconds = wait_for(lambda: place.noted()["sent"] > 0, 180)
        say("… and then", f"the next pays after {seconds:.0f} s more")
    (place.home / "dagster.yaml").write_text(instance_settings())


def cancelling(place: Place) -> None:
    """Cancelling a run in the middle of a request, in the queue's processes and in a shell's."""
    place.forget()
    with place.daemon():
        run_id = place.launch("multi", {})
        wait_for(lambda: place.noted()["sent"] > 2)
        told = place.instance.run_launcher.terminate(run_id)
        wait_for(lambda: place.status(run_id) in ("CANCELED", "FAILURE", "SUCCESS"))
        lost = place.noted()["sent"] - place.noted()["stored"]
        say("a run that pays", f"{told}, {place.status(run_id)}; sent and not stored: {lost}")
        place.forget()
        place.backfill("halted")
        wait_for(lambda: place.noted()["sent"] > 2, 90)
        [run] = place.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": "halted"}))
        place.instance.run_launcher.terminate(run.run_id)
        seconds = wait_for(lambda: place.backfill_status("halted") != "REQUESTED", 120)
        say("a run of a backfill", f"{place.backfill_status('halted')} after {seconds:.0f} s")
    place.forget()
    shell = place.start("asset", "materialize", "-f", JOBS, "--select", "paid_asset")
    wait_for(lambda: place.noted()["sent"] > 2)
    newest = place.newest()
    answer = place.instance.run_launcher.terminate(newest.run_id)
    shell.wait()
    seen = f"{answer}, {place.status(newest.run_id)}; paid {place.noted()['stored']} times"
    say("asset materialize", seen)


def skipping(place: Place) -> None:
    """A sensor that asks for nothing stops nothing else."""
    place.forget()
    with place.daemon():
        run_id = place.launch("single", {})
        wait_for(lambda: place.status(run_id) == "SUCCESS")
    say("a run that a person launches", f"paid {place.noted()['stored']} times")


def wait_for(holds: Callable[[], bool], seconds: float = 60.0) -> float:
    """Seconds until it holds, or ``seconds``."""
    started = time.monotonic()
    while not holds() and time.monotonic() - started < seconds:
        time.sleep(0.1)
    return min(seconds, time.monotonic() - started)


def kill(process: subprocess.Popen[str]) -> None:
    """End a process and what it started, at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def say(what: str, seen: str) -> None:
    """One line."""
    console.print(f"[bold]{what}[/]: {seen}")


if __name__ == "__main__":
    main()
