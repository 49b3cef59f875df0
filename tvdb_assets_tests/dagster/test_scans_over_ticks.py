"""Scans of a source that is too large for one tick, and requests whose tick was lost."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import pytest

from tvdb_assets import error_codes as codes
from tvdb_assets.dagster import source_scanner
from tvdb_assets.dagster.reconciler import Reconciler
from tvdb_assets.dagster.source_scanner import IntakeSummary, TimeLimit
from tvdb_assets.models import SourceFile
from tvdb_assets.settings import load_settings
from tvdb_assets.sources.source import Source
from tvdb_assets.sources.source_store import ListedPage
from tvdb_assets_tests.dagster.project import TEXTS, Project

# Dagster itself still uses pydantic's old name.
pytestmark = pytest.mark.filterwarnings("ignore:The `__fields__` attribute is deprecated")

_ROOT = "s3://simulated"
_PAGE = 100
_PAGE_SECONDS = 0.1
_TICK_SECONDS = 60.0


@dataclass
class Clock:
    """Time that passes only when a page is listed."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class SimulatedBucket:
    """A bucket with these keys; each page takes a tenth of a second."""

    keys: list[str]
    page: int = _PAGE
    clock: Clock = field(default_factory=Clock)
    unlisted: frozenset[str] = frozenset()
    listings: int = 0

    def list(self, prefix: str) -> Iterator[SourceFile]:
        raise NotImplementedError

    def stat(self, path: str) -> SourceFile:
        raise NotImplementedError

    def read(self, path: str, max_bytes: int) -> bytes:
        raise NotImplementedError

    def pages(self, after: str) -> Iterator[ListedPage]:
        self.listings += 1
        keys = iter([key for key in self.keys if key > after])
        while page := list(islice(keys, self.page)):
            self.clock.now += _PAGE_SECONDS
            hidden = [codes.UNLISTED.error(kind="EIO").about(p) for p in sorted(self.unlisted)]
            files = [
                SourceFile(key, 100, f"etag of {key}")
                for key in page
                if not any(key.startswith(part + "/") for part in self.unlisted)
            ]
            yield ListedPage([*files, *hidden], page[-1])


def keys(count: int) -> list[str]:
    return [f"d{n // _PAGE:04}/f{n:07}.md" for n in range(count)]


@pytest.fixture
def reconciler(project: Project) -> Iterator[Reconciler]:
    with Reconciler.open(load_settings(), project.instance) as opened:
        yield opened


def scan(reconciler: Reconciler, bucket: SimulatedBucket, seconds: float = 0.5) -> IntakeSummary:
    with reconciler.due.planning():
        limit = TimeLimit(seconds, bucket.clock)
        return reconciler.scan_source(Source(_ROOT, bucket), 1_000_000, limit)


def whole_scan(reconciler: Reconciler, bucket: SimulatedBucket) -> list[IntakeSummary]:
    """All ticks of a scan, each in a new process."""
    summaries = [scan(reconciler, bucket)]
    while not summaries[-1].is_complete:
        source_scanner._LISTINGS.clear()
        summaries.append(scan(reconciler, bucket))
    return summaries


