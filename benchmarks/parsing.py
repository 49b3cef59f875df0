"""Parsing, format by format: this package compared with a bare call of the library it uses.

Prints two tables; asserts nothing, as machines are noisy. Both sides of a row parse the same
bytes in one process, warm. *Bare* is the library's shortest way to the text: no structure, no
limits, no checks. The last row sends documents through worker processes, as an ingestion does,
and reports how the parent's resident memory grows.
"""

from __future__ import annotations

import csv
import email
import io
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import psutil
from lxml import etree, html
from rich.console import Console
from rich.table import Table

from tvdb_assets.core.text_validation import validate
from tvdb_assets.parsing.document_parser import parse_document
from tvdb_assets.parsing.parse_tasks import prepare_document
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets_tests.parsing.sample_files import MAIL, PAGE, make_docx, make_pdf
from tvdb_assets_tests.parsing.sample_office_files import RTF, make_pptx, make_xls, make_xlsx

_SECONDS = 1.0
_ROUND = 1_000


@dataclass(frozen=True)
class Sample:
    """A document, and the bare way to its text."""

    name: str
    data: bytes
    bare: Callable[[bytes], object] | None


def main() -> None:
    """Measure and print."""
    console = Console()
    table = Table("format", "KiB", "pages", "documents/s", "pages/s", "bare/s", "ours : bare")
    samples = make_samples()
    for sample in samples:
        pages = max(1, len(parse_document(sample.data, sample.name).page_starts))
        ours = rate(lambda data, name=sample.name: parse(data, name), sample.data)
        bare = rate(sample.bare, sample.data) if sample.bare is not None else None
        table.add_row(
            sample.name.removeprefix("a."),
            f"{len(sample.data) / 1024:.0f}",
            str(pages),
            f"{ours:,.0f}",
            f"{ours * pages:,.0f}",
            f"{bare:,.0f}" if bare else "",
            f"{ours / bare:.2f}" if bare else "",
        )
    console.print(table)
    console.print(through_workers(samples))


def parse(data: bytes, name: str) -> object:
    """The work of a worker before it chunks."""
    parsed = parse_document(data, name)
    validate(parsed, len(data))
    return parsed


def rate(call: Callable[[bytes], object], data: bytes) -> float:
    """Calls a second."""
    call(data)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < _SECONDS:
        call(data)
        count += 1
    return count / (time.perf_counter() - start)


def through_workers(samples: list[Sample]) -> Table:
    """Documents a second through two workers, and the parent's memory before and after."""
    table = Table("parses", "documents/s", "parent MiB after 100", "after all", "growth %")
    me = psutil.Process()
    at_100 = 0
    with WorkerPool(workers=2) as pool:
        start = time.perf_counter()
        for number in range(_ROUND):
            sample = samples[number % len(samples)]
            pool.submit(prepare_document, sample.data, sample.name, "local", None).result()
            if number == 100:
                at_100 = me.memory_info().rss
        seconds = time.perf_counter() - start
    at_end = me.memory_info().rss
    mib = 1024 * 1024
    table.add_row(
        f"{_ROUND:,}",
        f"{_ROUND / seconds:,.0f}",
        f"{at_100 / mib:.0f}",
        f"{at_end / mib:.0f}",
        f"{100 * (at_end / at_100 - 1):.1f}",
    )
    return table


def make_samples() -> list[Sample]:
    """Documents of a usual size for their kind."""
    text = prose(40)
    lines = prose(560).split(". ")
    pages = [[f"Chapter {n}", *lines[28 * n : 28 * (n + 1)]] for n in range(20)]
    rows = "".join(
        f'<row r="{row}">'
        + "".join(f'<c r="{column}{row}"><v>{row * 1.5}</v></c>' for column in "ABCDEFGH")
        + "</row>"
        for row in range(1, 2_001)
    )
    markdown = f"# Title\n\n{text}\n\n## Section\n\n{text}\n"
    rst = f"Title\n=====\n\n{text}\n\nSection\n-------\n\n* one\n* two\n\n{text}\n"
    table = "name,limit,excess\n" + "".join(f"item {n},{n * 10},{n}\n" for n in range(2_000))
    return [
        Sample("a.pdf", make_pdf(*pages), bare_pdf),
        Sample("a.docx", make_docx(), bare_docx),
        Sample("a.xlsx", make_xlsx(rows), bare_zip_xml),
        Sample("a.pptx", make_pptx(), bare_zip_xml),
        Sample("a.xls", make_xls(is_far=False), bare_xls),
        Sample("a.html", PAGE.replace("<ul>", f"<p>{text}</p><ul>").encode(), bare_html),
        Sample("a.eml", MAIL, bare_mail),
        Sample("a.csv", table.encode(), lambda data: list(csv.reader(io.StringIO(data.decode())))),
        Sample("a.rst", rst.encode(), bare_rst),
        Sample("a.md", markdown.encode(), lambda data: data.decode()),
        Sample("a.rtf", RTF.replace(b"costs", text.encode()), None),
    ]


def prose(sentences: int) -> str:
    """Sentences that differ, because repeated text is refused."""
    return " ".join(
        f"Clause {n} covers loss or damage number {n * 7} caused by fire, lightning or theft."
        for n in range(sentences)
    )


def bare_pdf(data: bytes) -> object:
    from liteparse import LiteParse

    return LiteParse(ocr_enabled=False, quiet=True, num_workers=1).parse(data)


def bare_docx(data: bytes) -> object:
    import mammoth

    return mammoth.extract_raw_text(io.BytesIO(data))


def bare_xls(data: bytes) -> object:
    import xlrd

    book = xlrd.open_workbook(file_contents=data, ragged_rows=True)
    return [sheet.row_values(row) for sheet in book for row in range(sheet.nrows)]


def bare_zip_xml(data: bytes) -> object:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".xml")]
        return ["".join(etree.fromstring(archive.read(name)).itertext()) for name in names]


def bare_html(data: bytes) -> object:
    return html.fromstring(data).text_content()


def bare_mail(data: bytes) -> object:
    return [part.get_payload(decode=True) for part in email.message_from_bytes(data).walk()]


def bare_rst(data: bytes) -> object:
    from docutils.core import publish_parts

    return publish_parts(data.decode(), writer="html5")["html_body"]


if __name__ == "__main__":
    main()
