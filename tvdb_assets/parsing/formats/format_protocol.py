"""What a parser and a container are, to those who call one.

What belongs here: the protocols alone. What does not: choosing one (the package's
``__init__``) or any format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tvdb_assets.models import ParsedDocument


class Format(Protocol):
    """What is said of one or several media types, whoever reads them."""

    @property
    def media_types(self) -> frozenset[str]:
        """The media types, as `sniff` names them, that it reads."""
        ...

    @property
    def name(self) -> str:
        """The format for people: ``PDF``, ``Word (DOCX)``."""
        ...

    @property
    def kept(self) -> str:
        """What of a document reaches the text, for the table of formats in ``docs/``."""
        ...

    @property
    def lost(self) -> str:
        """What does not."""
        ...

    @property
    def service(self) -> str:
        """The library that does the work."""
        ...

    @property
    def version(self) -> str:
        """That library's version."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same bytes may give another text."""
        ...


class Parser(Format, Protocol):
    """Makes text of the bytes of one or several media types.

    A module of this package that assigns one to ``PARSER`` is found by that name. Libraries
    are imported inside `parse`, so that asking for a fingerprint costs nothing.
    """

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse ``data``, which was sniffed as ``media_type``.

        Args:
            data: The whole document.
            media_type: One of `media_types`.
            path: The document's name, for choices among kinds of text only.

        Raises:
            ParseError: the bytes give no text; any other exception means they are corrupt.
        """
        ...


@dataclass(frozen=True, slots=True)
class ContainerEntry:
    """A document inside of a container, not taken out yet."""

    name: str
    """As the container has it."""
    read: Callable[[int], bytes]
    """Its bytes, or the first of them: may stop once it has more than so many.

    Raises a `ParseError` for one that can't be taken out.
    """
    media_type: str | None = None
    """Where the container says it; None leaves it to content and name."""


class Container(Format, Protocol):
    """Lists the documents inside of a document, each to be parsed by itself.

    A module of this package that assigns one to ``CONTAINER`` is found by that name. Media
    types that have a parser too, such as mail, are documents with others inside.
    """

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The documents inside, in an order that only the bytes decide.

        Raises:
            ParseError: it can't be opened; any other exception means that it is corrupt.
        """
        ...
