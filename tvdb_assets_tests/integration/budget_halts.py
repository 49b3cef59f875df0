"""A project whose work costs money, in real processes: Dagster's daemon, a database, paid APIs.

What belongs here: starting, controlling, killing and watching them. What does not: the checks
(`test_budget_halts`, `budget_halts_campaign`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import psutil
import psycopg
from dagster._core.definitions.assets.graph.asset_graph_subset import AssetGraphSubset
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.scheduler.instigation import InstigatorTick

from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.dagster.storage.home import dagster_instance, instance_settings
from tvdb_assets.definitions import defs
from tvdb_assets.models import Stage
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.paid_apis import RunningServer
from tvdb_assets_tests.paid_router import learn_token_counts

PRICE = Decimal("0.02") / 1_000_000
"""US dollars per token of text-embedding-3-small, written out independently of the package."""
_REPOSITORY = Path(__file__).parents[2]
DAEMON = (
    # Dagster checks backfills every 30 seconds and sensors every 5; only this is changed.
    "import dagster._daemon.controller as c, dagster._daemon.sensor as s;"
    "c.DEFAULT_DAEMON_INTERVAL_SECONDS = 3; s.MIN_INTERVAL_LOOP_TIME = 3;"
    "from dagster._daemon.cli import main; main()"
)


@dataclass(frozen=True)
class CommandResult:
    """A process that has ended."""

    code: int
    output: str

    @property
    def json(self) -> dict[str, Any]:
        # The messages on stderr follow it.
        value, _ = json.JSONDecoder().raw_decode(self.output, self.output.index("{"))
        assert isinstance(value, dict)
        return value


class BudgetHaltProject:
    """One project. All its documents have the same cost and different texts."""

    def __init__(
        self, folder: Path, database_url: str, server: RunningServer, documents: int
    ) -> None:
        self.documents = documents
        self.database_url = database_url
        self.server = server
        self.folder = folder
        self.home = folder / "home"
        self.source = folder / "documents"
        self.source.mkdir(parents=True)
        self.home.mkdir()
        (self.home / "dagster.yaml").write_text(instance_settings() + _QUEUE, "utf-8")
        texts = [_text(number) for number in range(documents)]
        for number, text in enumerate(texts):
            (self.source / f"{number:03}.md").write_text(text, "utf-8")
        [tokens] = {count_tokens(text.strip()) for text in texts}
        self.cost = tokens * PRICE
        self._daemon: subprocess.Popen[bytes] | None = None
        self._groups: list[int] = []
        self._log = folder / "daemon.log"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("TVDB_", "DAGSTER"))},
            "DAGSTER_HOME": str(self.home),
            "TVDB_SOURCE": str(self.source),
            "TVDB_DATABASE_URL": database_url,
            "TVDB_PARSE_WORKERS": "1",
            "TVDB_PAID_CONCURRENCY": "1",
            "TVDB_SENSOR_SECONDS": "3",
            # Only the tests request runs.
            "TVDB_INTAKE_SECONDS": "0",
            "TVDB_SERVICE_MODE": "real",
            "TVDB_HOURLY_RATE_LIMIT": "100000",
            "TVDB_DAILY_COST_LIMIT": f"{documents * self.cost / 3:f}",
            "TVDB_RUN_PARTITIONS": str(documents * 3 // 4),
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "LLAMA_CLOUD_API_KEY": "llx-test",
            "LLAMA_CLOUD_BASE_URL": server.url,
            "PYTHONPATH": str(_REPOSITORY),
        }

        prepare(database_url)
        with Database(database_url) as database:
            learn_token_counts(
                database,
                load_settings(
                    OPENAI_API_KEY=self.environment["OPENAI_API_KEY"],
                    OPENAI_BASE_URL=self.environment["OPENAI_BASE_URL"],
                ),
            )

    @property
    def limit(self) -> Decimal:
        return Decimal(self.environment["TVDB_DAILY_COST_LIMIT"])

    def add_texts(self, instance: dg.DagsterInstance, count: int) -> list[str]:
        """Add documents like the first ones, as partitions; returns their keys."""
        names = [f"{self.documents + number:03}.md" for number in range(count)]
        for number, name in enumerate(names, self.documents):
            (self.source / name).write_text(_text(number), "utf-8")
        self.documents += count
        return self.register(instance, names)

    def add_paid_parses(self, count: int) -> None:
        """Add documents that a paid service parses, one call each."""
        for number in range(count):
            (self.source / f"page-{number:02}.html").write_text(
                f"<html><head><title>Page {number}</title></head><body><h1>Page {number}</h1>"
                f"<p>The form of series {number} is sent to the office within thirty days, with"
                " all papers and the number of the contract.</p></body></html>",
                "utf-8",
            )

    def run(self, command: str, *arguments: str, **settings: str) -> CommandResult:
        """Run a program of this environment to its end, as in a shell."""
        done = subprocess.run(
            [str(Path(sys.executable).parent / command), *arguments],
            cwd=self.folder,
            env={**self.environment, **settings},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        return CommandResult(done.returncode, done.stdout + done.stderr)

    def register(self, instance: dg.DagsterInstance, names: Sequence[str] = ()) -> list[str]:
        """Register every file, or those of ``names``, as a partition, as an ingest does first."""
        all_names = [f"{number:03}.md" for number in range(self.documents)]
        with Database.open(load_settings()) as database:
            source = Source.open(str(self.source))
            files = [source.stat(name) for name in names or all_names]
            keys = DocumentRegistry(database).register(source.root, files, run_id="")
        instance.add_dynamic_partitions("documents", keys)
        return keys

    def backfill(self, instance: dg.DagsterInstance, keys: Sequence[str]) -> str:
        """Request a backfill of all three assets, as the UI does; the daemon starts it."""
        backfill_id = uuid4().hex[:8]
        graph = defs().get_repository_def().asset_graph
        wanted = AssetGraphSubset.from_asset_partition_set(
            {
                AssetKeyPartitionKey(dg.AssetKey(stage.value), key)
                for stage in Stage
                for key in keys
            },
            graph,
        )
        instance.add_backfill(
            PartitionBackfill.from_asset_graph_subset(
                backfill_id=backfill_id,
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=instance,
                asset_graph_subset=wanted,
                title=None,
                description=None,
                run_config=None,
            )
        )
        return backfill_id

    def start_daemon(self, more: Sequence[str] = ("-m", "tvdb_assets.definitions")) -> None:
        """Start the daemon and its code server in a separate process group."""
        with self._log.open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-c", DAEMON, "run", *more],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._groups.append(self._daemon.pid)

    def run_workers(self) -> list[int]:
        """Process ids of the runs that are under way, whichever daemon started them."""
        return [p.pid for p in psutil.process_iter() if self._is_run_worker(p)]

    def _is_run_worker(self, process: psutil.Process) -> bool:
        try:
            is_ours = os.getpgid(process.pid) in self._groups
            return is_ours and "spawn_main" in " ".join(process.cmdline())
        except (psutil.Error, ProcessLookupError):
            return False

    def kill_daemon(self, number: int = signal.SIGKILL) -> None:
        """Kill only the daemon; ``SIGTERM`` lets it shut down."""
        assert self._daemon is not None
        self._daemon.send_signal(number)
        self._daemon.wait(60)
        self._daemon = None

    def end(self) -> None:
        """End all processes that were started here."""
        for group in self._groups:
            # Processes that outlived their daemon end too. An empty group no longer exists.
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        if self._daemon is not None:
            self._daemon.wait()
            self._daemon = None

    def daemon_log(self) -> str:
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def until(self, is_ok: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for a condition.

        Raises:
            AssertionError: it was not met in time; contains the end of the daemon's log.
        """
        deadline = time.monotonic() + seconds
        pause = threading.Event()
        while not is_ok():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s\n{self.daemon_log()[-4000:]}")
            if self._daemon is not None and self._daemon.poll() is not None:
                raise AssertionError(f"the daemon ended\n{self.daemon_log()[-4000:]}")
            pause.wait(0.1)

    def turn_window(self, days: int) -> None:
        """Move the clock ahead by days, for every connection that is opened from now on."""
        name = self.database_url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} SET tvdb.clock_offset = '{days} days'")

    def statuses(self) -> dict[str, int]:
        """The number of documents by status."""
        with psycopg.connect(self.database_url) as connection:
            rows: list[tuple[str, int]] = connection.execute(
                "SELECT status, count(*) FROM tvdb.documents GROUP BY 1"
            ).fetchall()
        return dict(rows)

    def settled_in_this_window(self) -> int:
        """The number of documents that are published, or were deferred in this budget day."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM tvdb.documents WHERE status = 'published' OR"
                " (status = 'deferred' AND"
                "  deferred_at >= date_trunc('day', tvdb.clock() AT TIME ZONE 'UTC')"
                "    AT TIME ZONE 'UTC')"
            ).fetchone()
        assert row is not None
        return int(row[0])

    def spent_by_day(self) -> list[Decimal]:
        """US dollars in the ledger for each budget day, oldest first."""
        with psycopg.connect(self.database_url) as connection:
            rows = connection.execute(
                "SELECT sum(coalesce(posted_usd, reserved_usd)) FROM tvdb.cost_ledger"
                " WHERE state <> 'voided' GROUP BY day ORDER BY day"
            ).fetchall()
        return [row[0] for row in rows]

    def paid(self) -> tuple[Decimal, int]:
        """US dollars that the server has billed, and the number of texts that were sent again."""
        with self.server.lock:
            apis = self.server.apis
            # A file that equals its text is billed once by each service.
            sent = Counter((c.service, digest) for c in apis.charges for digest in c.sha256)
            return apis.dollars, sum(times - 1 for times in sent.values())

    def submitted(self) -> int:
        """The number of documents that were submitted to the paid parser."""
        with self.server.lock:
            return sum(request.operation == "submit" for request in self.server.apis.requests)

    def reserved_after_the_newest_change(self) -> int:
        """The number of paid calls that started after the last change of limits or a pause."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM tvdb.cost_ledger"
                " WHERE reserved_at > (SELECT max(changed_at) FROM tvdb.limit_changes)"
            ).fetchone()
        assert row is not None
        return int(row[0])

    def waiting(self) -> int:
        return self.statuses().get("deferred", 0)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Open Dagster's instance in this process, which needs the environment of the project."""
        with dagster_instance(load_settings()) as opened:
            yield opened


