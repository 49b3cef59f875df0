"""Filters of a search.

What belongs here: which documents a search is restricted to, and the SQL condition for it. What
does not: the rankings (`retrieval.word_ranking`, `retrieval.candidates`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, LiteralString


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Restrict a search to some documents. All given conditions must hold; None is no condition."""

    source: str | None = None
    """Root folder or bucket of the documents, as ``tvdb sources`` shows it."""
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
    """Values that the document's metadata must have, by name, at most 10. Values are compared as
    text. The names are ``title``, ``encoding``, ``suffix``, ``parser``, ``parser_model``,
    ``status``, ``member``, and those of the counts that its parser reports, such as ``tables``."""

    def __post_init__(self) -> None:
        """Check the number of values.

        Raises:
            ValueError: there are more than 10 in ``metadata``.
        """
        if len(self.metadata) > len(_NUMBERS):
            raise ValueError(f"metadata has {len(self.metadata)} values, at most 10 are possible")

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return self != Filters()

    def condition(self) -> tuple[LiteralString, dict[str, Any]]:
        """An SQL condition on a document, and its values.

        The condition uses the aliases ``d`` of `documents`, ``k`` of `chunk_sets` and ``p`` of
        `parsed_documents`; all values have names that begin with ``f_``.
        """
        conditions: list[LiteralString] = []
        values: dict[str, Any] = {}
        if self.source is not None:
            conditions.append("d.source = %(f_source)s")
            values["f_source"] = self.source
        if self.path is not None:
            if _GLOB.search(self.path):
                conditions.append("d.path ~ %(f_path)s")
                values["f_path"] = glob_pattern(self.path)
            else:
                conditions.append("starts_with(d.path, %(f_path)s)")
                values["f_path"] = self.path
        if self.media_type is not None:
            kind, _, subtype = self.media_type.lower().partition("/")
            if subtype in ("", "*"):
                conditions.append("split_part(p.media_type, '/', 1) = %(f_type)s")
                values["f_type"] = kind
            else:
                conditions.append("p.media_type = %(f_type)s")
                values["f_type"] = self.media_type.lower()
        if self.language is not None:
            conditions.append("k.language = %(f_language)s")
            values["f_language"] = self.language.lower()
        if self.modified_from is not None:
            conditions.append(f"{_MODIFIED_AT} >= %(f_from)s")
            values["f_from"] = _in_utc(self.modified_from)
        if self.modified_to is not None:
            conditions.append(f"{_MODIFIED_AT} < %(f_to)s")
            values["f_to"] = _in_utc(self.modified_to)
        for number, (name, value) in enumerate(self.metadata.items()):
            key: LiteralString = _NUMBERS[number]
            column = _METADATA.get(name)
            if column is None:
                column = f"p.facts ->> %(f_name_{key})s"
                values[f"f_name_{key}"] = name
            conditions.append(f"{column} = %(f_value_{key})s")
            values[f"f_value_{key}"] = str(value)
        return " AND ".join(conditions) or "true", values


_GLOB = re.compile(r"[*?\[]")
_NUMBERS: tuple[LiteralString, ...] = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
# A document inside a file has the time of the file.
_MODIFIED_AT: LiteralString = (
    "(CASE WHEN d.container_id IS NULL THEN d.modified_at ELSE"
    " (SELECT f.modified_at FROM tvdb.documents f"
    " WHERE f.partition_key = d.partition_key AND f.container_id IS NULL) END)"
)
_METADATA: dict[str, LiteralString] = {
    "title": "p.title",
    "encoding": "p.encoding",
    "suffix": "p.suffix",
    "parser": "p.service",
    "parser_model": "p.model",
    "status": "d.status",
    "member": "d.member",
}
"""Names that are columns; the others are names of facts."""


def glob_pattern(glob: str) -> str:
    """The regular expression of Postgres for a glob pattern."""
    parts: list[str] = []
    at = 0
    while at < len(glob):
        character = glob[at]
        end = glob.find("]", at + 2) if character == "[" else -1
        if character == "*":
            parts.append(".*")
        elif character == "?":
            parts.append(".")
        elif end > 0:
            inner = glob[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            parts.append(f"[^{inner[1:]}]" if inner[0] == "!" else f"[{inner}]")
            at = end
        else:
            parts.append(re.escape(character) if not character.isalnum() else character)
        at += 1
    return f"^{''.join(parts)}$"


def _in_utc(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
