"""Files that are attached to a PDF, or that a portfolio collects: each is a separate document.

What belongs here: embedded files. What does not: the pages (`formats.pdf`).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.format_protocol import ContainerEntry
from tvdb_assets.parsing.parse_errors import corrupt, encrypted

_DOCUMENT_KIND = "PDF"


class PdfAttachments(BaseParser):
    """Lists the embedded files of the document, then those that are pinned to its pages."""

    media_types = frozenset({"application/pdf"})
    name = "PDF attachments and portfolios"
    service = "pikepdf"
    imports = ("pikepdf",)
    preserved = "every file that is attached to the document or pinned to a page"
    not_preserved = "the description of a file"

    def entries(self, data: bytes) -> Iterator[ContainerEntry]:
        """The embedded files, each stream once."""
        import pikepdf

        try:
            document = pikepdf.open(io.BytesIO(data))
        except pikepdf.PasswordError:
            raise encrypted(_DOCUMENT_KIND) from None
        except pikepdf.PdfError:
            return  # the parser of the pages says what is wrong with it
        with document:
            seen: set[tuple[int, int]] = set()
            for file in _file_specifications(document):
                stream = _stream(file)
                if stream is None or stream.objgen in seen:
                    continue
                if stream.objgen != (0, 0):
                    seen.add(stream.objgen)
                yield ContainerEntry(_name(file), partial(_read, stream))


def _file_specifications(document: Any) -> Iterator[Any]:
    """The dictionaries that describe embedded files."""
    import pikepdf

    names = document.Root.get("/Names", {})
    if isinstance(names, pikepdf.Dictionary) and "/EmbeddedFiles" in names:
        try:
            tree = list(pikepdf.NameTree(names["/EmbeddedFiles"]).items())
        except (pikepdf.PdfError, RuntimeError, TypeError, ValueError):
            tree = []  # a damaged tree hides no page
        for _, file in tree:
            yield file
    for page in document.pages:
        annotations = page.obj.get("/Annots", ())
        for annotation in annotations if isinstance(annotations, pikepdf.Array) else ():
            if (
                isinstance(annotation, pikepdf.Dictionary)
                and annotation.get("/Subtype") == "/FileAttachment"
                and "/FS" in annotation
            ):
                yield annotation["/FS"]


def _stream(file: Any) -> Any | None:
    import pikepdf

    embedded = file.get("/EF") if isinstance(file, pikepdf.Dictionary) else None
    if not isinstance(embedded, pikepdf.Dictionary):
        return None
    found = next((embedded[key] for key in ("/UF", "/F") if key in embedded), None)
    return found if isinstance(found, pikepdf.Stream) else None


def _name(file: Any) -> str:
    raw = file.get("/UF", file.get("/F", "attached"))
    return " ".join(str(raw).replace("\\", "/").rpartition("/")[2].split())[:200] or "attached"


def _read(stream: Any, max_bytes: int) -> bytes:
    import pikepdf

    try:
        return bytes(stream.read_bytes())
    except pikepdf.PdfError:
        raise corrupt("attachment", "its stream can't be unpacked") from None


CONTAINER = PdfAttachments()
