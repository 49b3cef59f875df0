"""Mailboxes (mbox): each message as a section of one document.

What belongs here: where a message ends. What does not: a message (`mail`), budgets
(`nested`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tvdb_assets.models import ParsedDocument
from tvdb_assets.services.parsers.assemble import make
from tvdb_assets.services.parsers.base import BaseParser
from tvdb_assets.services.parsers.nested import Sections, budget
from tvdb_assets.services.parsers.refusals import empty

_WHAT = "mailbox"
# As programs write it: the sender, then a date with a time; text that begins with "From "
# has none, or is quoted.
_START = re.compile(rb"^From [^\r\n]{0,500}\d\d:\d\d[^\r\n]{0,100}\r?\n", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


class MailboxParser(BaseParser):
    """Messages in their order, each as `mail` reads it."""

    media_types = frozenset({"application/mbox"})
    name = "mailbox (mbox)"
    service = "chardetng-py"
    also = ("lxml",)
    kept = "every message, as a section with its header block"
    lost = "attachments' content; for now it is one document, not many"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a mailbox within the limits for all that it holds."""
        sections = Sections("messages")
        count = 0
        with budget(_WHAT) as left:
            for message in messages(data):
                left.open_member(_WHAT)
                left.spend(len(message), _WHAT)
                count += 1
                sections.add("message.eml", message, title=f"Message {count}")
        if not sections.parts:
            if sections.last_error is not None:
                raise sections.last_error
            raise empty("The mailbox")
        return make(
            ["\n\n".join(sections.parts)],
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="messages",
            notes=sections.notes(),
            facts={"messages": count, "messages_parsed": len(sections.parts)},
        )


def messages(data: bytes) -> Iterator[bytes]:
    """Each message without its separating line."""
    starts = [
        found
        for found in _START.finditer(data)
        # A blank line, or the file's start, stands before it.
        if found.start() == 0
        or data[max(0, found.start() - 4) : found.start()].endswith((b"\n\n", b"\r\n\r\n"))
    ]
    for number, found in enumerate(starts):
        end = starts[number + 1].start() if number + 1 < len(starts) else len(data)
        yield _QUOTED.sub(rb"\1", data[found.end() : end])


PARSER = MailboxParser()
