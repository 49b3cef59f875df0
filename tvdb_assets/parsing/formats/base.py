"""What most parsers are made of: names, versions and a fingerprint.

What belongs here: the attributes that every parser has to state. What does not: parsing.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

OURS = "tvdb-assets"
"""Names a parser that stands on no library but Python's own."""


class BaseParser:
    """A parser states what it reads and what it stands on; the rest follows.

    Raise ``revision`` whenever the module's own code may give another text.
    """

    media_types: ClassVar[frozenset[str]]
    name: ClassVar[str]
    service: ClassVar[str]
    kept: ClassVar[str]
    lost: ClassVar[str]
    revision: ClassVar[int] = 1
    also: ClassVar[tuple[str, ...]] = ()
    """More libraries whose version may change the text."""

    @property
    def version(self) -> str:
        return version(self.service)

    @property
    def fingerprint(self) -> str:
        libraries = ":".join(f"{name}{version(name)}" for name in (self.service, *self.also))
        return f"{type(self).__name__}{self.revision}:{libraries}"
