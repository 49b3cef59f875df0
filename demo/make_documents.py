"""Generates the demo documents that are not written by hand, always with the same bytes.

What belongs here: how the texts in ``demo/sources/`` become PDF, DOCX, mail, a scan and broken
files in ``demo/documents/``. What does not: the texts (``demo/sources/``), the layout of PDF pages
(``pdf_layout.py``), and the HTML and Markdown documents, which are edited in ``demo/documents/``.

The documents are committed, so the demo does not need this script. To run it::

    uv pip install reportlab python-docx pikepdf pillow markdown-it-py
    python demo/make_documents.py
"""

from __future__ import annotations

import io
import random
import zipfile
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import docx
import pikepdf
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt, RGBColor
from pdf_layout import Block, Look, read_blocks, write_pdf
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib import colors, pagesizes
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

HERE = Path(__file__).parent
SOURCES = HERE / "sources"
DOCUMENTS = HERE / "documents"
CREATED_AT = (2026, 1, 5, 9, 0, 0)
USER_PASSWORD = "demo-password"

LOOKS = {
    "homeowners-policy": Look(
        title="Homeowners Policy",
        header=("Northlight Mutual", "Policy no. NM-HO-204417"),
        form="Form NM-HO 03 (01-26)",
        accent=colors.HexColor("#1F3A5F"),
        column_widths={2: (1.5, 4.0), 4: (0.9, 4.4, 1.5, 1.3)},
    ),
    "motor-policy": Look(
        title="Private Motor Policy",
        header=("Brackwater Motor Insurance", "Certificate BMI-77-310582"),
        form="Booklet BMI/PM/12",
        accent=colors.HexColor("#7A2E1F"),
        column_widths={2: (1.5, 4.0), 3: (3.4, 1.5, 1.5), 4: (2.6, 1.2, 1.4, 1.5)},
    ),
    "commercial-liability-policy": Look(
        title="Commercial Liability Policy",
        header=("Tallgrass Indemnity", "Policy no. TGI-CL-0099318"),
        form="Form TGI CL 101 (07-25)",
        accent=colors.HexColor("#2F4F2F"),
        column_widths={2: (1.5, 4.0), 3: (3.4, 1.6, 1.6), 4: (3.0, 1.1, 1.3, 0.8)},
    ),
    "pet-policy": Look(
        title="Pet Policy",
        header=("Northlight Mutual", "Policy no. NM-PT-558120"),
        form="Form NM-PT 01 (01-26)",
        accent=colors.HexColor("#4B2E6F"),
        column_widths={2: (1.5, 4.0), 3: (3.2, 1.6, 1.6)},
    ),
}


def read_source(name: str) -> list[Block]:
    """Reads one text of ``demo/sources/`` into blocks."""
    return read_blocks((SOURCES / name).read_text(encoding="utf-8"))


# Word requires the two separators, also in a document that does not change them.
FOOTNOTES_XML = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">
<w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>
<w:footnote w:type="continuationSeparator" w:id="0"><w:p><w:r><w:continuationSeparator/></w:r></w:p>
</w:footnote><w:footnote w:id="1"><w:p><w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr>
<w:footnoteRef/></w:r><w:r><w:t xml:space="preserve"> TEXT</w:t></w:r></w:p></w:footnote>
</w:footnotes>"""


def _add_footnote(document: Any, paragraph: Any, text: str) -> None:
    """Adds a Word footnote, for which python-docx has no function."""
    xml = FOOTNOTES_XML.replace("TEXT", escape(text))
    part = Part(
        PackURI("/word/footnotes.xml"),
        "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml",
        xml.encode(),
        document.part.package,
    )
    document.part.relate_to(
        part, "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    )
    run = paragraph.add_run()
    run.font.superscript = True
    reference = OxmlElement("w:footnoteReference")
    reference.set(qn("w:id"), "1")
    run._r.append(reference)


def write_docx(path: Path, blocks: list[Block], footnote: str) -> None:
    """Writes blocks with Word's own styles; ``[^1]`` marks the place of the footnote."""
    document = docx.Document()
    document.styles["Normal"].font.name = "Calibri"
    document.styles["Normal"].font.size = Pt(11)
    for level in (1, 2):
        document.styles[f"Heading {level}"].font.color.rgb = RGBColor(0x1B, 0x5E, 0x5A)
    for block in blocks:
        if block.kind == "heading":
            document.add_heading(block.text, level=block.level - 1)
        elif block.kind == "paragraph":
            paragraph = document.add_paragraph()
            for index, run in enumerate(block.text.split("**")):
                paragraph.add_run(run.replace("[^1]", "")).bold = index % 2 == 1
            if "[^1]" in block.text:
                _add_footnote(document, paragraph, footnote)
        elif block.kind == "bullet":
            for (item,) in block.rows:
                document.add_paragraph(item, style="List Bullet")
        elif block.kind == "table":
            table = document.add_table(rows=0, cols=len(block.rows[0]), style="Light Grid Accent 1")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
            heading_row = table.rows[0]._tr.get_or_add_trPr()
            heading_row.append(OxmlElement("w:tblHeader"))
            document.add_paragraph()
    properties = document.core_properties
    properties.title, properties.author = "Travel Policy", "Demo"
    properties.comments = ""
    properties.created = properties.modified = datetime(*CREATED_AT, tzinfo=UTC)
    packed = io.BytesIO()
    document.save(packed)
    _repack_with_fixed_dates(packed, path)


