"""Lists and extracts the documents inside of a document; the tasks run in a worker process.

What belongs here: the limits over all levels of a container, and the two tasks. What does not: any
container format (`parsing.formats`), and the choice of members to parse (`ingestion`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from tvdb_assets import error_codes as codes
from tvdb_assets.core.member_paths import MemberNames, is_safe
from tvdb_assets.errors import ParseError
from tvdb_assets.models import Member
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.format_protocol import ContainerEntry
from tvdb_assets.parsing.format_registry import container_for, is_memory_safe, parser_for
from tvdb_assets.parsing.parse_errors import corrupt, empty, expands_too_far, too_large
from tvdb_assets.parsing.parse_isolation import TaskTraits, register_traits
from tvdb_assets.parsing.reading.content_sniffing import name_without_article
from tvdb_assets.parsing.reply_checks import is_label

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ContainerBudget:
    """The remaining limits of a file for one more container, counted over all its levels."""

    level: int
    """Nesting level of the members; 1 for the members of the file itself."""
    members: int
    """Maximum number of members."""
    bytes: int
    """Maximum sum of their unpacked sizes, in bytes."""


def list_members(data: bytes, media_type: str, budget: ContainerBudget) -> list[Member]:
    """List the documents inside of a document; the bytes of each are read once and dropped.

    Args:
        data: The container.
        media_type: Its media type, as `identify_document` returns it.
        budget: The remaining limits.

    Raises:
        ParseError: ``over_limit``, ``expands_too_far``, ``corrupt``, or ``empty`` for a container
            without members and without its own text.
    """
    what = name_without_article(media_type)
    limits = current_limits()
    largest = limits.max_document_mib * _MIB
    names = MemberNames()
    found: list[Member] = []
    left = budget.bytes
    for position, entry in enumerate(_entries(data, media_type, what)):
        if budget.level > limits.max_depth:
            raise over_limit(what, "max_depth", "levels of documents inside each other")
        if len(found) == budget.members:
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


def check_listing(listed: Sequence[Member], budget: ContainerBudget, max_depth: int) -> None:
    """Check what a worker listed, before anything is stored under these names and digests.

    Args:
        listed: what it replied.
        budget: the limits that it was given.
        max_depth: levels of documents inside each other.

    Raises:
        ParseError: ``parser_crashed``: it is no result of `list_members` with these limits.
    """
    is_valid = (
        len(listed) <= budget.members
        and (not listed or budget.level <= max_depth)
        and [member.position for member in listed] == list(range(len(listed)))
        and all(member.size >= 0 and len(member.sha256) == 32 for member in listed)
        and sum(member.size for member in listed) <= budget.bytes
        and len({member.name for member in listed}) == len(listed)
        and all(is_safe(member.name) for member in listed)
        and all(member.media_type is None or is_label(member.media_type) for member in listed)
    )
    if not is_valid:
        raise codes.REPLY_INVALID.error(why="documents inside of it")


def check_extracted(contents: Sequence[bytes], members: Sequence[Member]) -> None:
    """Check that bytes are those that were listed; texts are found and shared by their digest.

    Raises:
        ParseError: ``parser_crashed``: they are not.
    """
    if [sha256(content).digest() for content in contents] != [each.sha256 for each in members]:
        raise codes.REPLY_INVALID.error(why="bytes of a document inside of it")


def extract_members(data: bytes, media_type: str, positions: Sequence[int]) -> list[bytes]:
    """Extract the bytes of some members, in the order of their positions.

    Args:
        data: The container.
        media_type: The same as for `list_members`.
        positions: Positions of members without an error, ascending.

    Raises:
        ParseError: ``corrupt``, if the container is not the listed one.
    """
    what = name_without_article(media_type)
    largest = current_limits().max_document_mib * _MIB
    wanted = set(positions)
    last = max(wanted, default=-1)
    extracted = []
    for position, entry in enumerate(_entries(data, media_type, what)):
        if position in wanted:
            extracted.append(entry.read(largest))
        if position >= last:
            break
    if len(extracted) != len(positions):
        raise corrupt(what, "some of its documents are missing")
    return extracted


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
            # A library's message may quote the document; the type of its error does not.
            raise corrupt(what, f"its reader stopped with {type(error).__name__}") from None
        yield entry


def _traits(data: bytes, media_type: str, *_: object) -> TaskTraits:
    return TaskTraits(is_memory_safe(media_type), (media_type,))


register_traits(list_members, _traits)
register_traits(extract_members, _traits)
