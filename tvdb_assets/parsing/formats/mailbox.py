"""Mailboxes (mbox): each message is a document of its own.

What belongs here: where a message ends. What does not: a message (`mail`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from tvdb_assets.parsing.formats.base import OURS, BaseParser
from tvdb_assets.parsing.formats.format_protocol import ContainerEntry

# As programs write it: the sender, then a date with a time; text that begins with "From "
# has none, or is quoted.
_START = re.compile(rb"^From [^\r\n]{0,500}\d\d:\d\d[^\r\n]{0,100}\r?\n", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


class Mailbox(BaseParser):
    """Messages in their order, each to be read as a mail."""

    media_types = frozenset({"application/mbox"})
    name = "mailbox (mbox)"
    service = OURS
    kept = "every message, as a document of its own: `#000001.eml` and so on"
    lost = "separating lines"

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The messages of a mailbox, each without its separating line."""
        start: int | None = None
        number = 0
        for found in _START.finditer(data):
            # A blank line, or the file's start, stands before it.
            before = data[max(0, found.start() - 4) : found.start()]
            if found.start() and not before.endswith((b"\n\n", b"\r\n\r\n")):
                continue
            if start is not None:
                number += 1
                yield _message(number, data, start, found.start())
            start = found.end()
        if start is not None:
            yield _message(number + 1, data, start, len(data))


def _message(number: int, data: bytes, start: int, end: int) -> ContainerEntry:
    return ContainerEntry(f"#{number:06}.eml", partial(_read, data, start, end), "message/rfc822")


def _read(data: bytes, start: int, end: int, most: int) -> bytes:
    return _QUOTED.sub(rb"\1", data[start : min(end, start + most + 1)])


CONTAINER = Mailbox()
