"""Documents inside documents: parsed one by one, within one budget for all of them.

What belongs here: count, depth and bytes over all levels, and a section for each member.
What does not: opening a container (`archive`, `mailbox`).

For now a container is one document with a section for each of its members. That a member
fails is a note; only a container of which nothing can be parsed fails itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from tvdb_assets.errors import ParseError
from tvdb_assets.services.parsers.limits import LIMITS, over_limit
from tvdb_assets.services.parsers.refusals import expands_too_far

_MIB = 1024 * 1024
_HEADING = re.compile(r"^#{1,5}(?=[ \t])", re.MULTILINE)
_STRUCTURE = re.compile(r"^(?=[#>|])|^(?=(?:=+|-+)[ \t]*$)", re.MULTILINE)


@dataclass(slots=True)
class Budget:
    """What is left for all containers inside the outermost one."""

    members: int = field(default_factory=lambda: LIMITS.members)
    bytes: int = field(default_factory=lambda: LIMITS.expanded_mib * _MIB)
    depth: int = 0

    def open_member(self, what: str) -> None:
        """Count one.

        Raises:
            ParseError: ``over_limit``.
        """
        self.members -= 1
        if self.members < 0:
            raise over_limit(what, "members", "documents inside it")

    def spend(self, size: int, what: str) -> None:
        """Count unpacked bytes.

        Raises:
            ParseError: ``expands_too_far``.
        """
        self.bytes -= size
        if self.bytes < 0:
            raise expands_too_far(what, LIMITS.expanded_mib)


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def budget(what: str) -> Iterator[Budget]:
    """The budget of the outermost container, one level deeper.

    Raises:
        ParseError: ``over_limit``, for containers inside each other.
    """
    outer = _current.get()
    mine = outer if outer is not None else Budget()
    if mine.depth >= LIMITS.depth:
        raise over_limit(what, "depth", "levels of documents inside each other")
    mine.depth += 1
    token = _current.set(mine)
    try:
        yield mine
    finally:
        mine.depth -= 1
        _current.reset(token)


class Sections:
    """The texts of members under their names, and why others have none."""

    def __init__(self, members: str) -> None:
        self.parts: list[str] = []
        self.failed: Counter[str] = Counter()
        self.last_error: ParseError | None = None
        self._members = members

    def add(self, name: str, data: bytes, title: str | None = None) -> None:
        """Parse a member and put its text under its name.

        Raises:
            ParseError: a limit over all members is passed.
        """
        from tvdb_assets.services.parsing import parse_document

        try:
            parsed = parse_document(data, name)
        except ParseError as error:
            if error.code == "expands_too_far" or (
                error.code == "over_limit" and "inside it" in error.message
            ):
                raise
            self.failed[error.code] += 1
            self.last_error = error
            return
        text = parsed.text.strip("\n")
        if parsed.is_markdown:
            text = _HEADING.sub(lambda found: found[0] + "#", text)
        else:
            text = _STRUCTURE.sub(r"\\", text)
        if text.strip():
            shown = " ".join((title or name).split())[:300]
            self.parts.append(f"# {shown}\n\n{text}")

    def notes(self) -> tuple[str, ...]:
        """How many members failed, by code."""
        if not self.failed:
            return ()
        codes = ", ".join(f"{code} {count}" for code, count in sorted(self.failed.items()))
        total = sum(self.failed.values())
        return (f"{total} {self._members} could not be parsed: {codes}",)
