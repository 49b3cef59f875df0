"""Mailboxes (mbox): each message is a separate document.

What belongs here: the split into messages. What does not: a message (`formats.mail`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from tvdb_assets.parsing.base_parser import THIS_PACKAGE, BaseParser
from tvdb_assets.parsing.format_protocol import ContainerEntry

# The separator as programs write it: the sender, then a date with a time. A line of text that
# begins with "From " has no time, or is quoted.
_START = re.compile(rb"^From [^\r\n]{0,500}\d\d:\d\d[^\r\n]{0,100}\r?\n", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


class Mailbox(BaseParser):
    """Lists messages in their order; each is read as a mail."""

    media_types = frozenset({"application/mbox"})
    name = "mailbox (mbox)"
    service = THIS_PACKAGE
    preserved = "every message, as a separate document: `#000001.eml` and so on"
    not_preserved = "separating lines"

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The messages of a mailbox, each without its separating line."""
        start: int | None = None
        number = 0
        for found in _START.finditer(data):
            # A blank line or the start of the file precedes a separator.
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


def _read(data: bytes, start: int, end: int, max_bytes: int) -> bytes:
    return _QUOTED.sub(rb"\1", data[start : min(end, start + max_bytes + 1)])


CONTAINER = Mailbox()
