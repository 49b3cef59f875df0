"""The life of a document: its states, its events, and when it needs work.

What belongs here: pure rules, the only place where they stand. What does not: anything that reads,
stores, calls or asks for the time. `repositories.document_lifecycle` is the one writer of the
columns that these rules are about, and `repositories.due_documents` finds who is due by them.

`states` names what is stored, `events` says what each event makes of it, `retry` when a failure
is tried again or put in quarantine, and `due` why a document needs work.
"""

from tvdb_assets.lifecycle.due import (
    INTAKE,
    REQUEST_LASTS,
    BudgetWindows,
    Reason,
    due_reason,
    fails_again,
    first_reason,
    is_settled,
    run_is_expected,
)
from tvdb_assets.lifecycle.events import (
    ContainerEnded,
    ContainerStopped,
    Deferred,
    Event,
    Failed,
    FileChanged,
    FileTouched,
    FingerprintDropped,
    MemberForgotten,
    MembersEnded,
    Published,
    Requested,
    RunRequested,
    SourceGone,
    SourceReturned,
    StageAdvanced,
    WorkEnded,
    stopped,
)
from tvdb_assets.lifecycle.states import (
    DocumentLife,
    DocumentStatus,
    Failure,
    FileVersion,
    Outcome,
    Quarantine,
    outcome_of,
)

__all__ = [
    "INTAKE",
    "REQUEST_LASTS",
    "BudgetWindows",
    "ContainerEnded",
    "ContainerStopped",
    "Deferred",
    "DocumentLife",
    "DocumentStatus",
    "Event",
    "Failed",
    "Failure",
    "FileChanged",
    "FileTouched",
    "FileVersion",
    "FingerprintDropped",
    "MemberForgotten",
    "MembersEnded",
    "Outcome",
    "Published",
    "Quarantine",
    "Reason",
    "Requested",
    "RunRequested",
    "SourceGone",
    "SourceReturned",
    "StageAdvanced",
    "WorkEnded",
    "due_reason",
    "fails_again",
    "first_reason",
    "is_settled",
    "outcome_of",
    "run_is_expected",
    "stopped",
]
