"""Files change, services fail and processes are killed: the index stays correct.

What belongs here: the rounds of a soak test, the invariants during it, and the checks at its end:
the same rows as after a fresh build, and no double payment without a recorded reason. What does
not: the files (`changing_source`) and the processes (`soak`).

The clock is moved, so that hours and a midnight pass. A seed draws all that happens, but not how
far a process has come when it is killed: so a failure comes back often, and not always. At full
size there are more rounds and seeds, in both modes that pay::

    python -m pytest tvdb_assets_tests/integration/test_soak.py --full -s
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tvdb_assets.correlation import part_of
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets_tests.integration.changing_source import ChangingSource, clauses_of
from tvdb_assets_tests.integration.ingestion_processes import ALL_POINTS
from tvdb_assets_tests.integration.soak import (
    COST,
    INTAKE_REASONS,
    MAINTENANCE,
    NIGHT,
    RETRY,
    RUNS,
    ProcessResult,
    Project,
    Tags,
    built,
    do,
    rows_of,
)
from tvdb_assets_tests.integration.test_ingestion_kills import check_no_document_is_partly_visible
from tvdb_assets_tests.paid_apis import FaultKind, RunningServer, running_server
from tvdb_assets_tests.spend_guard.ledger_invariants import (
    check_counters,
    ledger_usd,
    rows,
    settle_by,
)
from tvdb_assets_tests.spend_guard.processes import Crew

F = FaultKind
_AWAY = (F.RATE_LIMITED_SECONDS, F.SERVER_ERROR, F.UNAVAILABLE, F.BAD_GATEWAY_HTML) + (
    F.RESET_BEFORE_WORK,
)
_LOST = (F.RESET_AFTER_WORK, F.RESET_MID_BODY, F.SLOW)
_UNUSABLE = (F.TRUNCATED_JSON, F.EMPTY_BODY, F.HTML_200)
_MALFORMED = (F.ONE_TOO_FEW, F.MISSING_INDEX, F.DUPLICATED_INDEX, F.WRONG_DIMENSIONS)
_FAULTS = {
    "embeddings": (*_AWAY, *_LOST, *_UNUSABLE, *_MALFORMED),
    "submit": (*_AWAY, *_LOST, *_UNUSABLE),
    "poll": (*_AWAY, *_UNUSABLE),
}
_SLOW_SECONDS = 2.5
"""Longer than the client's timeout."""
_SPOILT = {fault.value for fault in (*_UNUSABLE, *_MALFORMED)}
_QUIET_ROUNDS = 8
TICKS, WORK = 0, 1
"""Positions in the crew: the process for ticks, and the process for runs."""


