"""PDF pages for tests: text at given places, rulings and pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pikepdf

Text = tuple[float, float, str]
"""Left end and baseline in points from the lower left corner, and the text."""
Rule = tuple[float, float, float, float]


def page_content(texts: Sequence[Text], rules: Sequence[Rule] = (), size: float = 10) -> bytes:
    """The content of a page with Helvetica text and rulings."""
    parts = [f"{x0} {y0} m {x1} {y1} l S" for x0, y0, x1, y1 in rules]
    for x, y, text in texts:
        escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        parts.append(f"BT /F1 {size} Tf 1 0 0 1 {x} {y} Tm ({escaped}) Tj ET")
    return "\n".join(parts).encode("latin-1")


def draw_pdf(*contents: bytes) -> bytes:
    """A PDF with these pages of A4 size."""
    document = pikepdf.new()
    for content in contents:
        page = document.add_blank_page(page_size=(595, 842))
        page.Resources = pikepdf.Dictionary(
            Font=pikepdf.Dictionary(
                F1=pikepdf.Dictionary(
                    Type=pikepdf.Name.Font,
                    Subtype=pikepdf.Name.Type1,
                    BaseFont=pikepdf.Name.Helvetica,
                    Encoding=pikepdf.Name.WinAnsiEncoding,
                )
            )
        )
        page.Contents = document.make_stream(content)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def table_texts(
    rows: Sequence[Sequence[str]], columns: Sequence[float], top: float, pitch: float = 16
) -> list[Text]:
    """The texts of a table with left-aligned columns."""
    return [
        (columns[c], top - pitch * r, text)
        for r, row in enumerate(rows)
        for c, text in enumerate(row)
        if text
    ]
