"""S/MIME messages whose content is inside of the signature (CMS ``SignedData``).

What belongs here: finding that content. What does not: checking the signature.
"""

from __future__ import annotations

_SIGNED = bytes.fromhex("06092a864886f70d010702")
_ENVELOPED = (
    bytes.fromhex("06092a864886f70d010703"),
    bytes.fromhex("060b2a864886f70d0109100117"),
)
"""Encrypted, without and with authentication."""
_DATA = bytes.fromhex("06092a864886f70d010701")
_OCTETS, _OCTETS_OF_MANY, _CONTENT = 0x04, 0x24, 0xA0
_MOST = 1_000_000


def is_encrypted(data: bytes) -> bool:
    """Whether the message is encrypted."""
    return any(oid in data[:64] for oid in _ENVELOPED)


def signed_content(data: bytes) -> bytes | None:
    """The signed content; None if it is not inside, or if the message is of another kind."""
    if _SIGNED not in data[:64]:
        return None
    at = data.find(_DATA, 0, 4_096)
    if at < 0:
        return None
    tag, start, _ = _head(data, at + len(_DATA))
    if tag != _CONTENT:
        return None
    tag, start, end = _head(data, start)
    if tag == _OCTETS:
        return data[start:end]
    if tag != _OCTETS_OF_MANY:
        return None
    pieces = []
    for _ in range(_MOST):
        if start >= end:
            break
        tag, inside, after = _head(data, start)
        if tag != _OCTETS:
            break
        pieces.append(data[inside:after])
        start = after
    return b"".join(pieces)


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """The tag at a place, and where its content starts and ends."""
    if at + 2 > len(data):
        return 0, len(data), len(data)
    tag, length = data[at], data[at + 1]
    start = at + 2
    if length == 0x80:
        return tag, start, len(data)  # of indefinite length
    if length > 0x80:
        start += length - 0x80
        length = int.from_bytes(data[at + 2 : start], "big")
    return tag, start, min(len(data), start + length)
