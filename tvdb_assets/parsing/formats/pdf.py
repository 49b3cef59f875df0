"""PDF, by liteparse (PDFium): Markdown per page.

What belongs here: PDF, and the choice of pages for OCR. What does not: OCR (`reading.ocr`).
"""

from __future__ import annotations

import re
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.formats.pdf_attachments import CONTAINER as ATTACHMENTS
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.pages.pdf_page import layout
from tvdb_assets.parsing.parse_errors import corrupt, encrypted
from tvdb_assets.parsing.reading import ocr

if TYPE_CHECKING:
    from liteparse import PageComplexityStats, ParsedPage

_REVISION = 4
_BATCH_PAGES = 200  # bounds memory; layout is compared within a batch
_MIN_SHARE_IN_MARKDOWN = 0.5  # share of a page's letters below which its plain lines are used
_SPARSE_LETTERS = 50  # a scan may carry a stamp or a page number as text
_PICTURE_SHARE = 0.4  # share of a page that pictures cover
_TURNED_SHARE = 0.8  # share of a page's letters that lie at the same angle
_STRUCTURE = re.compile(r"^(?=[#>|])", re.MULTILINE)
_TABLE_RULE = re.compile(r"^\|(?: ?:?-+:? ?\|)+[ \t]*$", re.MULTILINE)
# Headings at the top of a page vanish without `keep_headers_footers`; pictures and links are noise.
_OPTIONS: dict[str, Any] = {
    "ocr_enabled": False,
    "keep_headers_footers": True,
    "output_format": "markdown",
    "image_mode": "off",
    "extract_links": False,
    "extract_form_fields": True,
    "continue_on_page_error": True,
    "include_complexity": True,
    "extract_blocks": True,
    "emit_word_boxes": True,
    "extract_vector_graphics": True,
    "num_workers": 1,
    "quiet": True,
}