def test_many_keys_are_taken_in_over_ticks_that_end_in_time(
    reconciler: Reconciler, is_full: bool
) -> None:
    count, seconds = (1_000_000, 15.0) if is_full else (1_200, 0.5)
    bucket = SimulatedBucket(keys(count), page=1_000 if is_full else _PAGE)
    started, summary, ticks, peak = 0.0, IntakeSummary(is_complete=False), 0, 0
    while not summary.is_complete:
        started, ticks = bucket.clock.now, ticks + 1
        if ticks % 2:
            # Every second tick is in a new process, which begins a listing at the position.
            source_scanner._LISTINGS.clear()
        tracemalloc.start()
        summary = scan(reconciler, bucket, seconds)
        peak = max(peak, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert bucket.clock.now - started < min(_TICK_SECONDS, seconds + 2 * _PAGE_SECONDS)
    pages = count // bucket.page
    assert ticks == pages // int(seconds / _PAGE_SECONDS) + 1
    assert bucket.clock.now == pytest.approx(pages * _PAGE_SECONDS), "no page is listed twice"
    assert summary.listed == count
    assert len(reconciler.registry.listed(_ROOT)) == count
    assert sum(s.new for s in whole_scan(reconciler, bucket)) == 0
    print(f"{count} keys: {ticks} ticks, peak {peak >> 20} MiB")


def test_only_a_complete_scan_takes_a_file_for_gone(reconciler: Reconciler) -> None:
    bucket = SimulatedBucket(keys(700))
    whole_scan(reconciler, bucket)
    first, last = bucket.keys.pop(0), bucket.keys.pop()
    source_scanner._LISTINGS.clear()
    assert not scan(reconciler, bucket).is_complete
    assert not any(known.is_gone for known in reconciler.registry.listed(_ROOT).values())
    # Meanwhile, an ingest registers a file of a part that the scan has passed.
    late = SourceFile("a.md", 100, "late")
    reconciler.add(Source(_ROOT, bucket), [late])
    summary = scan(reconciler, bucket)
    assert (summary.is_complete, summary.gone, summary.deleted) == (True, 2, 0)
    listed = reconciler.registry.listed(_ROOT)
    assert {path for path, known in listed.items() if known.is_gone} == {first, last}
    assert "a.md" in listed


def test_a_part_that_one_tick_could_not_list_is_not_gone_when_the_scan_ends(
    reconciler: Reconciler,
) -> None:
    bucket = SimulatedBucket(keys(800))
    whole_scan(reconciler, bucket)
    bucket.unlisted = frozenset({"d0001"})
    scan(reconciler, bucket)
    source_scanner._LISTINGS.clear()
    bucket.unlisted = frozenset()
    bucket.keys = [key for key in bucket.keys if key[:5] not in ("d0001", "d0007")]
    [summary] = whole_scan(reconciler, bucket)
    assert (summary.is_complete, summary.gone) == (True, 100)
    gone = {p for p, known in reconciler.registry.listed(_ROOT).items() if known.is_gone}
    assert {path[:5] for path in gone} == {"d0007"}


def test_many_deletions_that_a_scan_finds_over_ticks_wait_for_a_person(
    reconciler: Reconciler,
) -> None:
    bucket = SimulatedBucket(keys(1_200))
    whole_scan(reconciler, bucket)
    bucket.keys = bucket.keys[:800]
    summaries = whole_scan(reconciler, bucket)
    assert len(summaries) > 1
    assert [s.held for s in summaries] == [0] * (len(summaries) - 1) + [400]
    assert not any(known.is_gone for known in reconciler.registry.listed(_ROOT).values())


def test_a_scan_whose_tick_is_killed_continues_after_the_last_page(
    reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = SimulatedBucket(keys(500))
    real, calls = reconciler.registry.__class__.register, 0

    def killed(self: Any, *arguments: Any, **named: Any) -> list[str]:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return real(self, *arguments, **named)

    monkeypatch.setattr(reconciler.registry.__class__, "register", killed)
    with pytest.raises(KeyboardInterrupt):
        scan(reconciler, bucket, seconds=10.0)
    before = bucket.clock.now
    summary = scan(reconciler, bucket, seconds=10.0)
    assert (summary.is_complete, summary.listed) == (True, 500)
    assert bucket.clock.now - before == pytest.approx(2 * _PAGE_SECONDS), "from the fourth page"
    assert len(reconciler.registry.listed(_ROOT)) == 500


def test_the_sensor_says_how_far_a_scan_is(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tvdb_assets.dagster.document_intake.MAX_DOCUMENTS_PER_TICK", 1)
    cursor = project.daemon_tick("document_intake").cursor
    assert json.loads(cursor or "") == {"listed": len(TEXTS), "is_complete": False}
    cursor = project.daemon_tick("document_intake").cursor
    assert json.loads(cursor or "") == {"listed": len(TEXTS), "is_complete": True}


def test_requests_whose_tick_died_are_made_again_by_the_next_tick(project: Project) -> None:
    lost = project.daemon_tick("document_intake").run_requests
    again = project.daemon_tick("document_intake").run_requests
    assert sorted(project.covered(again)) == sorted(project.covered(lost)) == sorted(TEXTS)
    # Another sensor leaves them alone: the daemon may be creating their runs right now.
    assert project.catch_up_tick() == []


def test_requests_whose_runs_exist_are_not_made_again(project: Project) -> None:
    [request] = project.daemon_tick("document_intake").run_requests
    job = project._repository().get_implicit_global_asset_job_def()
    run = project.instance.create_run_for_job(job, tags=request.tags)
    assert not project.daemon_tick("document_intake").run_requests
    # A person deletes the run that waits.
    project.instance.delete_run(run.run_id)
    assert len(project.daemon_tick("document_intake").run_requests) == 1
