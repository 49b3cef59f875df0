"""PDF, by liteparse (PDFium): Markdown per page.

What belongs here: PDF, and the choice of pages for OCR. What does not: OCR (`reading.ocr`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any

from tvdb_assets.models import ParsedDocument
from tvdb_assets.parsing.active_limits import current_limits, over_limit
from tvdb_assets.parsing.base_parser import BaseParser
from tvdb_assets.parsing.format_protocol import UnsupportedVariantError
from tvdb_assets.parsing.formats.pdf_attachments import CONTAINER as ATTACHMENTS
from tvdb_assets.parsing.markdown.document_builder import build_document
from tvdb_assets.parsing.pages.form_values import form_lines
from tvdb_assets.parsing.pages.pdf_page import layout
from tvdb_assets.parsing.pages.scan_detection import (
    Box,
    has_uncovered_ink,
    is_garbled,
    may_have_scan,
)
from tvdb_assets.parsing.pages.superscripts import mark_superscripts
from tvdb_assets.parsing.parse_errors import corrupt, encrypted
from tvdb_assets.parsing.reading import ocr

if TYPE_CHECKING:
    from liteparse import ParsedPage

_REVISION = 5
_PLACEHOLDER_PAGES = 2  # of a form whose own pages a viewer creates
_BATCH_PAGES = 200  # bounds memory; layout is compared within a batch
_MIN_SHARE_IN_MARKDOWN = 0.5  # share of a page's letters below which its plain lines are used
_PICTURE_SHARE = 0.4  # share of a page that pictures cover, where a photo is likely
_FEW_LETTERS = 50  # a picture may carry a stamp or a page number as text
_MIN_FOUND = 4  # letters that OCR has to find
_MIN_REPLACED = 0.3  # share of the letters of a garbled page that OCR has to find
_OCR_SECONDS = 40.0  # of the default time limit of a document
_SHOWN_NUMBERS = 10
_LONG_RULING = 30.0  # points; shorter lines may be the strokes of letters
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
    "extract_annotations": True,
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
        "pages, headings, lists, tables by rulings or gaps, form values and ticks, text typed onto "
        "a page, raised digits as `750¹`, turned pages, the text of pictures anywhere on a page, "
        "attached files, as separate documents"
    )
    not_preserved = "pictures, comments, reading order of unusual layouts"
    imports = (
        "liteparse.parser",
        "liteparse.types",
        "pikepdf",
        "tesserocr",
        "PIL.Image",
        "PIL.BmpImagePlugin",
        "PIL.GifImagePlugin",
        "PIL.JpegImagePlugin",
        "PIL.PpmImagePlugin",
        "PIL.ImageDraw",
        "PIL.ImageFilter",
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
        seen: dict[int, _SeenPage] = {}
        turned: dict[int, int] = {}
        try:
            max_pages = current_limits().max_pages
            parser = LiteParse(**_OPTIONS, max_pages=max_pages + 1)
            for batch in parser.parse_batches(source, _BATCH_PAGES):
                for page in batch.result.pages:
                    text, is_complete = _page_text(page)
                    as_lines += not is_complete
                    _put_page(pages, page.page_num, text)
                    if angle := _angle(page):
                        turned[page.page_num] = angle
                    if (may_be_scan := _seen_page(page)) is not None:
                        seen[page.page_num] = may_be_scan
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
        except ParseError as error:
            # Only the message of the library's error shows that a password is missing.
            if "password" in str(error).lower():
                raise encrypted("PDF") from None
            raise corrupt("PDF", "its pages can't be found or read") from None
        if failed == len(pages):
            raise corrupt("PDF", "it has no readable page")
        if len(pages) <= _PLACEHOLDER_PAGES and _is_dynamic_form(source):
            raise UnsupportedVariantError("a form that only Adobe's reader displays (dynamic XFA)")
        scans = _scans(source, seen)
        max_scans = current_limits().ocr_max_pages
        chosen = dict(islice(scans.items(), max_scans))
        read = ocr.read_pages(source, chosen, _OCR_SECONDS + ocr.seconds_for(len(source)))
        by_ocr: list[int] = []
        legible: set[int] = set()
        partly: list[int] = []
        for number, found in read.items():
            is_text = found.letters >= _MIN_FOUND
            if seen[number].is_garbled:
                is_text = found.letters > _MIN_REPLACED * _letters(pages[number - 1])
            if not is_text:
                continue
            escaped = _STRUCTURE.sub(r"\\", found.text)
            if seen[number].is_garbled:
                pages[number - 1] = escaped
            else:
                pages[number - 1] = "\n\n".join(filter(None, (pages[number - 1], escaped)))
            by_ocr.append(found.confidence)
            legible.add(number)
            if found.is_partly_read:
                partly.append(number)
        unread = [number for number in scans if number not in read and number in chosen]
        if not ocr.is_available():
            unread = []
        silent = [
            number
            for number in sorted({*scans, *(n for n, page in seen.items() if page.is_picture)})
            if number not in unread
            and number not in legible
            and _letters(pages[number - 1]) < _FEW_LETTERS
        ]
        scanned = len(silent)
        sure = round(sum(by_ocr) / len(by_ocr)) if by_ocr else 0
        notes = []
        if failed:
            notes.append(f"{failed} of {len(pages)} pages could not be read")
        if by_ocr:
            notes.append(
                f"{len(by_ocr)} of {len(pages)} pages are scans, "
                f"read by OCR with {sure} % confidence"
            )
        if len(scans) > max_scans:
            notes.append(f"only the first {max_scans} scans are read (TVDB_OCR_MAX_PAGES)")
        if unread:
            notes.append(f"OCR could not read {_numbers(unread)}")
        if partly:
            notes.append(f"{_numbers(partly)}: OCR did not read all of the ink")
        if scanned:
            notes.append(
                f"{scanned} of {len(pages)} pages are pictures without legible text: "
                f"{_numbers(silent)}"
            )
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


def _is_dynamic_form(source: bytes) -> bool:
    """Whether the pages only say that another viewer is needed, which creates them from XML."""
    if b"/NeedsRendering" not in source and b"/ObjStm" not in source:
        return False
    import pikepdf

    try:
        with pikepdf.open(io.BytesIO(source)) as document:
            form = document.Root.get("/AcroForm")
            return (
                isinstance(form, pikepdf.Dictionary)
                and "/XFA" in form
                and bool(document.Root.get("/NeedsRendering", False))
            )
    except (pikepdf.PdfError, RuntimeError, TypeError, ValueError):
        return False


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
    text = mark_superscripts(page, text)
    lines = form_lines(page, text)
    return "\n\n".join(part for part in (text, "\n".join(lines)) if part), is_complete


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


@dataclass(frozen=True, slots=True)
class _SeenPage:
    """A page that may be a scan, in full or in part."""

    area: float
    words: tuple[Box, ...]
    rulings: tuple[Box, ...]
    is_garbled: bool
    is_sparse: bool
    is_picture: bool


def _seen_page(page: ParsedPage) -> _SeenPage | None:
    """What is needed to decide on OCR, or None for an ordinary page of text."""
    stats = page.complexity
    if stats is None:
        return None
    garbled = is_garbled(page.text, stats.full_page_image)
    if not garbled and not may_have_scan(stats, page.text):
        return None
    boxes = tuple((i.x, i.y, i.x + i.width, i.y + i.height) for i in page.text_items)
    rulings = tuple(
        (min(line.x1, line.x2), min(line.y1, line.y2), max(line.x1, line.x2), max(line.y1, line.y2))
        for line in (page.vector_graphics.lines if page.vector_graphics else ())
        if abs(line.x1 - line.x2) + abs(line.y1 - line.y2) > _LONG_RULING
    )
    is_sparse = stats.image_coverage < _PICTURE_SHARE or not boxes
    return _SeenPage(stats.page_area, boxes, rulings, garbled, is_sparse, stats.full_page_image)


def _scans(source: bytes, seen: Mapping[int, _SeenPage]) -> dict[int, ocr.ScannedPage]:
    """The pages to read by OCR, in their order."""
    found = [number for number, page in seen.items() if page.is_garbled]
    others = [number for number, page in seen.items() if not page.is_garbled]
    for number, picture in ocr.page_pictures(source, others):
        page = seen[number]
        if has_uncovered_ink(picture, page.words + page.rulings, ocr.PREVIEW_DPI, page.is_sparse):
            found.append(number)
    return {
        number: ocr.ScannedPage(
            seen[number].area, () if seen[number].is_garbled else seen[number].words
        )
        for number in sorted(found)
    }


def _numbers(pages: Sequence[int]) -> str:
    """Page numbers for a note, the first of many."""
    shown = ", ".join(map(str, pages[:_SHOWN_NUMBERS]))
    more = f" and {len(pages) - _SHOWN_NUMBERS} more" if len(pages) > _SHOWN_NUMBERS else ""
    return f"{'page' if len(pages) == 1 else 'pages'} {shown}{more}"


def _put_page(pages: list[str], number: int, text: str) -> None:
    """Store a page by its number, so that a failed page does not shift later numbers."""
    pages += [""] * (number - len(pages))
    pages[number - 1] = text


def _letters(text: str) -> int:
    """Characters other than white space."""
    return len("".join(text.split()))


PARSER = PdfParser()
