"""Codes of files that can't or must not be read.

What belongs here: codes of `SourceError`. What does not: how to add one (`error_codes`).
"""

from __future__ import annotations

from typing import Final

from tvdb_assets.errors import Disposition, ErrorCode, ParseError, SourceError

VANISHED: Final = ErrorCode(
    SourceError,
    "vanished",
    "The file, or the target of its link, does not exist.",
    "Put it back, or remove the link; then ingest again.",
    "A file that was listed is gone.",
)
UNREADABLE: Final = ErrorCode(
    SourceError,
    "unreadable",
    "The user that runs this may not read the file.",
    "Give that user the right to read the file and to enter its folder.",
    "The rights of the file forbid reading it.",
)
OBJECT_UNREADABLE: Final = UNREADABLE.variant(
    SourceError,
    "The bucket refuses to hand out the object.",
    "Give these credentials the right to read it, and its key if it is encrypted; an archived "
    "object must be restored first.",
)
UNLISTED: Final = ErrorCode(
    SourceError,
    "unlisted",
    "It can't be listed ({kind}), so the documents below it are not known. None of them is "
    "deleted.",
    "Check that it is mounted and reachable, and give the user that runs this the right to list "
    "it; then ingest again.",
    "A folder or a part of a bucket can't be listed. Its documents are not visible, which does "
    "not mean that they are gone, so they stay as they are.",
    Disposition.TRANSIENT,
)
KEYS_UNLISTED: Final = UNLISTED.variant(
    SourceError,
    "It can't be listed, because a key in it has an empty part, a part . or .., or a control "
    "character. The documents below it are not known. None of them is deleted.",
    "Rename that object. Other folders of the bucket are listed.",
)
SOURCE_UNAVAILABLE: Final = ErrorCode(
    SourceError,
    "source_unavailable",
    "The source {root}, which has this document, can't be opened.",
    "Check that it is mounted and reachable. If the documents have moved, run tvdb source move; "
    "if they are not needed any more, run tvdb source drop.",
    "A document of a source that is not there. Documents of other sources are processed.",
    Disposition.TRANSIENT,
)
LINK_OUTSIDE: Final = ErrorCode(
    SourceError,
    "link_outside",
    "The path leads out of the source folder, or through a link to a folder.",
    "Copy the file into the source in place of the link.",
    "A link points to a place that must not be read.",
)
LINK_TO_IGNORED: Final = LINK_OUTSIDE.variant(
    SourceError,
    "The link leads to or through a name that is left out of the source: one that begins with a "
    "dot or ~$.",
    "Copy the file into the source in place of the link, if it is a document.",
)
LINK_LOOP: Final = ErrorCode(
    SourceError,
    "link_loop",
    "The link leads back to itself.",
    "Remove the link.",
    "Links form a loop.",
)
NOT_A_FILE: Final = ErrorCode(
    SourceError,
    "not_a_file",
    "It is {kind}, which contains no document.",
    "Remove it from the source.",
    "It is a device, a socket, a FIFO or a link to a folder.",
)
BAD_NAME: Final = ErrorCode(
    SourceError,
    "bad_name",
    "The name of the file is not valid UTF-8.",
    "Rename the file.",
    "The name can't be stored.",
)
LONG_PATH: Final = BAD_NAME.variant(
    SourceError,
    "The path of the file and of its source have {size:,} bytes; the limit is {limit:,} bytes.",
    "Give it, or the folders above it, shorter names.",
)
BAD_KEY: Final = BAD_NAME.variant(
    SourceError,
    "The key of the object can't be stored: it has a NUL character, or is the prefix of the "
    "source.",
    "Copy the object to another key.",
)
TOO_LARGE: Final = ErrorCode(
    SourceError,
    "too_large",
    "The file has {size:,.1f} MiB; the limit is {limit:,.1f} MiB.",
    "Split it, or raise TVDB_MAX_DOCUMENT_MIB.",
    "A file, or a document inside a file, is larger than the limit.",
)
MEMBER_TOO_LARGE: Final = TOO_LARGE.variant(
    ParseError,
    "It has more than {limit} MiB, which is the limit.",
    "Remove it from its container or split it, or raise TVDB_MAX_DOCUMENT_MIB.",
)
CHANGED_WHILE_READ: Final = ErrorCode(
    SourceError,
    "changed_while_read",
    "The file changed while it was read.",
    "Ingest again when no program writes to it.",
    "Another program wrote to the file at the same time.",
    Disposition.TRANSIENT,
)
READ_FAILED: Final = ErrorCode(
    SourceError,
    "read_failed",
    "The file could not be read ({kind}).",
    "Check the disk or the connection to the source; then ingest again.",
    "The disk or the bucket failed.",
    Disposition.TRANSIENT,
)
READ_STALLED: Final = ErrorCode(
    SourceError,
    "read_stalled",
    "The source gave no answer for {seconds:g} seconds.",
    "Check the disk or the connection to the source, for example a mount whose server is gone; "
    "then ingest again. TVDB_SOURCE_TIMEOUT_SECONDS sets how long an answer is awaited.",
    "Reading a file did not come to an end. Nothing waits for it any more.",
    Disposition.TRANSIENT,
)
