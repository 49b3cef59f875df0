"""Converts a document's path to a Dagster partition key and back.

Letters of any script, inner spaces, slashes and most punctuation stay unchanged, so that a key
reads like the path. Percent-encoded as UTF-8 are ``%``, characters that act on a terminal or a
reader (controls, line ends, marks of direction), ``...``, which Dagster refuses in a key, the
characters of Dagster's own syntax (``,`` ``[`` ``]`` ``"`` ``*``), and a space at either end. A key
longer than 400 bytes is truncated and ends in ``~`` and 16 hex digits of the path's sha256; the
documents table has its path.

What belongs here: the conversion. What does not: ranges of keys (`core.partition_ranges`).
"""

from __future__ import annotations

import re
from hashlib import sha256
from urllib.parse import unquote

from tvdb_assets.redaction import ACTING

MAX_BYTES = 400
"""Well below the 2,704 bytes of an index entry in Postgres."""
_ENCODED = re.compile(f'[%,\\[\\]"*{ACTING}]|\\.(?=\\.\\.)|(?<=\\.)\\.(?=\\.)|(?<=\\.\\.)\\.|^ | $')


def partition_key(path: str) -> str:
    """The partition key of a document's path."""
    key = _ENCODED.sub(lambda found: _percent(found[0]), path)
    encoded = key.encode("utf-8")
    if len(encoded) <= MAX_BYTES and not _is_truncated(key):
        return key
    digest = sha256(path.encode("utf-8")).hexdigest()[:16]
    start = encoded[: MAX_BYTES - 17].decode("utf-8", "ignore")
    # Truncation inside of a percent-encoded character would leave half of it.
    start = re.sub(r"%[0-9A-F]?$", "", start)
    return f"{start}~{digest}"


def path_from_key(key: str) -> str | None:
    """The path of a key, or None for a truncated key, whose path only the table has."""
    return None if _is_truncated(key) else unquote(key)


def _is_truncated(key: str) -> bool:
    return re.search(r"~[0-9a-f]{16}$", key) is not None


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8"))
