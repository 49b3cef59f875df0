"""What a document inside another one is called.

The path of a member is that of its container, ``!/`` and the member's name:
``claims.zip!/2024/letter.docx``. A name is a label and is never opened, and still it can't
point outside: percent-encoded, as UTF-8, are ``%`` itself, control characters, ``!`` before a
slash, parts that are ``.`` or ``..`` and slashes that no part stands before. A name longer than
400 bytes is cut and ends in ``~`` and 16 hex digits of its sha256. Of equal names, the later
ones are numbered before their suffix.
"""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import PurePosixPath

SEPARATOR = "!/"
MAX_BYTES = 400
_ENCODED = re.compile(
    "[%\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|!(?=/)|^/|(?<=/)/|(?:(?<=/)|^)\\.\\.?(?=/|$)"
)


def member_path(container: str, name: str) -> str:
    """The path of the member that is called ``name``, as `MemberNames` gives it."""
    return f"{container}{SEPARATOR}{name}"


class MemberNames:
    """Names of one container's members, each once."""

    def __init__(self) -> None:
        """No name is taken yet."""
        self._taken: set[str] = set()

    def take(self, raw: str) -> str:
        """The name of the next member, which its container calls ``raw``."""
        name = plain = _cut(
            _ENCODED.sub(lambda found: _percent(found[0]), raw.strip()) or "unnamed"
        )
        number = 1
        while name in self._taken:
            number += 1
            suffix = PurePosixPath(plain).suffix
            name = f"{plain.removesuffix(suffix)} ({number}){suffix}"
        self._taken.add(name)
        return name


def _cut(name: str) -> str:
    encoded = name.encode("utf-8")
    if len(encoded) <= MAX_BYTES:
        return name
    # The suffix stays: it settles what content leaves open.
    end = f"~{sha256(encoded).hexdigest()[:16]}{PurePosixPath(name).suffix[:16]}"
    kept = encoded[: MAX_BYTES - len(end.encode("utf-8"))].decode("utf-8", "ignore")
    return re.sub(r"%[0-9A-F]?$", "", kept) + end


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))
