"""A ``winmail.dat`` (TNEF) that was saved without its mail.

What belongs here: the file as a document with attachments. What does not: its structure
(`reading.tnef`), mails that hold one (`formats.mail`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.format_protocol import ContainerEntry
from tvdb_assets.parsing.formats.mail_body import tnef_body
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.parse_errors import empty
from tvdb_assets.parsing.reading import tnef


class WinmailParser(BaseParser):
    """Reads the message of Outlook that a TNEF file holds."""

    media_types = frozenset({tnef.MEDIA_TYPE})
    name = "winmail.dat (TNEF)"
    service = "compressed-rtf"
    other_libraries = ("lxml", "chardetng-py")
    preserved = "subject, body; each attachment, as a separate document"
    not_preserved = "pictures within the text, other properties"
    imports = ("compressed_rtf",)

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a message."""
        found = tnef.read_tnef(data)
        body = tnef_body(found)
        subject = f"Subject: {found.subject}" if found.subject else ""
        text = "\n\n".join(each for each in (subject, body.text) if each)
        text = text or "\n".join(file.name for file in found.files)
        if not text:
            raise empty("The message")
        return build_document(
            [text],
            media_type=media_type,
            is_markdown=False,
            service=self.service,
            model="message",
            title=found.subject or None,
            facts={"attachments": len(found.files)},
        )

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The attachments of the message."""
        yield from tnef_entries(tnef.read_tnef(data))


def tnef_entries(found: tnef.Tnef) -> Iterator[ContainerEntry]:
    """The files of a TNEF stream."""
    for file in found.files:
        name = " ".join(file.name.split())[:120] or "attached"
        if file.is_message:
            yield ContainerEntry(f"{name}.dat", partial(_content, file), tnef.MEDIA_TYPE)
        else:
            yield ContainerEntry(name, partial(_content, file))


def _content(file: tnef.TnefFile, max_bytes: int) -> bytes:
    return file.content


PARSER = CONTAINER = WinmailParser()
