"""The documents inside of a document: listed, and taken out, by a worker process.

What belongs here: limits over all that is inside, and tasks that a worker can be sent. What
does not: any container (`parsers`), or which members are parsed (`walk`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from tvdb_assets.core.member_paths import MemberNames
from tvdb_assets.errors import ParseError
from tvdb_assets.models import Member
from tvdb_assets.parsing.formats import ContainerEntry, container_for, parser_for
from tvdb_assets.parsing.formats.active_limits import allowed, over_limit
from tvdb_assets.parsing.formats.refusals import corrupt, empty, expands_too_far, too_large
from tvdb_assets.parsing.formats.sniff import describe

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ContainerBudget:
    """What is left for one more container of a file: counted over all levels of it."""

    level: int
    """Of the members: 1 for those of the file itself."""
    members: int
    bytes: int
    """Unpacked."""


def list_members(data: bytes, media_type: str, room: ContainerBudget) -> list[Member]:
    """The documents inside of a document, each read once and dropped.

    Args:
        data: the container.
        media_type: of a container, as `look_at` names it.
        room: what is left.

    Raises:
        ParseError: ``over_limit``, ``expands_too_far``, ``corrupt``, or ``empty`` for one that
            has no text of its own either.
    """
    what = describe(media_type).removeprefix("a ").removeprefix("an ")
    limits = allowed()
    largest = limits.max_document_mib * _MIB
    names = MemberNames()
    found: list[Member] = []
    left = room.bytes
    for position, entry in enumerate(_entries(data, media_type, what)):
        if room.level > limits.max_depth:
            raise over_limit(what, "max_depth", "levels of documents inside each other")
        if len(found) == room.members:
            raise over_limit(what, "max_members", "documents inside it")
        content, error = b"", None
        try:
            content = entry.read(min(left, largest))
        except ParseError as refused:
            error = refused
        except MemoryError:
            raise
        except Exception as broken:
            error = corrupt(
                f"document in the {what}", f"reading it ended with {type(broken).__name__}"
            )
        left -= len(content)
        if left < 0:
            raise expands_too_far(what, limits.max_expanded_mib)
        if len(content) > largest:
            error = too_large(limits.max_document_mib)
        found.append(
            Member(
                position,
                names.take(entry.name),
                len(content),
                sha256(content).digest(),
                entry.media_type,
                error,
            )
        )
    if not found and parser_for(media_type) is None:
        raise empty(f"The {what}")
    return found


def take_members(data: bytes, media_type: str, positions: Sequence[int]) -> list[bytes]:
    """The bytes of some members, in the order of their positions.

    Args:
        data: the container.
        media_type: as `list_members` was given.
        positions: of members without an error, rising.

    Raises:
        ParseError: ``corrupt``; the container is not the one that was listed.
    """
    what = describe(media_type).removeprefix("a ").removeprefix("an ")
    largest = allowed().max_document_mib * _MIB
    wanted = set(positions)
    last = max(wanted, default=-1)
    taken = []
    for position, entry in enumerate(_entries(data, media_type, what)):
        if position in wanted:
            taken.append(entry.read(largest))
        if position >= last:
            break
    if len(taken) != len(positions):
        raise corrupt(what, "some of its documents are missing")
    return taken


def _entries(data: bytes, media_type: str, what: str) -> Iterator[ContainerEntry]:
    container = container_for(media_type)
    if container is None:
        return
    entries = container.entries(data)
    while True:
        try:
            entry = next(entries)
        except StopIteration:
            return
        except (ParseError, MemoryError):
            raise
        except Exception as error:
            # A library's message may quote the document; its type does not.
            raise corrupt(what, f"its reader stopped with {type(error).__name__}") from None
        yield entry