def is_idle(instance: dg.DagsterInstance) -> bool:
    """Whether no run is queued or running."""
    under_way = [
        *(dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED),
        *(dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED),
    ]
    return not instance.get_runs(dg.RunsFilter(statuses=under_way), limit=1)


def backfill_status(instance: dg.DagsterInstance, backfill_id: str) -> BulkActionStatus:
    backfill = instance.get_backfill(backfill_id)
    assert backfill is not None
    return backfill.status


@contextmanager
def new_database(server_url: str, name: str) -> Iterator[str]:
    """A new and empty database, dropped at the end."""
    url = server_url.replace("/tvdb?", f"/{name}?")
    assert url != server_url
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield url
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def resumed(instance: dg.DagsterInstance) -> int:
    """The number of runs that the sensor has requested."""
    return instance.get_runs_count(dg.RunsFilter(tags={"tvdb/requested_by": "cost_sensor"}))


def ticks(instance: dg.DagsterInstance) -> list[InstigatorTick]:
    """The ticks of the cost sensor, oldest first."""
    [sensor] = [s for s in instance.all_instigator_state() if s.instigator_name == "cost_sensor"]
    found = instance.get_ticks(sensor.instigator_origin_id, sensor.selector_id)
    return sorted(found, key=lambda tick: tick.timestamp)


_QUEUE = """
concurrency:
  runs:
    max_concurrent_runs: 2
"""


def _text(number: int) -> str:
    # Any three digits are one token.
    return (
        f"# Rule {number + 100}\n\nThe claims of series {number + 100} are paid within thirty"
        " days after the office has received all papers, and the payment is noted in the file.\n"
    )


__all__ = [
    "DAEMON",
    "PRICE",
    "BudgetHaltProject",
    "CommandResult",
    "backfill_status",
    "is_idle",
    "new_database",
    "resumed",
    "ticks",
]
