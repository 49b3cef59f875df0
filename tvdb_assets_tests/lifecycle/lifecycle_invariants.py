"""Random events in the lifecycle of a document, and invariants that hold after each of them.

What belongs here: strategies and invariants, which the pure rules and the stored rows share. What
does not: the tests.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from tvdb_assets.errors import Disposition
from tvdb_assets.lifecycle import (
    BudgetWindows,
    ContainerEnded,
    ContainerStopped,
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
    Requested,
    RunRequested,
    SourceGone,
    SourceReturned,
    StageAdvanced,
    due_reason,
    failed_or_deferred,
)
from tvdb_assets.lifecycle.retry import MAX_ATTEMPTS
from tvdb_assets.models import Stage

NOW = "current pipeline"
LIMITED = "limits " + NOW
"""Fingerprint of a document that failed because of a limit."""
CURRENT = (NOW, LIMITED)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
FAR = timedelta(days=1_000)
CODES = (
    *("read_failed", "parser_crashed", "parse_memory", "corrupt"),
    *("budget_exhausted", "hourly_requests_exhausted", "paused", "breaker_open", "key_refused"),
)

versions = st.builds(
    FileVersion,
    size=st.integers(0, 3),
    etag=st.sampled_from(["1", "2", "3"]),
    sha256=st.sampled_from([None, b"1" * 32, b"2" * 32]),
)
failures = st.builds(
    Failure,
    stage=st.sampled_from(Stage),
    code=st.sampled_from(CODES),
    message=st.just("It did not work."),
    remedy=st.just("Wait."),
    disposition=st.sampled_from(Disposition),
)


@st.composite
def events(draw: st.DrawFn, now: datetime, *, is_member: bool = False) -> Event:
    """Any event of a document.

    Args:
        draw: the draw function of Hypothesis.
        now: the time of the event; processing that ends then began up to 90 minutes earlier.
        is_member: include the events of members; otherwise those of containers.
    """
    work = {
        "run_id": draw(st.sampled_from(["run-1", "run-2"])),
        "began_at": now - timedelta(minutes=draw(st.integers(0, 90))),
        "read": draw(st.none() | versions),
    }
    pipeline_fingerprint = draw(st.sampled_from([NOW, LIMITED, "earlier pipeline", ""]))
    is_degraded = draw(st.booleans())
    choices: list[st.SearchStrategy[Event]] = [
        st.builds(
            StageAdvanced,
            stage=st.sampled_from([Stage.PARSED_DOCUMENTS, Stage.CHUNKS]),
            is_published=st.booleans(),
            **{name: st.just(value) for name, value in work.items()},
        ),
        st.just(
            Published(
                stage=Stage.EMBEDDINGS,
                pipeline_fingerprint=NOW,
                is_degraded=is_degraded,
                **work,  # type: ignore[arg-type]
            )
        ),
        failures.map(
            lambda f: failed_or_deferred(
                failure=f, pipeline_fingerprint=pipeline_fingerprint, **work
            )
        ),  # type: ignore[arg-type]
        # Listed twice, because repeated failures are the most interesting case.
        failures.map(
            lambda f: failed_or_deferred(
                failure=f, pipeline_fingerprint=pipeline_fingerprint, **work
            )
        ),  # type: ignore[arg-type]
        st.builds(FileTouched, version=versions),
        st.builds(FileChanged, version=versions),
        st.just(SourceGone()),
        st.just(RunRequested()),
        st.builds(Requested, resets_attempts=st.booleans()),
        st.just(FingerprintDropped()),
    ]
    if is_member:
        choices += [
            failures.map(
                lambda f: ContainerStopped(
                    stage=f.stage,
                    failure=f,
                    pipeline_fingerprint=pipeline_fingerprint,
                    **work,  # type: ignore[arg-type]
                )
            ),
            st.just(SourceReturned()),
        ]
    else:
        choices += [
            st.builds(MembersEnded, is_degraded=st.booleans()),
            st.just(MemberForgotten()),
            st.builds(
                ContainerEnded,
                stage=st.sampled_from([Stage.CHUNKS, Stage.EMBEDDINGS]),
                is_published=st.booleans(),
                is_degraded=st.booleans(),
                pipeline_fingerprint=st.none() | st.just(NOW),
                **{name: st.just(value) for name, value in work.items()},
            ),
        ]
    return draw(st.one_of(choices))


def check(life: DocumentLife, now: datetime) -> None:
    """Check the invariants of every document at any time."""
    status, failure = life.status, life.failure
    is_deferred = status is DocumentStatus.DEFERRED
    if status is DocumentStatus.PUBLISHED:
        assert not life.is_gone, "published and gone"
        assert life.attempts == 0, "published after a failure that still counts"
    if status in (DocumentStatus.PUBLISHED, DocumentStatus.REGISTERED):
        assert failure is None, "an error of a document that has not failed"
    else:
        assert failure is not None, "failed without a reason"
        assert (failure.disposition is Disposition.DEFERRED) is is_deferred, "deferred and failed"
    assert (life.deferred_at is not None) is is_deferred, "deferred_at is set only while deferred"
    if life.next_attempt_at is not None:
        assert status is DocumentStatus.FAILED, "next attempt of a document that has not failed"
    if life.quarantine is not None:
        assert status is DocumentStatus.FAILED, "in quarantine without having failed"
        assert life.next_attempt_at is None, "in quarantine with a next attempt"
        assert life.manually_requested_at is None, "in quarantine although requested"
        assert not life.is_changed, "in quarantine although changed"
    if life.is_gone:
        assert not life.is_degraded, "degraded and gone"
    check_due(life, now)


def check_due(life: DocumentLife, now: datetime) -> None:
    """Check the invariants of the work queue: it respects quarantine, and loses no document."""
    windows = BudgetWindows(now, now, now)
    unchanged = due_reason(life, windows, now, fingerprints=(life.pipeline_fingerprint,))
    later = now + FAR
    ever = due_reason(life, BudgetWindows(later, later, later), later, fingerprints=CURRENT)
    if life.is_gone:
        assert ever is None, "gone and due"
    elif life.quarantine is not None:
        assert unchanged is None, "due and in quarantine"
        assert (ever is None) is (life.pipeline_fingerprint in CURRENT), (
            "another pipeline retries it"
        )
    elif life.status is not DocumentStatus.PUBLISHED:
        assert ever is not None, "never due again, and not in quarantine"


def check_step(before: DocumentLife, event: Event, after: DocumentLife) -> None:
    """Check the invariants of every transition."""
    if after.attempts > before.attempts:
        assert isinstance(event, Failed), "attempts grew without a failure"
        assert after.attempts == before.attempts + 1
    if before.gone_at is not None and after.gone_at is None:
        assert isinstance(event, FileChanged | SourceReturned), "came back without the source"
    if isinstance(event, Failed) and after.attempts >= MAX_ATTEMPTS:
        is_requested = after.is_changed or after.manually_requested_at is not None
        assert after.quarantine is not None or is_requested, "retried after its last attempt"


__all__ = [
    "BEGIN",
    "CURRENT",
    "LIMITED",
    "NOW",
    "check",
    "check_step",
    "events",
    "failures",
    "versions",
]
