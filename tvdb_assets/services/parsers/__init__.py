"""The parsers by media type: a new module in this folder is a new format.

What belongs here: finding the modules that carry a ``PARSER``. What does not: any format,
or any import of a parsing library.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from tvdb_assets.services.parsers.protocol import Parser

__all__ = ["Parser", "all_parsers", "parser_for", "supported_names"]


@cache
def all_parsers() -> tuple[Parser, ...]:
    """Every parser, by module name. Importing them imports no parsing library."""
    found: list[Parser] = []
    for info in sorted(iter_modules(__path__), key=lambda info: info.name):
        parser = getattr(import_module(f"{__name__}.{info.name}"), "PARSER", None)
        if parser is not None:
            found.append(parser)
    return tuple(found)


@cache
def _by_media_type() -> dict[str, Parser]:
    table: dict[str, Parser] = {}
    for parser in all_parsers():
        for media_type in parser.media_types:
            if media_type in table:
                raise ValueError(f"two parsers claim {media_type}")
            table[media_type] = parser
    return table


def parser_for(media_type: str) -> Parser | None:
    """The parser of a media type; any ``text/…`` has at least the plain text one."""
    table = _by_media_type()
    parser = table.get(media_type)
    if parser is None and media_type.startswith("text/"):
        return table["text/plain"]
    return parser


def supported_names() -> str:
    """The formats for people: ``HTML, PDF, Word (DOCX)``."""
    return ", ".join(sorted(parser.name for parser in all_parsers()))
