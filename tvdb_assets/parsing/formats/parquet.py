"""Parquet, by arro3: each row is a separate document.

What belongs here: rows as records. What does not: a record's text (`formats.record_fields`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.format_protocol import ContainerEntry
from tvdb_assets.parsing.formats.record_fields import MEDIA_TYPE, record_name
from tvdb_assets.parsing.parse_errors import corrupt

MAGIC = b"PAR1"
_BATCH_ROWS = 64  # rows decoded at once; a row may hold a long text


class Parquet(BaseParser):
    """Lists rows in their order, in batches, so that one batch bounds the memory."""

    media_types = frozenset({"application/vnd.apache.parquet"})
    name = "Parquet"
    service = "arro3-io"
    other_libraries = ("arro3-core",)
    preserved = "every row, as a separate document, named by its `id` or as `#000001` and so on"
    not_preserved = "types; bytes that are not text"
    imports = ("arro3.io",)

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The rows of a file."""
        from arro3.io import read_parquet

        if not data.endswith(MAGIC):
            raise corrupt("Parquet file", "its end is missing")
        number = 0
        try:
            rows: Any = read_parquet(io.BytesIO(data), batch_size=_BATCH_ROWS)
            for batch in rows:
                names = batch.schema.names
                columns = [[_decoded(v.as_py()) for v in column] for column in batch.columns]
                for values in zip(*columns, strict=True):
                    number += 1
                    record = dict(zip(names, values, strict=True))
                    yield ContainerEntry(
                        record_name(record, number), partial(_json, record), MEDIA_TYPE
                    )
        except BaseException as error:
            # A panic of the library is a `BaseException`, not an `Exception`.
            if isinstance(error, GeneratorExit | KeyboardInterrupt | MemoryError):
                raise
            raise corrupt(
                "Parquet file", f"its rows can't be read ({type(error).__name__})"
            ) from None


def _json(record: dict[str, Any], max_bytes: int) -> bytes:
    import orjson

    return orjson.dumps(record, default=str, option=orjson.OPT_NON_STR_KEYS)


def _decoded(value: Any) -> Any:
    """The value with bytes decoded as UTF-8, or None for other bytes."""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    if isinstance(value, dict):
        return {name: _decoded(inner) for name, inner in value.items()}
    return [_decoded(inner) for inner in value] if isinstance(value, list) else value


CONTAINER = Parquet()
