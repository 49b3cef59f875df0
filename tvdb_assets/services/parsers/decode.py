"""Bytes to text: which encoding, and how sure.

What belongs here: detection of encodings for every text format. What does not: clean-up
of the text (`pipeline.normalize`).
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 65_536  # bytes; detection costs milliseconds per 10 kB and settles early


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, the encoding that gave it, and how many byte sequences were invalid in it."""

    text: str
    encoding: str
    replaced: int = 0

    def notes(self) -> tuple[str, ...]:
        """What the reader should know."""
        if not self.replaced:
            return ()
        return (f"{self.replaced} invalid {self.encoding} sequences were replaced",)


def decode(data: bytes, declared: str | None = None) -> Decoded:
    """Decode ``data``; a byte order mark wins, then UTF-8, then ``declared``, then a guess."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode_as(data[len(mark) :], encoding)
    wide = _wide_encoding(data)
    if wide is not None:
        return _decode_as(data, wide)
    try:
        return Decoded(data.decode("utf-8"), "utf-8" if not data.isascii() else "ascii")
    except UnicodeDecodeError:
        pass
    if declared is not None and (known := _known(declared)) is not None and known != "utf-8":
        return _decode_as(data, known)
    if _mostly_utf8(data):
        return _decode_as(data, "utf-8")
    return _decode_as(data, _guess(data))


def _decode_as(data: bytes, encoding: str) -> Decoded:
    try:
        return Decoded(data.decode(encoding), encoding)
    except UnicodeDecodeError:
        text = data.decode(encoding, errors="replace")
        return Decoded(text, encoding, text.count("\ufffd"))


def _known(name: str) -> str | None:
    try:
        found = codecs.lookup(name.strip().strip("\"'"))
        # Codecs such as base64 or rot13 live in the same registry and are no text encodings.
        if not getattr(found, "_is_text_encoding", True):
            return None
        # The web reads "latin-1" as cp1252, and so do the programs that wrote it.
        return "cp1252" if found.name in {"iso8859-1", "ascii"} else found.name
    except (LookupError, ValueError):
        return None


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, seen by where the zero bytes of Latin letters lie."""
    sample = data[: _SAMPLE // 4 * 4]
    quarter = len(sample) // 4
    if quarter < 2 or sample.count(0) < quarter:
        return None
    zeros = [sample[place::4].count(0) for place in range(4)]
    most = 0.7 * quarter
    few = 0.1 * quarter
    if len(data) % 4 == 0:
        if zeros[0] < few and min(zeros[1:]) > most:
            return "utf-32-le"
        if zeros[3] < few and min(zeros[:3]) > most:
            return "utf-32-be"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if odd > quarter and even < 0.1 * odd:
        return "utf-16-le"
    if even > quarter and odd < 0.1 * even:
        return "utf-16-be"
    return None


def _mostly_utf8(data: bytes) -> bool:
    """Whether damaged UTF-8 is likelier than another encoding."""
    sample = data[:_SAMPLE]
    text = sample.decode("utf-8", errors="replace")
    invalid = text.count("\ufffd")
    valid = sum(1 for char in text if char > "\x7f") - invalid
    return valid > 2 * invalid


def _guess(data: bytes) -> str:
    from charset_normalizer import from_bytes

    # The bytes that tell encodings apart are rare in Western text: sample where they are.
    start = next((i for i, byte in enumerate(data) if byte > 127), 0)
    start = max(0, start - 1_024)
    best = from_bytes(data[start : start + _SAMPLE]).best()
    # cp1252 reads any Western text of the last decades; what it can't, is not text.
    return best.encoding if best is not None else "cp1252"
