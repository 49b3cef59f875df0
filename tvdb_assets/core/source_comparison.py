"""Compares a listing of a source with the known documents: new, changed, same and gone files.

What belongs here: pure comparison. What does not: listing (`sources.source`), and the actions on a
difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile

UNCONFIRMED_DELETIONS = 20
"""Documents that a scan may always find gone without a confirmation, however few there are."""


class KnownFile(Protocol):
    """The fields of a registered document that the comparison needs."""

    @property
    def document_id(self) -> int:
        """The primary key of its row."""

    @property
    def etag(self) -> str:
        """The etag of the last listing."""

    @property
    def is_gone(self) -> bool:
        """Whether an earlier listing did not contain it."""


_K = TypeVar("_K", bound=KnownFile)


@dataclass(slots=True)
class SourceDifference(Generic[_K]):
    """The differences between a listing of the source and the registered documents."""

    new: list[SourceFile] = field(default_factory=list)
    changed: list[tuple[_K, SourceFile]] = field(default_factory=list)
    """The etag differs from the known one, or the file is back after it was gone."""
    same: list[_K] = field(default_factory=list)
    gone: list[_K] = field(default_factory=list)
    """Documents of parts that were listed, and that were not in them."""
    unlisted: list[SourceError] = field(default_factory=list)
    """The parts of the source that can't be listed. No document below them is gone."""
    known_present: int = 0
    """Number of known documents of the listed part that no earlier scan found gone."""
    unsettled: int = 0
    """Number of new or changed files that were written so recently that they may be incomplete."""


def compare(
    listed: Iterable[SourceFile | SourceError],
    known: Mapping[str, _K],
    *,
    root: str,
    is_whole: bool,
    may_be_empty: bool = False,
    written_before: float | None = None,
) -> SourceDifference[_K]:
    """Compare a listing with the known documents.

    Args:
        listed: The source or a part of it. A file that must not be read is also a document: its
            ingestion fails with the reason, so that `tvdb status` reports it.
        known: The documents of the same part, by path.
        root: The root of the source, for the error.
        is_whole: Whether the whole source was listed, apart from the parts that can't be.
        may_be_empty: Whether a person confirmed that all documents may be gone.
        written_before: Seconds since 1970. A new or changed file that was written later is left
            for the next scan. None leaves no file.

    Raises:
        ConfigurationError: all known documents are gone, as of a folder that is not mounted.
    """
    found: SourceDifference[_K] = SourceDifference(
        known_present=sum(not document.is_gone for document in known.values())
    )
    seen: set[str] = set()
    for entry in listed:
        if isinstance(entry, SourceError) and entry.code == codes.UNLISTED.code:
            found.unlisted.append(entry)
            continue
        file = _as_file(entry)
        seen.add(file.path)
        document = known.get(file.path)
        if document is not None and document.etag == file.etag and not document.is_gone:
            found.same.append(document)
        elif written_before is not None and (file.written_at or 0.0) > written_before:
            found.unsettled += 1
        elif document is None:
            found.new.append(file)
        else:
            found.changed.append((document, file))
    hidden = [part.document or "" for part in found.unlisted]
    if "" not in hidden:
        below = tuple(f"{part}/" for part in hidden)
        found.gone = [
            document
            for path, document in known.items()
            if path not in seen and path not in hidden and not path.startswith(below)
        ]
    is_suspicious = is_whole and not seen and not may_be_empty
    if is_suspicious and (left := newly_gone(found)):
        raise codes.SOURCE_EMPTY.error(root=root, known=len(left))
    return found


def newly_gone(difference: SourceDifference[_K]) -> list[_K]:
    """The gone documents that no earlier scan found gone."""
    return [document for document in difference.gone if not document.is_gone]


def needs_confirmation(difference: SourceDifference[_K], share: float) -> bool:
    """Whether so many documents are gone that a person must confirm their deletion.

    A mount that is missing, a wrong prefix and a moved folder look like a deletion.

    Args:
        difference: of a source or a part of it.
        share: of the known documents, which may be gone without a confirmation.
    """
    return len(newly_gone(difference)) > allowed_deletions(difference.known_present, share)


def allowed_deletions(known_present: int, share: float) -> float:
    """How many documents may be gone without a confirmation.

    Args:
        known_present: the number of documents that no earlier scan found gone.
        share: of them, which may be gone.
    """
    return max(UNCONFIRMED_DELETIONS, share * known_present)


def _as_file(entry: SourceFile | SourceError) -> SourceFile:
    if isinstance(entry, SourceFile):
        return entry
    return SourceFile(path=entry.document or "", size=0, etag=f"refused:{entry.code}")
