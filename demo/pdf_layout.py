"""Renders a Markdown text as an insurer's PDF: headers, footers, ruled tables, columns.

What belongs here: reading a source text into blocks, and the layout of blocks on a PDF page. What
does not: the list of documents (``make_documents.py``) and other formats.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from reportlab.lib import colors, pagesizes
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BalancedColumns,
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    ListFlowable,
    ListItem,
    PageTemplate,
    Paragraph,
    Spacer,
    Table,
)


@dataclass(frozen=True, slots=True)
class Look:
    """The layout of one insurer's PDF.

    Attributes:
        title: Document title, in the PDF's metadata.
        header: Left and right text at the top of each page.
        form: Form number at the foot of each page.
        accent: Colour of headings and table headers.
        column_widths: Relative widths of table columns, by number of columns.
    """

    title: str
    header: tuple[str, str]
    form: str
    accent: colors.Color
    column_widths: dict[int, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a source text: heading, paragraph, list, table or layout comment."""

    kind: str
    text: str = ""
    level: int = 0
    rows: tuple[tuple[str, ...], ...] = ()


def read_blocks(markdown: str) -> list[Block]:
    """Splits a source text into blocks; inline markup stays in their texts."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    blocks: list[Block] = []
    rows: list[tuple[str, ...]] = []
    cells: list[str] = []
    opened: list[Token] = []
    for token in tokens:
        if token.nesting == 1:
            opened.append(token)
        elif token.nesting == -1:
            opened.pop()
        if token.type == "html_block":
            blocks.append(Block("layout", token.content.strip().strip("<!->").strip()))
        elif token.type == "inline":
            kinds = [each.type for each in opened]
            if "table_open" in kinds:
                cells.append(token.content)
            elif "bullet_list_open" in kinds:
                rows.append((token.content,))
            elif kinds[-1] == "heading_open":
                blocks.append(Block("heading", token.content, level=int(opened[-1].tag[1])))
            else:
                blocks.append(Block("paragraph", token.content.replace("\n", " ")))
        elif token.type == "tr_close":
            rows.append(tuple(cells))
            cells = []
        elif token.type in ("table_close", "bullet_list_close"):
            blocks.append(Block(token.type.split("_")[0], rows=tuple(rows)))
            rows = []
    return blocks


class _Policy(BaseDocTemplate):
    """A document that bookmarks its headings and draws its own page margins."""

    def __init__(self, target: Any, look: Look, total_pages: int) -> None:
        super().__init__(
            target, pagesize=pagesizes.A4, title=look.title, author="Demo", invariant=1
        )
        self._look = look
        self._total_pages = total_pages
        self._headings = 0

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802 - reportlab's name
        if not isinstance(flowable, Paragraph) or flowable.style.name not in ("h1", "h2", "h3"):
            return
        self._headings += 1
        key = f"heading-{self._headings}"
        # Parsers take heading levels from the bookmarks; from font sizes alone they vary.
        self.canv.bookmarkPage(key)
        self.canv.addOutlineEntry(flowable.getPlainText(), key, int(flowable.style.name[1]) - 1)

    def draw_margins(self, canvas: Canvas, _document: BaseDocTemplate) -> None:
        width, height = pagesizes.A4
        left, right = 22 * mm, width - 22 * mm
        canvas.setStrokeColor(self._look.accent)
        canvas.setLineWidth(0.8)
        canvas.line(left, height - 19 * mm, right, height - 19 * mm)
        canvas.setFillColor(colors.HexColor("#444444"))
        canvas.setFont("Helvetica", 8)
        canvas.drawString(left, height - 16.5 * mm, self._look.header[0])
        canvas.drawRightString(right, height - 16.5 * mm, self._look.header[1])
        canvas.drawString(left, 12.5 * mm, self._look.form)
        canvas.drawRightString(right, 12.5 * mm, f"Page {self.page} of {self._total_pages}")


def _styles(accent: colors.Color) -> dict[str, ParagraphStyle]:
    body = ParagraphStyle("body", fontName="Times-Roman", fontSize=11, leading=15, spaceAfter=7)
    heading = ParagraphStyle("heading", fontName="Helvetica-Bold", textColor=accent, keepWithNext=1)
    return {
        "body": body,
        "lead": ParagraphStyle("lead", parent=body, keepWithNext=1),
        "item": ParagraphStyle("item", parent=body, spaceAfter=3),
        "cell": ParagraphStyle("cell", fontName="Helvetica", fontSize=9, leading=11.5),
        "head": ParagraphStyle(
            "head", fontName="Helvetica-Bold", fontSize=9, leading=11.5, textColor=colors.white
        ),
        "h1": ParagraphStyle("h1", parent=heading, fontSize=24, leading=30, spaceAfter=8),
        "h2": ParagraphStyle(
            "h2", parent=heading, fontSize=16, leading=20, spaceBefore=12, spaceAfter=5
        ),
        "h3": ParagraphStyle(
            "h3", parent=heading, fontSize=12, leading=15, spaceBefore=7, spaceAfter=3
        ),
    }


def _inline(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escaped)


def _pdf_table(block: Block, look: Look, styles: dict[str, ParagraphStyle]) -> Table:
    head, *body = block.rows
    shares = look.column_widths.get(len(head), (1.0,) * len(head))
    width = pagesizes.A4[0] - 44 * mm
    data = [[Paragraph(_inline(cell), styles["head"]) for cell in head]]
    data += [[Paragraph(_inline(cell), styles["cell"]) for cell in row] for row in body]
    table = Table(data, colWidths=[width * s / sum(shares) for s in shares], repeatRows=1)
    table.setStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.5, colors.HexColor("#777777")),
            ("BACKGROUND", (0, 0), (-1, 0), look.accent),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ("TOPPADDING", (0, 0), (-1, -1), 5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        ]
    )
    return table


def _flow(blocks: list[Block], look: Look) -> list[Flowable]:
    styles = _styles(look.accent)
    story: list[Flowable] = []
    columns: list[Flowable] = []
    target = story
    for block in blocks:
        if block.kind == "heading":
            if block.level == 2:
                target.append(CondPageBreak(45 * mm))
            target.append(Paragraph(_inline(block.text), styles[f"h{block.level}"]))
        elif block.kind == "paragraph":
            style = styles["lead" if block.text.endswith(":") else "body"]
            target.append(Paragraph(_inline(block.text), style))
        elif block.kind == "table":
            target += [Spacer(1, 4), _pdf_table(block, look, styles), Spacer(1, 10)]
        elif block.kind == "bullet":
            items: list[Any] = [
                ListItem(Paragraph(_inline(row[0]), styles["item"])) for row in block.rows
            ]
            target.append(ListFlowable(items, bulletType="bullet", start="•", leftIndent=14))
        elif block.text == "two columns":
            columns = []
            target = columns
        elif block.text == "one column":
            story.append(BalancedColumns(columns, nCols=2, innerPadding=9 * mm))
            target = story
        else:
            raise ValueError(f"unknown layout comment in a source text: {block.text}")
    return story


def write_pdf(path: Path, blocks: list[Block], look: Look) -> None:
    """Lays blocks out as a PDF with bookmarks, headers, footers and ruled tables."""
    total_pages = _build(io.BytesIO(), blocks, look, total_pages=0)
    _build(str(path), blocks, look, total_pages)


def _build(target: Any, blocks: list[Block], look: Look, total_pages: int) -> int:
    width, height = pagesizes.A4[0] - 44 * mm, pagesizes.A4[1] - 46 * mm
    no_padding: dict[str, Any] = dict.fromkeys(
        ("leftPadding", "rightPadding", "topPadding", "bottomPadding"), 0
    )
    frame = Frame(22 * mm, 22 * mm, width, height, id="page", **no_padding)
    document = _Policy(target, look, total_pages)
    document.addPageTemplates([PageTemplate("page", [frame], onPage=document.draw_margins)])
    document.build(_flow(blocks, look))
    return int(document.page)
