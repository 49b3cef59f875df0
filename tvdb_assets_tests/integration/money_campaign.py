"""Ingestions in several processes under an adversary, and what was billed, stored and lost.

What belongs here: the processes, the adversary, and the counts. What does not: which counts are
right (`test_money_campaign`).

The adversary kills and stops processes, stops them for longer than the lease of a reservation,
cuts their connections to the database before and after a commit, restarts the database as after a
crash, changes limits, pauses, and takes the source away for a moment. All of it comes from a seed;
the timing is real.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from multiprocessing.process import BaseProcess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tvdb_assets.correlation import part_of
from tvdb_assets.dagster.ingest import plan
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.errors import TvdbError
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard import spend_limits
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets_tests.integration.ingestion_processes import (
    ProcessSettings,
    register,
    run_process,
    settings_of,
)
from tvdb_assets_tests.paid_apis import Behaviour, RunningServer, running_server
from tvdb_assets_tests.spend_guard.cutting_proxy import CuttingProxy, cutting_proxy
from tvdb_assets_tests.spend_guard.ledger_invariants import LIMITS, check_counters, rows
from tvdb_assets_tests.spend_guard.processes import start

PROCESSES = 3
DOCUMENTS = 14
"""In each folder."""
_FOLDER_SECONDS = 8.0
"""Until there is another folder."""
_RESERVATION_SECONDS = 4.0
_CLAIM_SECONDS = 12.0
_STOPS = (0.3, 2.0, 6.0, 14.0)
"""Seconds; some are longer than the lease of a reservation, the last is longer than a claim's."""
_LAST_ROUNDS = 5
_LAST_SECONDS = 300.0
"""The longest that the ingestion of a folder may take in the end, on a busy machine."""
_FAULTS = {
    "reset_after_work": 0.03,
    "reset_mid_body": 0.02,
    "server_error": 0.04,
    "rate_limited_seconds": 0.03,
}
_SETTINGS: dict[str, object] = {
    "paid_timeout_seconds": 30,
    "paid_max_wait_seconds": 2.0,
    "paid_attempts": 3,
}


@dataclass
class Counts:
    """The result of a campaign. The second half must be 0."""

    charges: int = 0
    entries: int = 0
    runs: int = 0
    """Ingestions with an entry in the ledger."""
    documents: int = 0
    published: int = 0
    delivered_to_the_killed: int = 0
    """Charges whose answer reached a process that was killed or stopped before it was stored."""
    adversary: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    """How ingestions ended that did not end well, by the type of the error."""
    without_entry: int = 0
    under_recorded: int = 0
    stored_twice: int = 0
    """Texts and files with two answers that were both stored."""
    billed_again: int = 0
    """Texts and files that were billed again though an answer was delivered to a process that
    lived on."""
    deleted: int = 0
    """Documents that are there and are not registered, or that a scan would delete."""


def run_campaign(folder: Path, seed: int, seconds: float) -> Counts:
    """Run the processes and the adversary for this time, then ingest the rest in peace."""
    server = EmbeddedPostgres(folder / "home")
    with ExitStack() as stack:
        stack.callback(server.stop)
        url = _new_database(server.ensure_running())
        proxy = stack.enter_context(cutting_proxy(url))
        apis = stack.enter_context(
            running_server(Behaviour(seed=seed, latency_seconds=0.06, job_seconds=0.3))
        )
        return _Campaign(folder, seed, server, url, proxy, apis).run(seconds)


