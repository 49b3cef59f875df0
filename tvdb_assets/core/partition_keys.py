"""Path to Dagster partition key and back.

Kept as they are: letters of any script, spaces within, slashes and most punctuation, so that
a key reads as the path. Percent-encoded, as UTF-8: ``%`` itself, control characters, what
Dagster refuses in a key (``...``) or reads as its own syntax (``,`` ``[`` ``]`` ``"``
``*``), and a space at either end. A key longer than 400 bytes is cut and ends in ``~`` and
16 hex digits of the path's sha256; its path is found in the documents table.
"""

from __future__ import annotations

import re
from hashlib import sha256
from urllib.parse import unquote

MAX_BYTES = 400
"""Well below the 2,704 bytes of an index entry in Postgres."""
_ENCODED = re.compile(
    '[%,\\[\\]"*\x00-\x1f\x7f-\x9f\u2028\u2029]|\\.(?=\\.\\.)|(?<=\\.)\\.(?=\\.)'
    "|(?<=\\.\\.)\\.|^ | $"
)


def partition_key(path: str) -> str:
    """The partition key of a document's path."""
    key = _ENCODED.sub(lambda found: _percent(found[0]), path)
    encoded = key.encode("utf-8")
    if len(encoded) <= MAX_BYTES and not _looks_cut(key):
        return key
    digest = sha256(path.encode("utf-8")).hexdigest()[:16]
    kept = encoded[: MAX_BYTES - 17].decode("utf-8", "ignore")
    # A cut within a percent-encoded character would leave half of it.
    kept = re.sub(r"%[0-9A-F]?$", "", kept)
    return f"{kept}~{digest}"


def path_from_key(key: str) -> str | None:
    """The path of a key, or None where the key was cut and only the table knows."""
    return None if _looks_cut(key) else unquote(key)


def _looks_cut(key: str) -> bool:
    return re.search(r"~[0-9a-f]{16}$", key) is not None


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8"))
