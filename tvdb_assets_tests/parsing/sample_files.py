"""Sample documents that the tests of the parsers create."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

from docx import Document
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas


def make_pdf(*pages: list[str], password: str | None = None) -> bytes:
    buffer = io.BytesIO()
    locked = StandardEncryption(password, strength=128) if password else None
    canvas = Canvas(buffer, encrypt=locked, invariant=1)
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.setFont(
                "Helvetica-Bold" if number == 0 else "Helvetica", 20 if number == 0 else 10
            )
            canvas.drawString(72, 760 - 24 * number, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def make_docx() -> bytes:
    document = Document()
    document.core_properties.title = "Policy"
    document.sections[0].header.paragraphs[0].text = "Kept header"
    document.add_heading("Cover", 1)
    document.add_paragraph("What is insured.")
    document.add_paragraph("first item", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(table._cells, ("Item", "Limit", "Roof", "500 | 600"), strict=True):
        cell.text = text
    document.add_heading("Exclusions", 2)
    document.add_paragraph("What is not.")
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def make_zip(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def with_members_changed(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return buffer.getvalue()


PAGE = """<!doctype html><html><head><title>A title</title><style>p{{}}</style></head><body>
<nav><a href=/>Home</a> <a href=/x>Menu entry</a></nav><main><h1>Top</h1><p>Main text that the
reader came for, a paragraph long enough to count.</p><script>var no=1</script>
<p style="display: none">invisible</p><ul><li>one</li><li>two<ol><li>inner</li></ol></li></ul>
<table><tr><th>a</th><th>b</th></tr><tr><td rowspan=2>1</td>
<td>2</td></tr><tr><td>3</td></tr></table>
<pre>kept
  as it is</pre></main><footer>Imprint</footer></body></html>"""


MAIL = b"""From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>
To: claims@example.org
Subject: =?utf-8?b?U2Now6RkZW4=?=
Date: Mon, 6 Sep 2010 05:25:34 -0400
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=B

--B
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Der Schaden betr=E4gt 100.
--B
Content-Type: text/html

<p>Der Schaden</p>
--B
Content-Type: application/pdf; name="bill.pdf"
Content-Disposition: attachment; filename="bill.pdf"

%PDF
--B--
"""
