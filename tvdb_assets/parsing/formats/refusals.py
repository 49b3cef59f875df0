"""The sentences with which parsers refuse a document.

What belongs here: one function per code that several parsers share. What does not: codes
of the finished text (`core.text_validation`) or of the worker (`parsing.worker_pool`).
"""

from __future__ import annotations

from tvdb_assets.errors import ParseError


def empty(what: str = "The file") -> ParseError:
    """There is no text in it, and there never was."""
    return ParseError(
        "empty",
        f"{what} holds no text.",
        remedy="If it should, save or export it again; else remove it from the source.",
    )


def encrypted(what: str) -> ParseError:
    """A password or key is needed to read it."""
    return ParseError(
        "encrypted",
        f"The {what} is encrypted and needs a password.",
        remedy="Save a copy without a password and put that into the source instead.",
    )


def corrupt(what: str, reason: str) -> ParseError:
    """The bytes are damaged; ``reason`` must not hold document text."""
    return ParseError(
        "corrupt",
        f"The {what} is damaged: {reason}.",
        remedy="Open it in the program that made it, save it again, or fetch a fresh copy.",
    )


def unsupported(what: str, supported: str) -> ParseError:
    """No parser takes this kind of content."""
    return ParseError(
        "unsupported",
        f"This is {what}, which can't be parsed.",
        remedy=f"Convert it to one of {supported}, or remove it from the source.",
    )


def mislabelled(name_says: str, content: str, supported: str) -> ParseError:
    """The name promises a document that the content is not."""
    return ParseError(
        "mislabelled",
        f"The name says {name_says}, but the content is {content}, which can't be parsed.",
        remedy=f"Replace it by the document that was meant ({supported} can be parsed).",
    )


def expands_too_far(what: str, limit_mib: int) -> ParseError:
    """Unpacking it would take more than the limit: a bomb, or a giant."""
    return ParseError(
        "expands_too_far",
        f"The {what} unpacks to more than {limit_mib} MiB.",
        remedy="Split it into smaller documents, or raise TVDB_MAX_EXPANDED_MIB.",
    )


def is_container(what: str) -> ParseError:
    """It is no document but holds some, and was to be parsed as one."""
    return ParseError(
        "container",
        f"This is {what}, which holds documents and has no text of its own.",
        remedy="Ingest it, which makes a document of each that is inside, or unpack it.",
    )


def too_large(limit_mib: int) -> ParseError:
    """A document inside of another one is larger than the limit."""
    return ParseError(
        "too_large",
        f"It has more than {limit_mib} MiB, which is the limit.",
        remedy="Leave it out of its container or split it, or raise TVDB_MAX_DOCUMENT_MIB.",
    )
