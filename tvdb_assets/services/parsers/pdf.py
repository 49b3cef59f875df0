"""PDF, by liteparse (PDFium): Markdown per page.

What belongs here: PDF. What does not: OCR; a page that is only a picture has no text.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tvdb_assets.models import ParsedDocument
from tvdb_assets.services.parsers.assemble import make
from tvdb_assets.services.parsers.refusals import corrupt, encrypted

if TYPE_CHECKING:
    from liteparse import ParsedPage

_REVISION = 1
_BATCH_PAGES = 200  # bounds memory; layout is compared within a batch
_LEAST_KEPT = 0.5
_SPARSE_LETTERS = 50  # a scan may carry a stamp or a page number as text
_TABLE_RULE = re.compile(r"^\|(?: ?:?-+:? ?\|)+[ \t]*$", re.MULTILINE)
# Page-top headings vanish without the first; pictures and links would only add noise.
_OPTIONS: dict[str, Any] = {
    "ocr_enabled": False,
    "keep_headers_footers": True,
    "output_format": "markdown",
    "image_mode": "off",
    "extract_links": False,
    "extract_form_fields": True,
    "continue_on_page_error": True,
    "max_pages": 1_000_000,
    "num_workers": 1,
    "quiet": True,
}


class PdfParser:
    """PDF to Markdown with pages, headings, tables and the values of form fields."""

    media_types = frozenset({"application/pdf"})
    name = "PDF"
    service = "liteparse"

    @property
    def version(self) -> str:
        return version(self.service)

    @property
    def fingerprint(self) -> str:
        return f"pdf{_REVISION}:{self.service}{self.version}:{sorted(_OPTIONS.items())}"

    def parse(self, data: bytes, media_type: str, path: str) -> ParsedDocument:
        """Parse a PDF; a page that fails leaves a note, a file that fails a code."""
        from liteparse import LiteParse, ParseError

        # Leading junk is allowed, but the library takes such a file for another format.
        start = max(0, data.find(b"%PDF-", 0, 1_024))
        source = data[start:]
        pages: list[str] = []
        failed = as_lines = scanned = 0
        try:
            parser = LiteParse(**_OPTIONS)
            for batch in parser.parse_batches(source, _BATCH_PAGES):
                for page in batch.result.pages:
                    text, is_whole = _page_text(page)
                    as_lines += not is_whole
                    _place(pages, page.page_num, text)
                for error in batch.result.page_errors:
                    failed += 1
                    _place(pages, error.page_num, "")
            sparse = [n for n, text in enumerate(pages, 1) if _letters(text) < _SPARSE_LETTERS]
            if sparse:
                only = LiteParse(**_OPTIONS, target_pages=",".join(map(str, sparse)))
                scanned = sum(page.full_page_image for page in only.is_complex(source))
        except ParseError as error:
            # The library tells a missing password only by its words.
            if "password" in str(error).lower():
                raise encrypted("PDF") from None
            raise corrupt("PDF", "its pages can't be found or read") from None
        if failed == len(pages):
            raise corrupt("PDF", "it has no readable page")
        notes = []
        if failed:
            notes.append(f"{failed} of {len(pages)} pages could not be read")
        if scanned:
            notes.append(f"{scanned} of {len(pages)} pages are scans; their text is not read")
        if as_lines:
            notes.append(f"{as_lines} pages are mostly figures; their text is kept as lines")
        return make(
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
                **({"pages_failed": failed} if failed else {}),
            },
        )


def _page_text(page: ParsedPage) -> tuple[str, bool]:
    """The page's Markdown and True, or its bare lines where Markdown leaves too much out."""
    # A page without text still comes as an empty code block.
    text = page.markdown.strip() if page.text.strip() else ""
    # Text inside figures is missing from the Markdown; a page that is one figure loses all.
    is_whole = _letters(text) >= _LEAST_KEPT * _letters(page.text)
    if not is_whole:
        text = "\n".join(line.strip() for line in page.text.strip().splitlines())
    values = [
        f"{field.alternate_name or field.name}: {value}"
        for field in page.form_fields or ()
        if (value := " ".join((field.value or "").split())) and field.type in {"text", "combobox"}
        # Flattened fields are already part of the page.
        if value not in text
    ]
    return "\n\n".join(part for part in (text, "\n".join(values)) if part), is_whole


def _place(pages: list[str], number: int, text: str) -> None:
    """Put a page where it belongs: one that failed must not misnumber those after it."""
    pages += [""] * (number - len(pages))
    pages[number - 1] = text


def _letters(text: str) -> int:
    return len("".join(text.split()))


PARSER = PdfParser()
