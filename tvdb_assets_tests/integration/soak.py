"""A project that runs itself, in real processes: one evaluates ticks, one executes the runs.

What belongs here: starting these processes, their tasks, killing them, moving the
clock, reading the rows that are compared. What does not: the files (`changing_source`), or the
checks (`test_soak`).

The processes are what a daemon and its run workers are, less the seconds that each run of
Dagster takes to start: both stay, until they are killed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import stamina
from psycopg import sql
from psycopg.rows import dict_row

from tvdb_assets.embedding.providers.openai import OpenAIEmbedder
from tvdb_assets.ingestion import runner
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets_tests.integration.ingestion_processes import CHUNK_TOKENS, Inline, Killer
from tvdb_assets_tests.spend_guard.processes import Crew

INTAKE_REASONS, COST, NIGHT = "document_intake", "cost_sensor", "nightly_catch_up"
RETRY, MAINTENANCE = "retry_documents", "maintenance"
RUNS = "runs"

Tags = dict[str, str]


@dataclass(frozen=True)
class ProcessTask:
    """The task of a process."""

    environment: Mapping[str, str]
    """Settings; the project is the same in all tasks of one process."""
    what: str
    """A sensor, a schedule or a job by its name, or `RUNS`."""
    cursor: str | None = None
    """The cursor of the sensor."""
    runs: tuple[Tags, ...] = ()
    point: str = ""
    """The point at which the process kills itself, at the ``nth`` arrival; empty for none."""
    nth: int = 1


@dataclass(frozen=True)
class ProcessResult:
    """The result of a task."""

    runs: tuple[Tags, ...] = ()
    """The tags of the runs that a tick requested."""
    cursor: str | None = None


def do(errand: ProcessTask) -> ProcessResult:
    """Execute a task in this process."""
    os.environ.update(errand.environment)
    instance = _instance()
    if errand.what == RUNS:
        return _execute(instance, errand)
    if errand.what in (RETRY, MAINTENANCE):
        from tvdb_assets.definitions import defs

        assert defs().resolve_job_def(errand.what).execute_in_process(instance=instance).success
        return ProcessResult()
    return _tick(instance, errand)


@cache
def _instance() -> Any:
    """Dagster's instance, and everything that is done once in a process."""
    from tvdb_assets.dagster.storage.home import dagster_instance
    from tvdb_assets.settings import load_settings

    _open.enter_context(stamina.set_testing(True, attempts=20, cap=True))
    runner.BATCH_DOCUMENTS, OpenAIEmbedder.max_inputs = 3, 4
    made = ServiceRouter.__init__

    def make(self: ServiceRouter, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **{"observer": _Watching(), **named})
        self.services.__dict__["workers"] = Inline()

    ServiceRouter.__init__ = make  # type: ignore[method-assign]
    return _open.enter_context(dagster_instance(load_settings()))


_open = ExitStack()
"""Until the process ends."""
_killers: list[Killer] = []


class _Watching:
    """Forward the events of the guard to the killer of the current task."""

    def reached(self, point: str, *about: Any) -> None:
        for killer in _killers:
            killer.reached(point, *about)


def _execute(instance: Any, errand: ProcessTask) -> ProcessResult:
    from tvdb_assets.dagster import ingest

    killer = Killer(errand.point, errand.nth)
    _killers[:] = [killer]
    for tags in errand.runs:
        ingest.run(instance, tags, lambda _: None)
    killer.left = 0
    return ProcessResult()


def _tick(instance: Any, errand: ProcessTask) -> ProcessResult:
    import dagster as dg

    from tvdb_assets.definitions import defs

    repository = defs().get_repository_def()
    given: dict[str, Any] = {
        "instance": instance,
        "repository_def": repository,
        "resources": dict(defs().resources or {}),
    }
    if errand.what == NIGHT:
        with dg.build_schedule_context(**given) as evening:
            asked = repository.get_schedule_def(NIGHT).evaluate_tick(evening).run_requests
        return ProcessResult(tuple(dict(request.tags) for request in asked or ()))
    with dg.build_sensor_context(**given, cursor=errand.cursor) as context:
        ticked = repository.get_sensor_def(errand.what).evaluate_tick(context)
    return ProcessResult(tuple(dict(r.tags) for r in ticked.run_requests or ()), ticked.cursor)