class PdfParser(BaseParser):
    """Reads pages, headings, tables and the values of form fields."""

    media_types = frozenset({"application/pdf"})
    name = "PDF"
    preserved = (
        "pages, headings, lists, tables, form values, turned pages, the text of scanned pages, "
        "attached files, as separate documents"
    )
    not_preserved = "pictures, comments, reading order of unusual layouts"
    imports = (
        "liteparse.parser",
        "liteparse.types",
        "pikepdf",
        "tesserocr",
        "PIL.Image",
        "PIL.PngImagePlugin",
    )
    service = "liteparse"

    @property
    def fingerprint(self) -> str:
        return f"pdf{_REVISION}:{self.service}{self.version}:{sorted(_OPTIONS.items())}" + (
            f":{ocr.fingerprint()}:pikepdf{version('pikepdf')}"
        )

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a PDF; a failed page gives a note, a failed file an error."""
        from liteparse import LiteParse, ParseError

        # Bytes before the header are allowed, but the library then detects another format.
        start = max(0, data.find(b"%PDF-", 0, 1_024))
        source = data[start:]
        pages: list[str] = []
        failed = as_lines = 0
        pictures: dict[int, float] = {}
        turned: dict[int, int] = {}
        try:
            max_pages = current_limits().max_pages
            max_scans = current_limits().ocr_max_pages
            parser = LiteParse(**_OPTIONS, max_pages=max_pages + 1)
            for batch in parser.parse_batches(source, _BATCH_PAGES):
                for page in batch.result.pages:
                    text, is_complete = _page_text(page)
                    as_lines += not is_complete
                    _put_page(pages, page.page_num, text)
                    if angle := _angle(page):
                        turned[page.page_num] = angle
                    if page.complexity is not None and _needs_ocr(page.complexity, text):
                        pictures[page.page_num] = page.complexity.page_area
                for error in batch.result.page_errors:
                    failed += 1
                    _put_page(pages, error.page_num, "")
            if len(pages) > max_pages:
                raise over_limit("PDF", "max_pages", "pages")
            if turned:
                upright = LiteParse(
                    **_OPTIONS,
                    max_pages=max_pages + 1,
                    target_pages=",".join(map(str, turned)),
                    page_orientation_corrections=list(turned.items()),
                )
                for page in upright.parse(source).pages:
                    pages[page.page_num - 1] = _page_text(page)[0]
            read = ocr.read_pages(source, dict(islice(pictures.items(), max_scans)))
        except ParseError as error:
            # Only the message of the library's error shows that a password is missing.
            if "password" in str(error).lower():
                raise encrypted("PDF") from None
            raise corrupt("PDF", "its pages can't be found or read") from None
        if failed == len(pages):
            raise corrupt("PDF", "it has no readable page")
        by_ocr: list[int] = []
        for number, found in read.items():
            # A stamp or page number that is text in the scan is also in the picture.
            if _letters(found.text) > _letters(pages[number - 1]):
                pages[number - 1] = _STRUCTURE.sub(r"\\", found.text)
                by_ocr.append(found.confidence)
        scanned = len(pictures) - len(by_ocr)
        sure = round(sum(by_ocr) / len(by_ocr)) if by_ocr else 0
        notes = []
        if failed:
            notes.append(f"{failed} of {len(pages)} pages could not be read")
        if by_ocr:
            notes.append(
                f"{len(by_ocr)} of {len(pages)} pages are scans, "
                f"read by OCR with {sure} % confidence"
            )
        if len(pictures) > max_scans:
            notes.append(f"only the first {max_scans} scans are read (TVDB_OCR_MAX_PAGES)")
        if scanned:
            notes.append(f"{scanned} of {len(pages)} pages are pictures without legible text")
        if as_lines:
            notes.append(f"{as_lines} pages are mostly figures; their text is kept as lines")
        attached = _attached_files(source)
        return build_document(
            pages,
            media_type=media_type,
            is_markdown=True,
            service=self.service,
            model="markdown",
            has_pages=True,
            notes=notes,
            facts={
                "pages": len(pages),
                "pages_with_text": sum(1 for page in pages if page.strip()),
                "pages_scanned": scanned,
                "tables": sum(len(_TABLE_RULE.findall(page)) for page in pages),
                **({"attachments": attached} if attached else {}),
                **({"pages_failed": failed} if failed else {}),
                **({"pages_ocr": len(by_ocr), "ocr_confidence": sure} if by_ocr else {}),
            },
        )


def _page_text(page: ParsedPage) -> tuple[str, bool]:
    """The page's Markdown and True, or its plain lines and False if Markdown omits too much."""
    # The library gives an empty code block for a page without text.
    text = page.markdown.strip() if page.text.strip() else ""
    if text and (laid_out := layout(page)) is not None:
        text = laid_out[0]
    # Markdown omits the text inside of figures; a page that is one figure would lose all.
    is_complete = _letters(text) >= _MIN_SHARE_IN_MARKDOWN * _letters(page.text)
    if not is_complete:
        text = "\n".join(line.strip() for line in page.text.strip().splitlines())
    values = [
        f"{field.alternate_name or field.name}: {value}"
        for field in page.form_fields or ()
        if (value := " ".join((field.value or "").split())) and field.type in {"text", "combobox"}
        # The text of the page already holds flattened fields.
        if value not in text
    ]
    return "\n\n".join(part for part in (text, "\n".join(values)) if part), is_complete


def _angle(page: ParsedPage) -> int:
    """The angle of most of the page's text: 0 (upright), 90, 180 or 270 degrees."""
    letters: dict[int, int] = {}
    for item in page.text_items:
        angle = round(item.rotation / 90) * 90 % 360
        letters[angle] = letters.get(angle, 0) + len(item.text)
    angle = max(letters, key=letters.__getitem__, default=0)
    return angle if letters and letters[angle] >= _TURNED_SHARE * sum(letters.values()) else 0


def _attached_files(source: bytes) -> int:
    """Number of files inside of the PDF; each is a separate document."""
    if not any(mark in source for mark in (b"/EmbeddedFile", b"/Filespec", b"/ObjStm")):
        return 0
    try:
        return sum(1 for _ in ATTACHMENTS.entries(source))
    except Exception:
        return 0  # liteparse could read the file, so they alone are lost


def _needs_ocr(stats: PageComplexityStats, text: str) -> bool:
    """Whether the page is a picture, or its fonts do not map glyphs to letters."""
    is_picture = stats.full_page_image or stats.image_coverage >= _PICTURE_SHARE
    return stats.is_garbled or (is_picture and _letters(text) < _SPARSE_LETTERS)


def _put_page(pages: list[str], number: int, text: str) -> None:
    """Store a page by its number, so that a failed page does not shift later numbers."""
    pages += [""] * (number - len(pages))
    pages[number - 1] = text


def _letters(text: str) -> int:
    """Characters other than white space."""
    return len("".join(text.split()))


PARSER = PdfParser()