def _new_database(url: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE campaign")
    made = urlunsplit(urlsplit(url)._replace(path="/campaign"))
    prepare(made)
    return made


class _Campaign:
    def __init__(
        self,
        folder: Path,
        seed: int,
        server: EmbeddedPostgres,
        url: str,
        proxy: CuttingProxy,
        apis: RunningServer,
    ) -> None:
        self.folder, self.server, self.url, self.proxy, self.apis = folder, server, url, proxy, apis
        self.draw = random.Random(seed)
        self.counts = Counts()
        self.roots: list[Path] = []
        self.processes: list[BaseProcess] = []
        self.stopped: dict[int, float] = {}
        """When each stopped process continues, by its pid."""
        self.disturbed: set[int] = set()
        """Pids of processes that were killed or stopped."""

    def run(self, seconds: float) -> Counts:
        for operation in ("embeddings", "submit"):
            self.apis.apis.faults.set_rates(_FAULTS, operation=operation, seconds=0.2)
        self._add_folder()
        self.processes = [self._start() for _ in range(PROCESSES)]
        began = time.monotonic()
        while not self.apis.apis.charges:  # On a busy machine, a process starts slowly.
            assert time.monotonic() - began < _LAST_SECONDS
            time.sleep(0.1)
        began = time.monotonic()
        steps: list[tuple[Callable[[], None], float]] = [
            (self._kill, 3.0),
            (self._stop, 2.0),
            (self._cut, 1.0),
            (self._restart, 20.0),
            (self._change_limits, 5.0),
            (self._take_source_away, 7.0),
            (self._reconcile, 3.0),
            (self._add_folder, _FOLDER_SECONDS),
        ]
        due = [began + self.draw.uniform(0.3, 1) * every for _, every in steps]
        while time.monotonic() - began < seconds:
            for at, (step, every) in enumerate(steps):
                if time.monotonic() >= due[at]:
                    with suppress(psycopg.Error):
                        step()
                        self.counts.adversary[step.__name__.strip("_")] += 1
                    due[at] = time.monotonic() + every * self.draw.uniform(0.5, 1.5)
            self._resume()
            time.sleep(0.02)
        self._end_in_peace()
        self._judge()
        return self.counts

    # --- the adversary

    def _start(self) -> BaseProcess:
        arguments = self.proxy.url, str(self.folder), self.apis.url, self.draw.getrandbits(32)
        return start(ingest_for_ever, *arguments)

    def _kill(self) -> None:
        place = self.draw.randrange(len(self.processes))
        process = self.processes[place]
        assert process.pid is not None
        self.disturbed.add(process.pid)
        process.kill()
        process.join()
        self.stopped.pop(process.pid, None)
        self.processes[place] = self._start()

    def _stop(self) -> None:
        pid = self.draw.choice(self.processes).pid
        assert pid is not None
        if pid not in self.stopped:
            self.disturbed.add(pid)
            self.stopped[pid] = time.monotonic() + self.draw.choice(_STOPS)
            os.kill(pid, signal.SIGSTOP)

    def _resume(self, *, is_end: bool = False) -> None:
        for pid, until in list(self.stopped.items()):
            if is_end or time.monotonic() >= until:
                del self.stopped[pid]
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _cut(self) -> None:
        if self.draw.random() < 0.3:
            self.proxy.cut()
        else:
            piece = self.draw.randrange(1, 60)
            self.proxy.arm(piece, is_answered=self.draw.random() < 0.5)

    def _restart(self) -> None:
        """As ``pg_ctl restart -m immediate``."""
        pid_file = self.folder / "home/postgres/data/postmaster.pid"
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGQUIT)
        time.sleep(self.draw.uniform(0, 1))
        self.server.ensure_running()

    def _change_limits(self) -> None:
        with Database(self.url, max_connections=2) as database:
            if self.draw.random() < 0.4:
                spend_limits.change(database, "is_paused", Decimal(1), changed_by="adversary")
                time.sleep(1)
                spend_limits.change(database, "is_paused", Decimal(0), changed_by="adversary")
            else:
                [(spent,)] = rows(
                    database,
                    "SELECT coalesce(max(spent_usd), 0) FROM tvdb.budget_windows"
                    " WHERE scope = '' AND period = 'day'",
                )
                usd = spent + Decimal(self.draw.choice(("-0.001", "0.05", "0.1")))
                limit = max(Decimal(0), usd).quantize(Decimal("0.0001"))
                spend_limits.change(database, "daily_usd", limit, changed_by="adversary")

    def _take_source_away(self) -> None:
        """Of a folder, or put an empty one in its place, as where a disk is not mounted."""
        root = self.draw.choice(self.roots)
        away = root.with_name(f"{root.name}-away")
        source = Source.open(str(root))
        root.rename(away)
        is_empty = self.draw.random() < 0.5
        if is_empty:
            root.mkdir()
        try:
            self.counts.deleted += self._would_delete(source)
        finally:
            if is_empty:
                root.rmdir()
            away.rename(root)

    def _would_delete(self, source: Source) -> int:
        """How many documents `tvdb ingest` would delete now."""
        settings = settings_of(_settings(self.url, Path(source.root), self.apis.url))
        with Database(self.url, max_connections=2) as database:
            try:
                planned = plan(source, (), DocumentRegistry(database), settings, 1 << 20)
            except TvdbError:  # it stops with a reason
                return 0
        return 0 if planned.unconfirmed is not None else len(planned.gone)

    def _reconcile(self) -> None:
        with Database(self.url, max_connections=2) as database:
            Ledger(database, LIMITS).reconcile()

    def _add_folder(self) -> None:
        root = self.folder / f"documents{len(self.roots)}"
        write_documents(root, len(self.roots), self.draw)
        with Database(self.url, max_connections=2) as database:
            register(database, root)
        self.roots.append(root)

    # --- the end

    def _end_in_peace(self) -> None:
        self.proxy.arm(0, is_answered=False)
        self._resume(is_end=True)
        for process in self.processes:
            assert process.pid is not None
            self.disturbed.add(process.pid)
            process.kill()
            process.join()
        with self.apis.lock:
            self.apis.apis.faults.clear()
        self.server.ensure_running()
        with Database(self.url) as database:
            spend_limits.change(database, "daily_usd", Decimal(50), changed_by="adversary")
            spend_limits.change(database, "is_paused", Decimal(0), changed_by="adversary")
            with database.transaction() as tx:
                tx.execute("DELETE FROM tvdb.service_states")  # breakers, and what was learned
        for root in self.roots:
            self.counts.deleted += self._would_delete(Source.open(str(root)))
        # A claim of a process that was killed, and a document that failed, take another round.
        for _ in range(_LAST_ROUNDS):
            for root in self._unfinished():
                process = start(run_process, _settings(self.url, root, self.apis.url))
                process.join(_LAST_SECONDS)
                assert process.exitcode == 0, f"the last ingestion ended with {process.exitcode}"
        with suppress(FileNotFoundError):
            self.counts.errors.update((self.folder / "errors").read_text().split())

    def _unfinished(self) -> list[Path]:
        """The folders with documents that are not published."""
        with Database(self.url, max_connections=2) as database:
            found = rows(
                database,
                "SELECT DISTINCT source FROM tvdb.documents WHERE status <> 'published'",
            )
        return sorted(root for root in self.roots if (str(root),) in found)

    def _judge(self) -> None:
        counts = self.counts
        with Database(self.url) as database:
            entries = {
                entry: (state, outcome, recorded, run_id)
                for entry, state, outcome, recorded, run_id in rows(
                    database,
                    "SELECT entry_id, state, outcome, coalesce(posted_usd, reserved_usd), run_id"
                    " FROM tvdb.cost_ledger",
                )
            }
            [(counts.documents, counts.published)] = rows(
                database,
                "SELECT count(*), count(*) FILTER (WHERE status = 'published') FROM tvdb.documents",
            )
            check_counters(database)
        counts.deleted += DOCUMENTS * len(self.roots) - counts.documents
        counts.entries = len(entries)
        counts.runs = len({run_id for *_, run_id in entries.values()})
        stored: Counter[tuple[str, str]] = Counter()
        delivered: Counter[tuple[str, str]] = Counter()
        for charge in self.apis.apis.charges:
            counts.charges += 1
            entry = entries.get(part_of(charge.client_request_id or ""))
            if entry is None:
                counts.without_entry += 1
                continue
            state, outcome, recorded, run_id = entry
            counts.under_recorded += state == "voided" or recorded < charge.dollars
            texts = {(charge.operation, digest): 1 for digest in charge.sha256}
            if outcome == "answered":
                stored.update(texts)
                delivered.update(texts)
            elif charge.answered and int(run_id.split("-")[1]) in self.disturbed:
                counts.delivered_to_the_killed += 1
            elif charge.answered:
                delivered.update(texts)
        counts.stored_twice = sum(times - 1 for times in stored.values())
        counts.billed_again = sum(times - 1 for times in delivered.values())


