"""The base class of parsers and containers: names, library versions and the fingerprint.

What belongs here: the attributes that every format states. What does not: parsing.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

THIS_PACKAGE = "tvdb-assets"
"""The `service` of a parser that needs no library except Python's own."""


class BaseParser:
    """A subclass states its media types and its libraries; version and fingerprint follow.

    Increase ``revision`` whenever the module's own code may give another text. The name of the
    class is part of the fingerprint: after a renaming, every document of its formats is parsed
    again.
    """

    media_types: ClassVar[frozenset[str]]
    name: ClassVar[str]
    service: ClassVar[str]
    preserved: ClassVar[str]
    not_preserved: ClassVar[str]
    revision: ClassVar[int] = 1
    other_libraries: ClassVar[tuple[str, ...]] = ()
    """Further libraries whose version may change the text."""
    imports: ClassVar[tuple[str, ...]] = ()
    """The modules that are imported while it parses. They are imported once, before processes for
    documents are forked; a module that is left out costs its import per document."""
    is_memory_safe: ClassVar[bool] = False
    """Whether only Python and Rust code reads the bytes, so that documents share a process."""

    @property
    def version(self) -> str:
        """The installed version of `service`."""
        return version(self.service)

    @property
    def fingerprint(self) -> str:
        """Class name, revision and the version of each library."""
        libraries = ":".join(
            f"{name}{version(name)}" for name in (self.service, *self.other_libraries)
        )
        return f"{type(self).__name__}{self.revision}:{libraries}"
