"""Filters of a search, as a value.

What belongs here: which documents a search is restricted to, and the SQL condition for it. What
does not: the rankings (`retrieval.ranking`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Restrict a search to some documents. All given conditions must hold; None is no condition."""

    source: str | None = None
    """Root folder or bucket of the documents, as ``tvdb status`` shows it."""
    path: str | None = None
    """Beginning of the path within the source. With ``*``, ``?`` or ``[`` it is a glob pattern for
    the whole path, in which ``*`` also matches ``/``."""
    media_type: str | None = None
    """Media type of the content, e.g. ``application/pdf``; ``text/*`` matches all subtypes."""
    language: str | None = None
    """ISO 639-1 code of the language that was found in the document, e.g. ``de``."""
    modified_from: datetime | None = None
    """Earliest modification time of the file, inclusive; a time without zone is UTC."""
    modified_to: datetime | None = None
    """Latest modification time of the file, exclusive; a time without zone is UTC."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Values that the document's metadata must have, by name. Values are compared as text."""

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return self != Filters()