def write_documents(folder: Path, number: int, draw: random.Random) -> None:
    """Documents of which half are parsed by a paid service, with some texts in common."""
    folder.mkdir(parents=True)
    for at in range(DOCUMENTS):
        parts = [
            f"Clause {part} of document {at} in folder {number}: the insured pays "
            f"{draw.randrange(10**6)} euros a year, and is told so by letter."
            for part in range(4)
        ]
        parts.append(f"Sentence {draw.randrange(3)} of folder {number}, which several have.")
        if at % 2:
            text = "\n\n".join(f"## P{part}\n\n{text}" for part, text in enumerate(parts))
            (folder / f"{at:02}.md").write_text(text)
        else:
            body = "".join(f"<h2>P{part}</h2><p>{text}</p>" for part, text in enumerate(parts))
            (folder / f"{at:02}.html").write_text(f"<html><body>{body}</body></html>")


def _settings(url: str, root: Path, server: str, **more: object) -> ProcessSettings:
    return ProcessSettings(
        url,
        str(root),
        server,
        lease_seconds=_CLAIM_SECONDS,
        settings=_SETTINGS,
        **more,  # type: ignore[arg-type]
    )


def ingest_for_ever(url: str, folder: str, server: str, seed: int) -> None:
    """Ingest random documents of the newest folders, in this process, until it is killed."""
    draw = random.Random(seed)
    while True:
        roots = [path for path in Path(folder).glob("documents*") if "-away" not in path.name]
        try:
            root = draw.choice(sorted(roots, key=lambda path: path.stat().st_mtime)[-2:])
            names = sorted(os.listdir(root))
            # A new folder may have fewer than three documents yet.
            count = draw.randint(min(3, len(names)), len(names))
            run_process(
                _settings(
                    url,
                    root,
                    server,
                    paths=tuple(draw.sample(names, count)),
                    batch_documents=draw.choice((2, 3, 6)),
                    inputs=draw.choice((2, 4, 16)),
                    reservation_seconds=_RESERVATION_SECONDS,
                )
            )
        except Exception as error:  # a lost database, a source that is away
            with (Path(folder) / "errors").open("a") as errors:
                errors.write(f"{type(error).__name__}\n")
            time.sleep(0.1)
