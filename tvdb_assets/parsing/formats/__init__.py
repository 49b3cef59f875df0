"""The parsers and containers by media type: a new module in this folder is a new format.

What belongs here: finding the modules that carry a ``PARSER`` or a ``CONTAINER``. What does
not: any format, or any import of a parsing library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, TypeVar

from tvdb_assets.parsing.formats.format_protocol import Container, ContainerEntry, Format, Parser

__all__ = [
    "Container",
    "ContainerEntry",
    "Format",
    "Parser",
    "all_containers",
    "all_parsers",
    "container_for",
    "parser_for",
    "supported_names",
]

_F = TypeVar("_F", bound=Format)


@cache
def all_parsers() -> tuple[Parser, ...]:
    """Every parser, by module name. Importing them imports no parsing library."""
    return tuple(_found("PARSER"))


@cache
def all_containers() -> tuple[Container, ...]:
    """Every container, by module name."""
    return tuple(_found("CONTAINER"))


def parser_for(media_type: str) -> Parser | None:
    """The parser of a media type; any ``text/…`` has at least the plain text one."""
    table = _parsers()
    parser = table.get(media_type)
    if parser is None and media_type.startswith("text/"):
        return table["text/plain"]
    return parser


def container_for(media_type: str) -> Container | None:
    """What lists the documents inside of documents of a media type."""
    return _containers().get(media_type)


def supported_names() -> str:
    """The formats for people: ``HTML, PDF, Word (DOCX)``."""
    formats = (*all_parsers(), *all_containers())
    # A record is no file of its own.
    return ", ".join(sorted({each.name for each in formats if not each.name.startswith("record ")}))


def _found(name: str) -> Iterator[Any]:
    for info in sorted(iter_modules(__path__), key=lambda info: info.name):
        found = getattr(import_module(f"{__name__}.{info.name}"), name, None)
        if found is not None:
            yield found


@cache
def _parsers() -> dict[str, Parser]:
    return _by_media_type(all_parsers())


@cache
def _containers() -> dict[str, Container]:
    return _by_media_type(all_containers())


def _by_media_type(formats: Sequence[_F]) -> dict[str, _F]:
    table: dict[str, _F] = {}
    for each in formats:
        for media_type in each.media_types:
            if media_type in table:
                raise ValueError(f"two formats claim {media_type}")
            table[media_type] = each
    return table