class Soak:
    """One project; all faults and changes are drawn from a seed."""

    def __init__(
        self, seed: int, folder: Path, database: Database, server: RunningServer, crew: Crew
    ) -> None:
        """The two processes of the crew are waiting."""
        self.draw = random.Random(seed)
        self.database = database
        self.server = server
        self.files = ChangingSource(folder / "documents", self.draw)
        mode = "hybrid" if seed % 2 else "real"
        more = {"TVDB_HOURLY_RATE_LIMIT": "60"}
        self.project = Project(
            database.url, folder / "home", self.files.root, server.url, mode, more
        )
        self.crew = crew
        self.in_flight: set[str] = set()
        """Ledger entries that were open when the working process was killed."""
        self.counts: Counter[str] = Counter()
        with database.transaction() as tx:
            tx.execute(_NOTE_DELETIONS)
        # Shortly before a midnight, which thus passes; not today's, as no clock is set back.
        now = datetime.now(UTC)
        midnight = (now + timedelta(days=2)).replace(hour=0, minute=0, second=0, microsecond=0)
        self.project.forward((midnight - now).total_seconds() / 60 - 100)

    def round(self) -> None:
        """Change files, move the clock, inject faults, execute the requested runs and kill some."""
        draw = self.draw
        self.counts["rounds"] += 1
        self.files.change(draw.randint(2, 6))
        minutes = draw.uniform(6, 40)
        is_night = draw.random() < 0.15
        self.project.forward(minutes)
        self._faults_of_round()
        asked = [
            *self._tick(COST),
            *self._tick(INTAKE_REASONS),
            *(self._tick(NIGHT) if is_night else ()),
        ]
        while asked:
            asked = self._work(asked)

    def _faults_of_round(self) -> None:
        with self.server.lock:
            faults = self.server.apis.faults
            faults.clear()
            for operation, kinds in _FAULTS.items():
                severity = self.draw.choice((0.0, 0.1, 0.3, 0.6))
                chosen = self.draw.sample(kinds, self.draw.randint(1, 4))
                seconds = _SLOW_SECONDS if F.SLOW in chosen else self.draw.choice((0.05, 5.0))
                rates = {kind: severity / len(chosen) for kind in chosen}
                if F.SLOW in rates:
                    rates[F.SLOW] /= 4
                faults.set_rates(rates, operation=operation, seconds=seconds)

    def _tick(self, what: str, *, kills: bool = True) -> list[Tags]:
        """Evaluate one tick; now and then its process is killed, and nobody gets what it asked."""
        missing = self.files.missing
        self.crew.send(TICKS, self.project.errand(what))
        self.counts["ticks"] += 1
        if (
            kills
            and self.draw.random() < 0.07
            and not self.crew.is_done(TICKS, self.draw.uniform(0, 0.5))
        ):
            self._killed(TICKS)
            return []
        done: ProcessResult = self.crew.answer(TICKS)
        self.project.note(what, done)
        if what == INTAKE_REASONS:
            self.files.looked(missing)
        self.check()
        return list(done.runs)

    def _work(self, asked: list[Tags], *, kills: bool = True) -> list[Tags]:
        """Execute these runs, while files change and ticks follow; returns what those asked for."""
        draw = self.draw
        point, nth = "", 1
        if kills and draw.random() < 0.3:
            point, nth = draw.choice(ALL_POINTS), draw.randint(1, 3)
        errand = self.project.errand(RUNS, runs=tuple(asked), point=point, nth=nth)
        self.crew.send(WORK, errand)
        self.counts["runs"] += len(asked)
        more: list[Tags] = []
        if kills and draw.random() < 0.5:
            self.crew.is_done(WORK, draw.uniform(0, 1))
            self.files.change(draw.randint(1, 3))
            more = self._tick(INTAKE_REASONS)
        is_to_die = kills and not point and draw.random() < 0.25
        if is_to_die and not self.crew.is_done(WORK, draw.uniform(0, 1.5)):
            self._killed(WORK)
            return more
        while not self.crew.is_done(WORK, 0.2):
            self.check()
        try:
            self.crew.answer(WORK)
        except EOFError:
            self._killed(WORK)
        self.check()
        return more

    def _killed(self, place: int) -> None:
        """Kill a process, unless it killed itself; note what it had in flight; start another."""
        self.crew.kill(place)
        self.crew.replace(place)
        self.counts["kills"] += 1
        if place == WORK:
            # A job that was noted is awaited by the next run.
            open_now = rows(
                self.database,
                "SELECT entry_id::text FROM tvdb.cost_ledger"
                " WHERE state = 'pending' AND job_id IS NULL",
            )
            self.in_flight |= {entry for (entry,) in open_now}

    def check(self) -> None:
        """Check the invariants of each moment."""
        self.counts["checks"] += 1
        with self.server.lock:
            billed = self.server.apis.dollars
        assert ledger_usd(self.database) >= billed
        check_no_document_is_partly_visible(self.database)
        assert self.files.wrong(self.shown()) == []

    def shown(self) -> dict[str, frozenset[int]]:
        """The clauses of each document in search, where all is real."""
        found: dict[str, list[str]] = {}
        for document, text, mode, is_degraded in rows(
            self.database, "SELECT document, text, mode, is_degraded FROM tvdb.search_index"
        ):
            assert (mode, is_degraded) == ("real", False)
            found.setdefault(document, []).append(text)
        return {document: clauses_of(texts) for document, texts in found.items()}

    def end(self) -> None:
        """End all faults and let everything recover; then delete what is no longer needed."""
        with self.server.lock:
            self.server.apis.faults.clear()
        self._settle()
        left = {path for path, _ in self.unpublished()} - {"broken.pdf"}
        self.counts["left alone until somebody asks"] = len(left)
        if left:
            self._job(RETRY)
            self._settle()
        left = {path for path, _ in self.unpublished()}
        assert left == {"broken.pdf"}, self.rows_at(left)
        self._job(MAINTENANCE, TVDB_CACHE_DAYS="0")

    def rows_at(self, paths: Collection[str]) -> list[str]:
        """All that is known of these documents, and of services, for who has to find out why."""
        documents = rows(
            self.database,
            "SELECT to_jsonb(d)::text, tvdb.clock(), (SELECT json_agg(e ORDER BY event_id)::text"
            " FROM tvdb.document_events e WHERE e.document_id = d.document_id)"
            " FROM tvdb.documents d WHERE path = ANY(%s) OR container_id IN (SELECT document_id"
            "   FROM tvdb.documents WHERE path = ANY(%s)) ORDER BY path",
            list(paths),
            list(paths),
        )
        services = rows(self.database, "SELECT service, state::text FROM tvdb.service_states")
        return [*map(str, documents), *map(str, services)]

    def unpublished(self) -> list[tuple[str, str]]:
        """Documents that are not published: path, and the kind of their quarantine."""
        return rows(
            self.database,
            "SELECT path, quarantine FROM tvdb.documents WHERE status <> 'published' ORDER BY 1",
        )

    def _settle(self) -> None:
        """Let days pass until nothing is asked for any more."""
        for _ in range(_QUIET_ROUNDS):
            self.project.forward(24 * 60 + 1)
            asked = [
                run
                for what in (COST, INTAKE_REASONS, NIGHT)
                for run in self._tick(what, kills=False)
            ]
            if not asked:
                return
            self.counts["quiet rounds"] += 1
            self._work(asked, kills=False)
        raise AssertionError("something is due for ever")

    def _job(self, what: str, **more: str) -> None:
        """Run one of the jobs that people start."""
        self.crew.send(
            TICKS, replace(self.project, more={**self.project.more, **more}).errand(what)
        )
        self.crew.answer(TICKS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """An odd seed is one of the mode hybrid."""
    is_full = metafunc.config.getoption("--full")
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(1, 5) if is_full else (1,))


