"""The lifecycle rules hold after any events in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tvdb_assets.errors import Disposition
from tvdb_assets.lifecycle import (
    BudgetWindows,
    ContainerEnded,
    ContainerStopped,
    Deferred,
    DocumentLife,
    DocumentStatus,
    Event,
    Failed,
    Failure,
    FileChanged,
    FileTouched,
    FileVersion,
    FingerprintDropped,
    MemberForgotten,
    MembersEnded,
    Published,
    Quarantine,
    Reason,
    Requested,
    RunRequested,
    SourceGone,
    SourceReturned,
    StageAdvanced,
    due_reason,
    failed_or_deferred,
    fails_again,
    first_reason,
    is_settled,
    outcome_of,
    run_is_expected,
)
from tvdb_assets.lifecycle import events as events_module
from tvdb_assets.lifecycle.due import (
    DEFAULT_WAIT,
    DOCUMENT_QUARANTINES,
    RUN_REQUEST_TIMEOUT,
    WAITS,
    Renewal,
)
from tvdb_assets.lifecycle.retry import MAX_ATTEMPTS, quarantine_after, retry_delay
from tvdb_assets.models import Stage
from tvdb_assets_tests.lifecycle.lifecycle_invariants import (
    BEGIN,
    CURRENT,
    NOW,
    check,
    check_step,
    events,
    failures,
    versions,
)

VERSION = FileVersion(1, "1", b"1" * 32)
MINUTE = timedelta(minutes=1)
R, P, F, D = DocumentStatus


class LifecycleMachine(RuleBasedStateMachine):
    """One document, a file or a member, and a clock."""

    @initialize(is_member=st.booleans(), version=versions)
    def begin(self, *, is_member: bool, version: FileVersion) -> None:
        self.is_member = is_member
        self.now = BEGIN
        self.life = DocumentLife(version)

    @rule(minutes=st.integers(0, 4_000))
    def wait(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(data=st.data())
    def apply_event(self, data: st.DataObject) -> None:
        event = data.draw(events(self.now, is_member=self.is_member))
        before, self.life = self.life, event.apply(self.life, self.now)
        check_step(before, event, self.life)

    @invariant()
    def invariants_are_true(self) -> None:
        check(self.life, self.now)


TestLifecycle = LifecycleMachine.TestCase
TestLifecycle.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def failure(code: str = "corrupt", disposition: Disposition = Disposition.TERMINAL) -> Failure:
    return Failure(Stage.CHUNKS, code, "It failed.", "Wait.", disposition)


def documents_by_status() -> dict[DocumentStatus, DocumentLife]:
    """One document in each status."""
    work: dict[str, Any] = {"run_id": "run-1", "began_at": BEGIN, "read": VERSION}
    deferred = failure("budget_exhausted", Disposition.DEFERRED)
    new = DocumentLife(VERSION)
    return {
        R: new,
        P: Published(stage=Stage.EMBEDDINGS, pipeline_fingerprint=NOW, **work).apply(new, BEGIN),
        F: failed_or_deferred(failure=failure(), pipeline_fingerprint=NOW, **work).apply(
            new, BEGIN
        ),
        D: failed_or_deferred(failure=deferred, pipeline_fingerprint=NOW, **work).apply(new, BEGIN),
    }


WORK: dict[str, Any] = {"run_id": "run-2", "stage": Stage.EMBEDDINGS, "began_at": BEGIN}
DEFERRED = failure("paused", Disposition.DEFERRED)
ENDED: dict[str, Any] = {**WORK, "is_degraded": False, "pipeline_fingerprint": None}


@pytest.mark.parametrize(
    ("event", "statuses", "if_gone"),
    [
        (StageAdvanced(is_published=False, **WORK), [R, R, R, R], R),
        (StageAdvanced(is_published=True, **WORK), [P, P, P, P], R),
        (Published(pipeline_fingerprint=NOW, **WORK), [P, P, P, P], R),
        (Failed(failure=failure(), pipeline_fingerprint=NOW, **WORK), [F, F, F, F], F),
        (Deferred(failure=DEFERRED, pipeline_fingerprint=NOW, **WORK), [D, D, D, D], D),
        (ContainerStopped(failure=failure(), pipeline_fingerprint=NOW, **WORK), [F, P, F, F], F),
        (ContainerStopped(failure=DEFERRED, pipeline_fingerprint=NOW, **WORK), [D, P, D, D], D),
        (MembersEnded(is_degraded=True), [R, P, F, D], R),
        (ContainerEnded(is_published=True, **ENDED), [P, P, P, P], R),
        (ContainerEnded(is_published=False, **ENDED), [R, R, R, R], R),
        (FileTouched(version=VERSION), [R, P, F, D], R),
        (FileChanged(version=VERSION), [R, P, F, D], R),
        (SourceGone(), [R, R, F, D], R),
        (SourceReturned(), [R, P, F, D], R),
        (RunRequested(), [R, P, F, D], R),
        (Requested(resets_attempts=True), [R, P, F, D], R),
        (MemberForgotten(), [R, R, R, R], R),
        (FingerprintDropped(), [R, P, F, D], R),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Event) else "",
)
def test_each_event_in_each_status(
    event: Event, statuses: list[DocumentStatus], if_gone: DocumentStatus
) -> None:
    """Expected statuses are in the order registered, published, failed, deferred."""
    at = BEGIN + MINUTE
    assert [event.apply(life, at).status for life in documents_by_status().values()] == statuses
    gone = SourceGone().apply(documents_by_status()[P], at)
    assert event.apply(gone, at).status is if_gone


@given(failures)
def test_a_deferred_document_is_never_failed(found: Failure) -> None:
    is_deferred = found.disposition is Disposition.DEFERRED
    ended = failed_or_deferred(
        run_id="r", began_at=BEGIN, read=None, failure=found, pipeline_fingerprint=NOW
    )
    assert isinstance(ended, Deferred if is_deferred else Failed)
    assert ended.outcome is outcome_of(found.disposition)
    other = Failed if is_deferred else Deferred
    with pytest.raises(ValueError, match="document whose work"):
        other(
            run_id="r", stage=found.stage, began_at=BEGIN, failure=found, pipeline_fingerprint=NOW
        )


def test_retry_delays_of_a_transient_failure() -> None:
    minutes = [retry_delay(attempts) / MINUTE for attempts in range(1, 12)]
    assert minutes == [5, 20, 80, 320, 1_280, *[1_440] * 6]
    total = sum((retry_delay(n) for n in range(1, MAX_ATTEMPTS)), timedelta())
    assert timedelta(days=3) < total < timedelta(days=3.5)
    kinds = [quarantine_after("read_failed", Disposition.TRANSIENT, n) for n in range(1, 10)]
    assert kinds == [None] * 7 + [Quarantine.ATTEMPTS] * 2


def test_a_document_that_crashes_its_worker_three_times_is_quarantined() -> None:
    kinds = [quarantine_after("parser_crashed", Disposition.TERMINAL, n) for n in range(1, 5)]
    assert kinds == [None, None, Quarantine.POISON, Quarantine.POISON]
    assert quarantine_after("corrupt", Disposition.TERMINAL, 1) is Quarantine.TERMINAL


def test_attempts_are_counted_from_one_after_the_bytes_changed() -> None:
    transient = failure("read_failed", Disposition.TRANSIENT)
    life = DocumentLife(VERSION, attempts=6)
    same = failed_or_deferred(
        run_id="r", began_at=BEGIN, read=VERSION, failure=transient, pipeline_fingerprint=NOW
    )
    assert same.apply(life, BEGIN).attempts == 7
    other = replace(same, read=FileVersion(2, "2", b"2" * 32))
    assert other.apply(life, BEGIN).attempts == 1


def test_a_request_during_a_run_survives_the_end_of_the_run() -> None:
    requested = Requested(resets_attempts=True).apply(DocumentLife(VERSION), BEGIN + MINUTE)
    before = failed_or_deferred(
        run_id="r", began_at=BEGIN, read=VERSION, failure=failure(), pipeline_fingerprint=NOW
    ).apply(requested, BEGIN + 2 * MINUTE)
    assert before.manually_requested_at == BEGIN + MINUTE
    assert before.quarantine is None, "the request causes another attempt"
    after = failed_or_deferred(
        run_id="r",
        began_at=BEGIN + 3 * MINUTE,
        read=None,
        failure=failure(),
        pipeline_fingerprint=NOW,
    ).apply(before, BEGIN + 4 * MINUTE)
    assert after.manually_requested_at is None
    assert after.quarantine is Quarantine.TERMINAL


def test_each_wait_ends_when_its_limit_is_renewed() -> None:
    """Find the windows that end the wait of a document that was deferred a minute ago."""
    now = BEGIN + MINUTE
    past = BEGIN - MINUTE
    renewals_by_code = {}
    for code in (*WAITS, "key_refused"):
        found = failure(code, Disposition.DEFERRED)
        life = DocumentLife(
            VERSION, status=D, failure=found, deferred_at=BEGIN, pipeline_fingerprint=NOW
        )
        for renewal in Renewal:
            windows = BudgetWindows(**{r.value: now if r is renewal else past for r in Renewal})
            if due_reason(life, windows, now, fingerprints=CURRENT) is Reason.DEFERRED:
                renewals_by_code.setdefault(code, set()).add(renewal)
        delay = WAITS.get(code, DEFAULT_WAIT).delay
        windows = BudgetWindows(past, past, past)
        if delay is not None:
            on_time = now + delay
            assert due_reason(life, windows, on_time, fingerprints=CURRENT) is Reason.DEFERRED
        else:
            assert (
                due_reason(life, windows, now + timedelta(days=400), fingerprints=CURRENT) is None
            )
    assert renewals_by_code == {
        "budget_exhausted": {Renewal.DAY, Renewal.CHANGED},
        "hourly_requests_exhausted": {Renewal.HOUR, Renewal.CHANGED},
        "paused": {Renewal.CHANGED},
        # Its batch job has ended, so nothing needs to be renewed.
        "batch_ended": set(Renewal),
        "key_refused": {Renewal.CHANGED},
    }


def test_a_settled_document_is_not_due() -> None:
    windows = BudgetWindows(BEGIN, BEGIN, BEGIN)
    by_status = documents_by_status()
    for status, life in by_status.items():
        assert is_settled(life, CURRENT) is (status in (P, F))
        is_due = due_reason(life, windows, BEGIN, fingerprints=CURRENT) is not None
        assert is_due is (status is R), status
    published = by_status[P]
    for name in ("is_changed", "is_degraded"):
        assert not is_settled(replace(published, **{name: True}), CURRENT)
    assert not is_settled(replace(published, pipeline_fingerprint="earlier pipeline"), CURRENT)
    assert not is_settled(replace(published, gone_at=BEGIN), CURRENT)


def test_a_member_of_a_failed_container_does_not_fail_again() -> None:
    assert set(Quarantine) - {Quarantine.CONTAINER} == DOCUMENT_QUARANTINES
    assert fails_again(Quarantine.POISON, NOW, CURRENT)
    assert not fails_again(Quarantine.CONTAINER, NOW, CURRENT)
    assert not fails_again(Quarantine.TERMINAL, "earlier pipeline", CURRENT)
    assert not fails_again(None, NOW, CURRENT)


def test_a_request_expires_unless_its_planner_has_runs_left() -> None:
    late = BEGIN + RUN_REQUEST_TIMEOUT + MINUTE
    assert not run_is_expected(None, BEGIN, is_planned=True)
    assert run_is_expected(BEGIN, BEGIN, is_planned=False)
    assert not run_is_expected(BEGIN, late, is_planned=False)
    assert run_is_expected(BEGIN, late, is_planned=True)


def test_a_file_is_due_for_the_first_reason_of_its_members() -> None:
    assert first_reason([]) is None
    assert first_reason([None, Reason.STALE, Reason.CHANGED]) is Reason.CHANGED


def test_the_table_of_events_is_complete() -> None:
    """The table in the docstring names every event."""
    kinds = {k.__name__ for k in vars(events_module).values() if _is_event(k)}
    table = events_module.__doc__ or ""
    assert kinds == {line.split("`")[1] for line in table.splitlines() if line[:1] == "`"}


def _is_event(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Event) and not kind.__abstractmethods__