def _repack_with_fixed_dates(packed: io.BytesIO, path: Path) -> None:
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            info = zipfile.ZipInfo(name, date_time=CREATED_AT)
            info.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(info, old.read(name))


def write_mail(path: Path, text: str, html: str, attachment: str) -> None:
    """Writes a multipart mail with a plain and an HTML body and one text attachment."""
    mail = EmailMessage()
    mail["From"] = "Northlight Mutual Claims Desk <claims@example.com>"
    mail["To"] = "Policyholder <policyholder@example.org>"
    mail["Subject"] = "Claim NM-26-00871: we have received your water damage claim"
    mail["Date"] = "Tue, 10 Mar 2026 09:42:00 +0000"
    mail["Message-ID"] = "<claim-nm-26-00871@example.com>"
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    mail.add_attachment(attachment, filename="documents-we-need.txt")
    mail.set_boundary("demo-mixed")
    alternative = next(mail.iter_parts())
    alternative.set_boundary("demo-alternative")
    path.write_bytes(mail.as_bytes(policy=SMTP))


def write_scan(path: Path, blocks: list[Block]) -> None:
    """Writes a page that is only an image: 150 dpi, slightly rotated, with scanner noise."""
    page = Image.new("L", (1240, 1754), 250)
    draw = ImageDraw.Draw(page)
    y = 150
    for block in blocks:
        heading = block.kind == "heading"
        size = 44 if block.level == 1 else 32 if heading else 25
        font = ImageFont.load_default(size=size)
        line = ""
        for word in [*block.text.split(), ""]:
            if word and draw.textlength(f"{line} {word}", font=font) < 960:
                line = f"{line} {word}".strip()
            else:
                draw.text((140, y), line, fill=35, font=font)
                y, line = y + int(size * 1.45), word
        y += 24
    page = page.rotate(0.7, resample=Image.Resampling.BICUBIC, fillcolor=250)
    noise = random.Random(7)
    for _ in range(1_200):
        spot = (noise.randrange(page.width), noise.randrange(page.height))
        page.putpixel(spot, noise.randrange(120, 225))
    picture = io.BytesIO()
    page.save(picture, "JPEG", quality=30)
    canvas = Canvas(str(path), pagesize=pagesizes.A4, invariant=1)
    picture.seek(0)
    scan = Image.open(picture)
    canvas.drawImage(ImageReader(scan), 0, 0, *pagesizes.A4)
    canvas.save()


def write_encrypted(path: Path, plain: Path) -> None:
    """Encrypts a PDF with a user password; RC4, because the salts of AES would differ each time."""
    with pikepdf.open(plain) as pdf:
        lock = pikepdf.Encryption(
            owner=USER_PASSWORD, user=USER_PASSWORD, R=3, aes=False, metadata=False
        )
        pdf.save(path, encryption=lock, static_id=True)


def write_corrupt(path: Path, plain: Path) -> None:
    """Keeps the first bytes and the size of a PDF, and destroys what a repair would need."""
    whole = plain.read_bytes()
    junk = random.Random(11).randbytes(6_000)
    path.write_bytes(whole[:60] + junk.replace(b"obj", b"xxx"))


def main() -> None:
    """Writes every generated document to ``demo/documents/`` and prints its size."""
    policies = DOCUMENTS / "policies"
    for folder in ("policies", "mail", "notes", "scans", "broken"):
        (DOCUMENTS / folder).mkdir(parents=True, exist_ok=True)
    for name, look in LOOKS.items():
        write_pdf(policies / f"{name}.pdf", read_source(f"{name}.md"), look)
    write_docx(
        policies / "travel-policy.docx",
        read_source("travel-policy.md"),
        (SOURCES / "travel-footnote.txt").read_text(encoding="utf-8").strip(),
    )
    write_mail(
        DOCUMENTS / "mail" / "claim-acknowledgement.eml",
        *(
            (SOURCES / name).read_text(encoding="utf-8")
            for name in ("mail.txt", "mail.html", "mail-attachment.txt")
        ),
    )
    notes = (SOURCES / "broker-notes.txt").read_text(encoding="utf-8")
    (DOCUMENTS / "notes" / "broker-notes.txt").write_bytes(notes.encode("cp1252"))
    write_scan(DOCUMENTS / "scans" / "scanned-endorsement.pdf", read_source("endorsement.md"))
    write_encrypted(DOCUMENTS / "broken" / "encrypted-policy.pdf", policies / "pet-policy.pdf")
    write_corrupt(DOCUMENTS / "broken" / "corrupt-policy.pdf", policies / "pet-policy.pdf")
    for path in sorted(DOCUMENTS.rglob("*.*")):
        print(f"{path.stat().st_size:>9,}  {path.relative_to(DOCUMENTS)}")


if __name__ == "__main__":
    main()
