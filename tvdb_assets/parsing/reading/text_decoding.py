"""Decodes bytes to text: detects the encoding and counts invalid bytes.

What belongs here: detection of encodings for every text format. What does not: cleaning of the
text (`core.normalization`).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NAMES = {
    "shift_jis": "cp932", "euc-kr": "cp949", "gbk": "gb18030", "big5": "big5hkscs",
    "windows-874": "cp874", "iso-8859-8-i": "iso8859-8", "iso-2022-jp": "iso2022_jp",
    "ibm866": "cp866", "utf-8": "cp1252",
}  # fmt: skip
_WESTERN = frozenset(
    {"cp1252", "cp1250", "cp1254", "cp1257", "cp1258", "iso8859-2", "iso8859-4", "cp874", "cp1253"}
)
_DOS_AND_MAC = ("mac_roman", "cp850")
_ACCENTED = "äöüßéèêëàâçîïôûùáíóúñãõåøæ"
_HIGH = re.compile(rb"[\x80-\xff]")
_C1 = re.compile(rb"[\x80-\x9f]")
# Except the apostrophe and the few letters that cp1252 has in this range.
_INSIDE_WORD = re.compile(rb"(?<=[A-Za-z])[\x80-\x91\x93-\x99\x9b\x9d](?=[a-z])")
_JAPANESE = re.compile(rb"\x1b(?:\$[@AB]|\([BIJ])")
_SAMPLE = 65_536  # bytes; detection costs milliseconds per 10 kB and settles early


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text and its encoding."""

    text: str
    encoding: str
    replaced: int = 0
    """Invalid byte sequences, each replaced by U+FFFD."""

    def notes(self) -> tuple[str, ...]:
        """A remark for the reader if bytes were invalid."""
        if not self.replaced:
            return ()
        return (f"{self.replaced} invalid {self.encoding} sequences were replaced",)


def decode(data: bytes, declared: str | None = None) -> Decoded:
    """Decode ``data``. The first match wins: byte order mark, UTF-8, ``declared``, detection."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _decode_as(data[len(mark) :], encoding)
    wide = _wide_encoding(data)
    if wide is not None:
        return _decode_as(data, wide)
    if data.isascii() and _JAPANESE.search(data, 0, _SAMPLE):
        return _decode_as(data, "iso2022_jp_ext")
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
        # The registry also has codecs such as base64 and rot13, which are not text encodings.
        if not getattr(found, "_is_text_encoding", True):
            return None
        # The web reads "latin-1" as cp1252, and so do the programs that wrote it.
        return "cp1252" if found.name in {"iso8859-1", "ascii"} else found.name
    except (LookupError, ValueError):
        return None


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark, detected by the positions of zero bytes."""
    sample = data[: _SAMPLE // 4 * 4]
    quarter = len(sample) // 4
    if quarter < 2 or sample.count(0) < quarter:
        return None
    zeros = [sample[place::4].count(0) for place in range(4)]
    many = 0.7 * quarter
    few = 0.1 * quarter
    if len(data) % 4 == 0:
        if zeros[0] < few and min(zeros[1:]) > many:
            return "utf-32-le"
        if zeros[3] < few and min(zeros[:3]) > many:
            return "utf-32-be"
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if odd > quarter and even < 0.1 * odd:
        return "utf-16-le"
    if even > quarter and odd < 0.1 * even:
        return "utf-16-be"
    return None


def _mostly_utf8(data: bytes) -> bool:
    """Whether damaged UTF-8 is more likely than another encoding."""
    sample = data[:_SAMPLE]
    text = sample.decode("utf-8", errors="replace")
    invalid = text.count("\ufffd")
    valid = sum(1 for char in text if char > "\x7f") - invalid
    return valid > 2 * invalid


def _guess(data: bytes) -> str:
    import chardetng_py  # Firefox's detector, which covers the encodings of the web

    # Bytes that distinguish encodings are rare in Western text, so the sample starts near them.
    start = max(0, _first_high(data) - 1_024)
    sample = data[start : start + _SAMPLE]
    label = str(chardetng_py.detect(sample))
    name = _NAMES.get(label.lower()) or _known(label) or "cp1252"
    if name in _WESTERN:
        name = _dos_or_mac_encoding(sample) or name
    if name == "cp1252" and b"\xa4" in sample and not _C1.search(sample):
        return "iso8859-15"  # cp1252 has the rare generic currency sign here; this one has the euro
    return name


def _first_high(data: bytes) -> int:
    found = _HIGH.search(data)
    return found.start() if found else 0


def _dos_or_mac_encoding(sample: bytes) -> str | None:
    """An encoding of DOS or old Macs, which a browser's detector does not know; None for others.

    They have accented letters at the code points where later encodings have quotes and dashes.
    Quotes and dashes do not occur inside of words.
    """
    inside_words = len(_INSIDE_WORD.findall(sample))
    if inside_words * 4 < len(_HIGH.findall(sample)):
        return None
    best, most_letters = None, 0
    for name in _DOS_AND_MAC:
        text = sample.decode(name, errors="replace")
        letters = sum(text.count(letter) for letter in _ACCENTED)
        if letters > most_letters:
            best, most_letters = name, letters
    return best