@dataclass
class Project:
    """A database, a home and a folder, and the two processes that work on them."""

    url: str
    home: Path
    source: Path
    server: str
    mode: str
    more: Mapping[str, str] = field(default_factory=dict)
    """Settings."""

    def __post_init__(self) -> None:
        """Nothing is started."""
        self.offset = 0.0
        """Minutes by which the clock is ahead."""
        self._cursors: dict[str, str | None] = {}
        with psycopg.connect(self.url, autocommit=True) as connection:
            # Only processes are killed, not the server, and each commit would wait for the disk.
            self._set(connection, "synchronous_commit", "off")

    def errand(self, what: str, **more: Any) -> ProcessTask:
        environment = {
            "DAGSTER_HOME": str(self.home),
            "TVDB_DATABASE_URL": self.url,
            "TVDB_SOURCE": str(self.source),
            "TVDB_SERVICE_MODE": self.mode,
            "TVDB_CHUNK_TOKENS": str(CHUNK_TOKENS),
            "TVDB_CHUNK_OVERLAP_TOKENS": "0",
            "TVDB_INTAKE_SETTLE_SECONDS": "0",
            "TVDB_RUN_PARTITIONS": "6",
            "TVDB_PAID_TIMEOUT_SECONDS": "2",
            "TVDB_PAID_MAX_WAIT_SECONDS": "0.3",
            "TVDB_PAID_ATTEMPTS": "3",
            "OPENAI_API_KEY": "sk-of-the-test",
            "OPENAI_BASE_URL": f"{self.server}/v1",
            "LLAMA_CLOUD_API_KEY": "llx-of-the-test",
            "LLAMA_CLOUD_BASE_URL": self.server,
            **self.more,
        }
        return ProcessTask(environment, what, self._cursors.get(what), **more)

    def note(self, what: str, done: ProcessResult) -> None:
        """Keep a sensor's cursor, as Dagster does once a tick has ended."""
        if done.cursor is not None:
            self._cursors[what] = done.cursor

    def forward(self, minutes: float) -> None:
        """Move the clock ahead, for sessions that are opened from now on.

        Dagster's own clock can't be moved: what it noted of its runs becomes older instead.
        """
        self.offset += minutes
        with psycopg.connect(self.url, autocommit=True) as connection:
            self._set(connection, "tvdb.clock_offset", f"{self.offset} minutes")
            if connection.execute("SELECT to_regclass('dagster.runs')").fetchone() != (None,):
                connection.execute(
                    "UPDATE dagster.runs SET start_time = start_time - %(seconds)s,"
                    " create_timestamp = create_timestamp - make_interval(secs => %(seconds)s),"
                    " update_timestamp = update_timestamp - make_interval(secs => %(seconds)s)",
                    {"seconds": minutes * 60},
                )

    def _set(self, connection: psycopg.Connection[Any], name: str, value: str) -> None:
        """Set a default for all new sessions of the database."""
        database, setting = sql.Identifier(connection.info.dbname), sql.SQL(name)  # type: ignore[arg-type]
        statement = sql.SQL("ALTER DATABASE {} SET {} = {}")
        connection.execute(statement.format(database, setting, sql.Literal(value)))


def built(project: Project) -> None:
    """Build a fresh index: one tick, the runs that it asks for, and the night's maintenance."""
    with Crew(do, 1) as crew:
        [asked] = crew.run([project.errand(INTAKE_REASONS)])
        crew.run([project.errand(RUNS, runs=asked.runs)])
        crew.run([project.errand(MAINTENANCE)])


_NUMBERED = ("document", "container", "parsed", "chunk_set", "chunk", "vector")
_NUMBERS = {f"{of}_id" for of in _NUMBERED}
_ASIDE = {*_NUMBERS, "space_id", "index_id", "run_id", "attempts", "next_attempt_at"} | {
    f"{done}_at" for done in ("created", "updated", "registered", "published")
}
"""Numbers of rows, runs and times, which two databases do not share."""
_TABLES = {
    "documents": "SELECT d.*, c.path AS container FROM tvdb.documents d"
    " LEFT JOIN tvdb.documents c ON c.document_id = d.container_id",
    "parsed_documents": "SELECT p.*, d.path FROM tvdb.parsed_documents p"
    " JOIN tvdb.documents d USING (document_id)",
    "chunk_sets": "SELECT k.*, d.path, p.content_sha256 FROM tvdb.chunk_sets k"
    " JOIN tvdb.parsed_documents p USING (parsed_id)"
    " JOIN tvdb.documents d ON d.document_id = k.document_id",
    "chunks": "SELECT c.*, d.path, k.fingerprint FROM tvdb.chunks c"
    " JOIN tvdb.chunk_sets k USING (chunk_set_id)"
    " JOIN tvdb.documents d ON d.document_id = k.document_id",
    "embeddings": "SELECT e.*, s.label FROM tvdb.embeddings e"
    " JOIN tvdb.vector_spaces s USING (space_id)",
    "publications": "SELECT d.path, s.label, i.chunker, p.content_sha256, k.chunk_count"
    " FROM tvdb.publications u JOIN tvdb.documents d USING (document_id)"
    " JOIN tvdb.indexes i USING (index_id) JOIN tvdb.vector_spaces s USING (space_id)"
    " JOIN tvdb.chunk_sets k USING (chunk_set_id) JOIN tvdb.parsed_documents p USING (parsed_id)",
    "search_index": "SELECT * FROM tvdb.search_index",
}


def rows_of(url: str) -> dict[str, list[str]]:
    """All rows of each table, without what two databases do not share, in one order."""
    found = {}
    with psycopg.connect(url, row_factory=dict_row) as connection:
        for table, query in _TABLES.items():
            rows: Sequence[dict[str, Any]] = connection.execute(query).fetchall()
            kept = ({k: v for k, v in row.items() if k not in _ASIDE} for row in rows)
            found[table] = sorted(json.dumps(row, default=_plain, sort_keys=True) for row in kept)
    return found


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
