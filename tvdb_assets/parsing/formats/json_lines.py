"""JSON Lines: each line is a document of its own.

What belongs here: the lines. What does not: what a record says (`record`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial

from tvdb_assets.parsing.formats.base import BaseParser
from tvdb_assets.parsing.formats.decode import decode
from tvdb_assets.parsing.formats.format_protocol import ContainerEntry
from tvdb_assets.parsing.formats.record import MEDIA_TYPE, record_name

_HEAD = 65_536
_LONGEST_NAMED = 1 << 20  # bytes: a longer record is called by its number


class JsonLines(BaseParser):
    """Records in their order; blank lines are passed over."""

    media_types = frozenset({"application/jsonl"})
    name = "JSON Lines"
    service = "orjson"
    kept = "every record, as a document of its own, called by its `id` or as `#000001` and so on"
    lost = "blank lines"

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The records, by the number of their line."""
        import orjson

        encoding = decode(data[:_HEAD]).encoding
        if encoding.startswith(("utf-16", "utf-32")):
            data = decode(data).text.encode("utf-8", "replace")
        for number, line in enumerate(io.BytesIO(data.removeprefix(b"\xef\xbb\xbf")), start=1):
            if not (record := line.strip()):
                continue
            value = None
            if len(record) <= _LONGEST_NAMED:
                try:
                    value = orjson.loads(record)
                except orjson.JSONDecodeError:
                    value = None  # it fails alone, when it is parsed
            yield ContainerEntry(record_name(value, number), partial(_whole, record), MEDIA_TYPE)


def _whole(record: bytes, most: int) -> bytes:
    return record


CONTAINER = JsonLines()
