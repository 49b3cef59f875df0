"""What changed in a source since it was last looked at: a comparison of two listings.

What belongs here: pure comparison. What does not: listing (`sources.source`), or what is done
about a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import SourceError
from tvdb_assets.models import SourceFile


class KnownFile(Protocol):
    """What must be known of a registered document to compare it."""

    @property
    def document_id(self) -> int:
        """Its row."""

    @property
    def etag(self) -> str:
        """As it was listed last."""

    @property
    def is_gone(self) -> bool:
        """It was missing from the source before."""


_K = TypeVar("_K", bound=KnownFile)


@dataclass(slots=True)
class SourceDifference(Generic[_K]):
    """What a listing of the source shows that the register does not have."""

    new: list[SourceFile] = field(default_factory=list)
    changed: list[tuple[_K, SourceFile]] = field(default_factory=list)
    """Another etag than the one known, or back after it was gone."""
    same: list[_K] = field(default_factory=list)
    gone: list[_K] = field(default_factory=list)
    unsettled: int = 0
    """New or changed so short a time ago that something may still be writing to it."""


def compare(
    listed: Iterable[SourceFile | SourceError],
    known: Mapping[str, _K],
    *,
    root: str,
    is_whole: bool,
    written_before: float | None = None,
) -> SourceDifference[_K]:
    """Compare a listing with the documents that are known.

    Args:
        listed: the source, or a part of it. A file that must not be read is a document too: its
            walk then fails with the reason, where all look.
        known: the documents of just that part, by path.
        root: of the source, for the error.
        is_whole: whether all of the source was listed.
        written_before: seconds since 1970; a new or changed file that was written to since then
            is left for the next look. None leaves none.

    Raises:
        ConfigurationError: everything that is known is gone, as of a folder that is not mounted.
    """
    found: SourceDifference[_K] = SourceDifference()
    seen: set[str] = set()
    for entry in listed:
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
    found.gone = [d for path, d in known.items() if path not in seen]
    if is_whole and not seen and (left := [d for d in found.gone if not d.is_gone]):
        raise codes.SOURCE_EMPTY.error(root=root, known=len(left))
    return found


def _as_file(entry: SourceFile | SourceError) -> SourceFile:
    if isinstance(entry, SourceFile):
        return entry
    return SourceFile(path=entry.document or "", size=0, etag=f"refused:{entry.code}")