@pytest.mark.timeout(1_800)
def test_after_faults_and_kills_the_index_equals_a_fresh_build(
    seed: int, database: Database, empty_url: str, tmp_path: Path, is_full: bool
) -> None:
    with running_server() as server, Crew(do, 2) as crew:
        soak = Soak(seed, tmp_path, database, server, crew)
        for _ in range(20 if is_full else 3):
            soak.round()
        soak.end()
        lacking = soak.files.lacking(soak.shown())
        assert lacking == [], soak.rows_at(lacking)
        check_paid(soak)
        print(f"seed {seed}:", dict(soak.counts))
    prepare(empty_url)
    with running_server() as server:
        built(replace(soak.project, url=empty_url, home=tmp_path / "fresh", server=server.url))
    made, wanted = rows_of(database.url), rows_of(empty_url)
    for table, rows_wanted in wanted.items():
        both = Counter(made[table]) & Counter(rows_wanted)
        more, fewer = Counter(made[table]) - both, Counter(rows_wanted) - both
        assert not more and not fewer, (table, list(more)[:5], list(fewer)[:5])


def check_paid(soak: Soak) -> None:
    """Each text, and each file, was paid for once; what was paid again is on record with why.

    That is: an answer that was lost on the way, one that could not be used, one that was in
    flight at a kill, or what was made of a text went with its last document before it came back.
    """
    database, apis = soak.database, soak.server.apis
    answered = {
        entry
        for (entry,) in rows(
            database,
            "SELECT entry_id::text FROM tvdb.cost_ledger"
            " WHERE operation = 'embed' AND (state, outcome) = ('posted', 'answered')"
            # A job may wait for ever for a file that went before its text was fetched.
            " UNION SELECT entry_id::text FROM tvdb.parse_jobs WHERE state <> 'failed'",
        )
    }
    # An answer that came just as its reader gave up is lost by the ledger alone.
    lost = {
        entry
        for (entry,) in rows(
            database, "SELECT entry_id::text FROM tvdb.cost_ledger WHERE outcome = 'lost'"
        )
    }
    faults = {request.request_id: request.fault for request in apis.requests}
    kept: Counter[tuple[str, str]] = Counter()
    for charge in apis.charges:
        entry = str(part_of(charge.client_request_id or ""))
        soak.counts[f"paid: {charge.operation}"] += len(charge.sha256)
        if entry in answered:
            kept.update((charge.operation, digest) for digest in charge.sha256)
            continue
        why = (
            "lost"
            if not charge.answered or entry in lost
            else "unusable"
            if faults[charge.request_id] in _SPOILT
            else "in flight at a kill"
            if entry in soak.in_flight
            else "for nothing"
        )
        soak.counts[f"paid, {why}: {charge.operation}"] += len(charge.sha256)
    came_back = Counter(
        rows(database, "SELECT operation, encode(sha256, 'hex') FROM public.deleted")
    )
    for key, times in kept.items():
        assert times <= 1 + came_back[key], key
        soak.counts[f"distinct: {key[0]}"] += 1
        soak.counts[f"paid, came back: {key[0]}"] += times - 1
    for operation in ("embeddings", "parse"):
        assert soak.counts[f"paid, for nothing: {operation}"] == 0, operation
        again = ("lost", "unusable", "in flight at a kill", "came back")
        assert soak.counts[f"paid: {operation}"] == soak.counts[f"distinct: {operation}"] + sum(
            soak.counts[f"paid, {why}: {operation}"] for why in again
        )
    check_counters(database)
    assert ledger_usd(database) >= apis.dollars
    settle_by(database, apis.charges)
    assert ledger_usd(database) == apis.dollars


_NOTE_DELETIONS = """
CREATE TABLE public.deleted (operation text NOT NULL, sha256 bytea NOT NULL);
CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'embeddings' THEN
        INSERT INTO public.deleted VALUES ('embeddings', OLD.text_sha256);
    ELSE
        INSERT INTO public.deleted VALUES ('parse', OLD.content_sha256);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER noted AFTER DELETE ON tvdb.embeddings FOR EACH ROW
WHEN (NOT OLD.is_degraded) EXECUTE FUNCTION public.note();
CREATE TRIGGER noted AFTER DELETE ON tvdb.parsed_documents FOR EACH ROW
WHEN (NOT OLD.is_degraded) EXECUTE FUNCTION public.note()
"""
