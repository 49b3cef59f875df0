"""The interfaces of a parser and of a container, as their callers see them.

What belongs here: the protocols alone. What does not: choosing one (`parsing.format_registry`) or
any format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tvdb_assets.models import ParsedDocument


class Format(Protocol):
    """The description of one or several media types and of the code that reads them."""

    @property
    def media_types(self) -> frozenset[str]:
        """The media types that it reads, as `content_sniffing` names them."""
        ...

    @property
    def name(self) -> str:
        """The format's name in messages: ``PDF``, ``Word (DOCX)``."""
        ...

    @property
    def preserved(self) -> str:
        """The parts of a document that reach the text; a cell of the table in ``docs/``."""
        ...

    @property
    def not_preserved(self) -> str:
        """The parts of a document that do not reach the text."""
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

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules that are imported while it reads."""
        ...

    @property
    def is_memory_safe(self) -> bool:
        """Whether only Python and Rust code reads the bytes."""
        ...


class Parser(Format, Protocol):
    """Converts the bytes of one or several media types to text.

    The registry finds it as the ``PARSER`` of a module of `parsing.formats`. Libraries are
    imported inside `parse`, so that reading a fingerprint costs nothing.
    """

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse ``data``, which was sniffed as ``media_type``.

        Args:
            data: The whole document.
            media_type: One of `media_types`.
            path: The document's name; it only decides between kinds of text.

        Raises:
            UnsupportedVariantError: the media type is right, but this variant can't be read.
            ParseError: the bytes give no text. Any other exception means that they are corrupt.
        """
        ...


class UnsupportedVariantError(Exception):
    """A file of a supported media type is of a variant that no parser reads.

    Its text is the variant's name, e.g. ``a raw photograph (DNG)``.
    """


@dataclass(frozen=True, slots=True)
class ContainerEntry:
    """A document inside of a container; its bytes are not read yet."""

    name: str
    """As the container stores it."""
    read: Callable[[int], bytes]
    """Returns its bytes. It may stop as soon as it has more than the given number of bytes.

    Raises a `ParseError` if the entry can't be extracted.
    """
    media_type: str | None = None
    """As the container states it; None leaves it to content and name."""


class Container(Format, Protocol):
    """Lists the documents inside of a document; each is parsed separately.

    The registry finds it as the ``CONTAINER`` of a module of `parsing.formats`. A media type that
    also has a parser, such as mail, is a document with other documents inside.
    """

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The documents inside, in an order that depends on the bytes alone.

        Raises:
            ParseError: it can't be opened. Any other exception means that it is corrupt.
        """
        ...
