"""A folder of mixed documents for measurements of an ordinary ingest, the same on every machine.

What belongs here: writing the documents. What does not: measuring. Of 100 documents, 35 are
Markdown, 15 plain text, 20 PDF of three pages, 12 DOCX, 10 HTML, 5 mail and 3 CSV. None is a scan:
text recognition would take longer than all the rest together.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

from docx import Document
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

WORDS = [
    "policy",
    "cover",
    "claim",
    "insured",
    "loss",
    "premium",
    "limit",
    "excess",
    "water",
    "fire",
    "theft",
    "notice",
    "damage",
    "liability",
    "building",
    "contents",
    "period",
    "section",
    "schedule",
    "deductible",
    "exclusion",
    "endorsement",
    "vehicle",
    "driver",
    "property",
    "person",
    "injury",
    "repair",
    "replacement",
    "value",
    "company",
    "payment",
]
_PARAGRAPHS = 12
_LINES_PER_PAGE = 45


def make_mixed_documents(folder: Path, documents: int = 100) -> None:
    """Write the documents; no two have the same text."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(documents):
        suffix, write = _writer(number % 100)
        generator = random.Random(number)
        paragraphs = [_paragraph(generator) for _ in range(_PARAGRAPHS)]
        write(folder / f"document-{number:04}.{suffix}", f"Document {number}", paragraphs)


def _writer(place: int) -> tuple[str, Callable[[Path, str, list[str]], None]]:
    for share, suffix, write in _KINDS:
        if place < share:
            return suffix, write
        place -= share
    raise AssertionError("the shares are of 100")


def _paragraph(generator: random.Random) -> str:
    sentences = [" ".join(generator.choices(WORDS, k=13)).capitalize() + "." for _ in range(6)]
    return " ".join(sentences)


def _markdown(path: Path, title: str, paragraphs: list[str]) -> None:
    sections = [f"## Section {i}\n\n{paragraph}" for i, paragraph in enumerate(paragraphs)]
    path.write_text("\n\n".join([f"# {title}", *sections]) + "\n", "utf-8")


def _text(path: Path, title: str, paragraphs: list[str]) -> None:
    path.write_text("\n\n".join([title, *paragraphs]) + "\n", "utf-8")


def _pdf(path: Path, title: str, paragraphs: list[str]) -> None:
    canvas = Canvas(str(path), pagesize=A4, invariant=1)
    words = " ".join([title, *paragraphs, *paragraphs]).split()
    lines = [" ".join(words[i : i + 13]) for i in range(0, len(words), 13)]
    for start in range(0, len(lines), _LINES_PER_PAGE):
        page = canvas.beginText(50, 780)
        page.textLines("\n".join(lines[start : start + _LINES_PER_PAGE]))
        canvas.drawText(page)
        canvas.showPage()
    canvas.save()


def _docx(path: Path, title: str, paragraphs: list[str]) -> None:
    document = Document()
    document.add_heading(title)
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    document.save(str(path))


def _html(path: Path, title: str, paragraphs: list[str]) -> None:
    body = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    path.write_text(
        f"<!doctype html><html><head><title>{title}</title></head>"
        f"<body><h1>{title}</h1>{body}</body></html>",
        "utf-8",
    )


def _mail(path: Path, title: str, paragraphs: list[str]) -> None:
    message = EmailMessage()
    message["From"], message["To"] = "claims@example.org", "broker@example.org"
    message["Subject"], message["Date"] = title, "Mon, 05 Jan 2026 09:00:00 +0000"
    message.set_content("\n\n".join(paragraphs))
    path.write_bytes(bytes(message))


def _csv(path: Path, title: str, paragraphs: list[str]) -> None:
    rows = [f"{i},{paragraph.split('.')[0]},{i * 100}" for i, paragraph in enumerate(paragraphs)]
    path.write_text("\n".join([f"number,{title},value", *rows]) + "\n", "utf-8")


_KINDS: tuple[tuple[int, str, Callable[[Path, str, list[str]], None]], ...] = (
    (35, "md", _markdown),
    (15, "txt", _text),
    (20, "pdf", _pdf),
    (12, "docx", _docx),
    (10, "html", _html),
    (5, "eml", _mail),
    (3, "csv", _csv),
)
