"""Finds the parser or container of a media type.

What belongs here: the search for modules of `parsing.formats` that define a ``PARSER`` or a
``CONTAINER``. What does not: any format, or any import of a parsing library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, TypeVar

from tvdb_assets.parsing import formats as formats_package
from tvdb_assets.parsing.format_protocol import Container, Format, Parser

_IMPORTED_BY_ALL = (
    "chardetng_py",
    "email.parser",
    "encodings.cp1252",
    "encodings.cp437",
    "encodings.utf_16_le",
    "filetype",
    "olefile",
    "orjson",
    "tvdb_assets.core.normalization",
)
"""What detecting a kind, decoding and building a document import when they are first called."""

_F = TypeVar("_F", bound=Format)


@cache
def all_parsers() -> tuple[Parser, ...]:
    """Every parser, sorted by module name.

    The order is part of the fingerprint over all parsers, so a renamed module must keep its place.
    """
    return tuple(_defined_in_modules("PARSER"))


@cache
def all_containers() -> tuple[Container, ...]:
    """Every container, sorted by module name."""
    return tuple(_defined_in_modules("CONTAINER"))


def parser_for(media_type: str) -> Parser | None:
    """The parser of a media type; the fallback for any ``text/…`` is the plain text parser."""
    table = _parsers()
    parser = table.get(media_type)
    if parser is None and media_type.startswith("text/"):
        return table["text/plain"]
    return parser


def container_for(media_type: str) -> Container | None:
    """The container that lists the documents inside of a document of this media type."""
    return _containers().get(media_type)


def is_memory_safe(media_type: str) -> bool:
    """Whether documents of this media type are read without C code."""
    formats = [each for each in (parser_for(media_type), container_for(media_type)) if each]
    return bool(formats) and all(each.is_memory_safe for each in formats)


def load_libraries(media_type: str) -> None:
    """Import what the formats of a media type import when they parse; skip what is missing."""
    formats = (parser_for(media_type), container_for(media_type))
    for name in (*_IMPORTED_BY_ALL, *(name for each in formats if each for name in each.imports)):
        with suppress(ImportError):
            import_module(name)


def supported_names() -> str:
    """The names of all formats for a message: ``HTML, PDF, Word (DOCX)``."""
    formats = (*all_parsers(), *all_containers())
    # A record is not a file.
    return ", ".join(sorted({each.name for each in formats if not each.name.startswith("record ")}))


def _defined_in_modules(attribute: str) -> Iterator[Any]:
    for info in sorted(iter_modules(formats_package.__path__), key=lambda info: info.name):
        module = import_module(f"{formats_package.__name__}.{info.name}")
        defined = getattr(module, attribute, None)
        if defined is not None:
            yield defined


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
