"""The names and paths of documents inside of other documents.

The path of a member is the path of its container, ``!/`` and the member's name:
``claims.zip!/2024/letter.docx``. A name is a label and is never opened. It still can't point
outside of the container: ``%``, control characters, ``!`` before a slash, the parts ``.`` and
``..``, and slashes without a part before them are percent-encoded as UTF-8. A name longer than 400
bytes is truncated and ends in ``~`` and 16 hex digits of its sha256. The second and later of equal
names get a number before their suffix.

What belongs here: names. What does not: reading members (`parsing.container_members`).
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
    """The path of a member by its name from `MemberNames`."""
    return f"{container}{SEPARATOR}{name}"


class MemberNames:
    """Unique names for the members of one container."""

    def __init__(self) -> None:
        """Start with no name in use."""
        self._used: set[str] = set()

    def take(self, raw: str) -> str:
        """The unique name of the next member; ``raw`` is its name in the container."""
        name = first_choice = _truncate(
            _ENCODED.sub(lambda found: _percent(found[0]), raw.strip()) or "unnamed"
        )
        number = 1
        while name in self._used:
            number += 1
            suffix = PurePosixPath(first_choice).suffix
            name = f"{first_choice.removesuffix(suffix)} ({number}){suffix}"
        self._used.add(name)
        return name


def is_safe(name: str) -> bool:
    """Whether a name may be one of `MemberNames`: it can't point outside of its container."""
    unescaped = name.replace("%", "")
    # The number of an equal name comes after the truncation.
    size = len(name.encode("utf-8", "surrogatepass"))
    return 0 < size <= MAX_BYTES + len(" (1000000)") and not _ENCODED.search(unescaped)


def _truncate(name: str) -> str:
    encoded = name.encode("utf-8")
    if len(encoded) <= MAX_BYTES:
        return name
    # The suffix stays, because it decides what content leaves open.
    end = f"~{sha256(encoded).hexdigest()[:16]}{PurePosixPath(name).suffix[:16]}"
    start = encoded[: MAX_BYTES - len(end.encode("utf-8"))].decode("utf-8", "ignore")
    return re.sub(r"%[0-9A-F]?$", "", start) + end


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))
