"""The lifecycle of a document: its states, its events, and when it needs work.

What belongs here: all rules about the state of a document, as pure functions. What does not:
anything that reads, stores, calls a service or reads the clock. `repositories.document_lifecycle`
is the only module that writes the columns of the state. `repositories.due_documents` finds the due
documents in the database.

`states` defines the values that are stored. `events` defines how each event changes them. `retry`
defines when a failed document is retried or quarantined. `due` defines why a document needs work.
"""

from tvdb_assets.lifecycle.due import (
    INTAKE_REASONS,
    RUN_REQUEST_TIMEOUT,
    BudgetWindows,
    Reason,
    due_reason,
    fails_again,
    first_reason,
    is_settled,
    run_is_expected,
)
from tvdb_assets.lifecycle.events import (
    BatchEnded,
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
    failed_or_deferred,
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
    "INTAKE_REASONS",
    "RUN_REQUEST_TIMEOUT",
    "BatchEnded",
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
    "failed_or_deferred",
    "fails_again",
    "first_reason",
    "is_settled",
    "outcome_of",
    "run_is_expected",
]
