"""What a parser is, to those who call one.

What belongs here: the protocol alone. What does not: choosing a parser (the package's
``__init__``) or any format.
"""

from __future__ import annotations

from typing import Protocol

from tvdb_assets.models import ParsedDocument


class Parser(Protocol):
    """Makes text of the bytes of one or several media types.

    A module of this package that assigns one to ``PARSER`` is found by that name. Libraries
    are imported inside `parse`, so that asking for a fingerprint costs nothing.
    """

    @property
    def media_types(self) -> frozenset[str]:
        """The media types, as `sniff` names them, that it parses."""
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
