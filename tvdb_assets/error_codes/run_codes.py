"""Codes of containers and of whole runs.

What belongs here: codes that belong to no other module. What does not: how to add one
(`error_codes`).
"""

from __future__ import annotations

from typing import Final

from tvdb_assets.errors import Disposition, DocumentError, ErrorCode, TvdbError

MEMBERS_FAILED: Final = ErrorCode(
    DocumentError,
    "members_failed",
    "{failed:,} of {total:,} documents inside it failed: {names}.",
    "Run tvdb status for the cause and remedy of each. All others are done.",
    "Documents inside a container failed. It is retried if one of them may succeed.",
    Disposition.TRANSIENT,
)

RUN_FAILED: Final = ErrorCode(
    TvdbError,
    "run_failed",
    "The run {run} was ended by an error that no document caused: {why}",
    "Finished work is kept. Fix the cause and ingest again. The page of the run in the UI has the "
    "whole trace.",
    "A run ended before its documents were done.",
)
UNEXPECTED: Final = ErrorCode(
    TvdbError,
    "unexpected",
    "An error occurred that no document caused: {kind}.",
    "Finished work is kept. Run it again. If it happens again, report the id and the lines of "
    "code in the cause.",
    "A bug, or a condition of this machine that no other code names.",
)
