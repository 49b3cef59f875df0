"""JSON Lines: each line is a separate document.

What belongs here: the split into lines. What does not: a record's text (`formats.record_fields`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial

from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.format_protocol import ContainerEntry
from tvdb_assets.parsing.formats.record_fields import MEDIA_TYPE, record_name
from tvdb_assets.parsing.reading.text_decoding import decode

_HEAD = 65_536
_LONGEST_NAMED = 1 << 20  # bytes: a longer record is named by its number


class JsonLines(BaseParser):
    """Lists records in their order; skips blank lines."""

    media_types = frozenset({"application/jsonl"})
    name = "JSON Lines"
    service = "orjson"
    preserved = "every record, as a separate document, named by its `id` or as `#000001` and so on"
    not_preserved = "blank lines"
    is_memory_safe = True

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The records; the number of the line is the fallback for a name."""
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
                    value = None  # this record alone fails, when it is parsed
            yield ContainerEntry(record_name(value, number), partial(_whole, record), MEDIA_TYPE)


def _whole(record: bytes, max_bytes: int) -> bytes:
    return record


CONTAINER = JsonLines()
