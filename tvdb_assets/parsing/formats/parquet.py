"""Parquet, by arro3: each row is a document of its own.

What belongs here: rows as records. What does not: what a record says (`record`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

from tvdb_assets.parsing.formats.base import BaseParser
from tvdb_assets.parsing.formats.format_protocol import ContainerEntry
from tvdb_assets.parsing.formats.record import MEDIA_TYPE, record_name
from tvdb_assets.parsing.formats.refusals import corrupt

MAGIC = b"PAR1"
_ROWS = 64  # decoded at once: a row may hold a long text


class Parquet(BaseParser):
    """Rows in their order; read in batches, so that memory follows what a batch holds."""

    media_types = frozenset({"application/vnd.apache.parquet"})
    name = "Parquet"
    service = "arro3-io"
    also = ("arro3-core",)
    kept = "every row, as a document of its own, called by its `id` or as `#000001` and so on"
    lost = "types; bytes that are no text"

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The rows of a file."""
        from arro3.io import read_parquet

        if not data.endswith(MAGIC):
            raise corrupt("Parquet file", "its end is missing")
        number = 0
        try:
            rows: Any = read_parquet(io.BytesIO(data), batch_size=_ROWS)
            for batch in rows:
                names = batch.schema.names
                columns = [[_plain(v.as_py()) for v in column] for column in batch.columns]
                for values in zip(*columns, strict=True):
                    number += 1
                    record = dict(zip(names, values, strict=True))
                    yield ContainerEntry(
                        record_name(record, number), partial(_json, record), MEDIA_TYPE
                    )
        except BaseException as error:
            # The library's panics are no `Exception`.
            if isinstance(error, GeneratorExit | KeyboardInterrupt | MemoryError):
                raise
            raise corrupt(
                "Parquet file", f"its rows can't be read ({type(error).__name__})"
            ) from None


def _json(record: dict[str, Any], most: int) -> bytes:
    import orjson

    return orjson.dumps(record, default=str, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    """Bytes as the text that they are, or nothing."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


CONTAINER = Parquet()
