"""What a document's text looks like when it is read back: by name, by page, with its provenance."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict
from reportlab.pdfgen import canvas

from tvdb_assets.cli import main
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.connection_url import libpq_url
from tvdb_assets.retrieval.index import Index
from tvdb_assets.retrieval.stored_document import read_document
from tvdb_assets.settings import load_settings
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

LOCAL = {"service_mode": "local"}
PAGES = ("Storm damage is insured up to the agreed sum.", "Frost damage is not insured at all.")


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Run the command; returns its exit code and what it prints on stdout."""
    monkeypatch.setattr(sys, "argv", ["tvdb", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return caught.value.code, capsys.readouterr().out


def two_pages(path: Path) -> bytes:
    drawing = canvas.Canvas(str(path))
    for line in PAGES:
        drawing.drawString(72, 700, line)
        drawing.showPage()
    drawing.save()
    return path.read_bytes()


@pytest.fixture
def filled(folder: DocumentFolder, tmp_path_factory: pytest.TempPathFactory) -> DocumentFolder:
    """A Markdown document and a PDF of two pages, published in an index of the local embedder."""
    folder.write(
        "rules.md", "# Rules\n\nDamage by water is covered.\n\n## Limits\n\nUp to 500 €.\n"
    )
    folder.write("pages.pdf", two_pages(tmp_path_factory.mktemp("pdf") / "pages.pdf"))
    assert folder.codes(folder.ingest(**LOCAL)) == {}
    return folder


def test_a_document_is_read_back_with_pages_headings_and_provenance(filled: DocumentFolder) -> None:
    with Index(load_settings(**LOCAL), database=filled.paid.database) as index:
        pdf = index.document("pages.pdf")
        markdown = asyncio.run(index.adocument("rules.md", source=str(filled.path)))

    assert pdf.page_count == 2
    assert [PAGES[n - 1] in pdf.page_text(n) for n in (1, 2)] == [True, True]
    assert "".join(pdf.page_text(n) for n in (1, 2)) == pdf.text
    assert (pdf.media_type, pdf.produced_by.mode) == ("application/pdf", "local")
    assert pdf.is_searched
    assert (markdown.title, markdown.page_count, markdown.run_id) == ("Rules", None, "run-1")
    assert [(h.level, h.title) for h in markdown.headings] == [(1, "Rules"), (2, "Limits")]
    assert markdown.page_text(1) == markdown.text
    assert markdown.chunks == len(filled.passages()["rules.md"])


def test_sources_are_listed_with_what_search_finds_of_them(filled: DocumentFolder) -> None:
    filled.write("bad.pdf", b"%PDF-1.4 broken")
    filled.ingest(**LOCAL)

    with Index(load_settings(**LOCAL), database=filled.paid.database) as index:
        [source] = index.sources()

    assert (source.source, source.documents, source.searched_documents) == (str(filled.path), 3, 2)
    assert set(source.media_types) == {"application/pdf", "text/markdown"}


@pytest.mark.parametrize("name", ["nothing.md", "", "a\0b", "a\ud800b", "' OR true --"])
def test_a_name_without_a_document_is_reported(filled: DocumentFolder, name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_document(filled.paid.database, name)
    assert caught.value.code == "document_unknown"


@pytest.mark.parametrize("page", [0, -1, 3])
def test_a_page_that_does_not_exist_is_reported_with_the_number_of_pages(
    filled: DocumentFolder, page: int
) -> None:
    document = read_document(filled.paid.database, "pages.pdf")
    with pytest.raises(ConfigurationError, match="It has 2") as caught:
        document.page_text(page)
    assert caught.value.code == "page_unknown"


def test_a_document_of_several_sources_needs_its_source(
    filled: DocumentFolder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = DocumentFolder(filled.paid, tmp_path_factory.mktemp("other"))
    other.write("rules.md", "# Other rules\n\nDamage by fire is covered.\n")
    other.ingest(**LOCAL)
    database = filled.paid.database

    with pytest.raises(ConfigurationError) as caught:
        read_document(database, "rules.md")

    assert caught.value.code == "document_ambiguous"
    assert read_document(database, "rules.md", source=str(other.path)).title == "Other rules"
    assert read_document(database, "rules.md", preferred=str(filled.path)).title == "Rules"


def test_a_document_without_text_says_so(folder: DocumentFolder) -> None:
    folder.write("bad.pdf", b"%PDF-1.4 broken")
    folder.ingest(**LOCAL)
    with pytest.raises(ConfigurationError) as caught:
        read_document(folder.paid.database, "bad.pdf")
    assert caught.value.code == "document_without_text"


def test_a_text_that_search_does_not_find_gives_the_reason(
    filled: DocumentFolder,
) -> None:
    filled.write("new.md", "# New\n\nThe roof was repaired in May.\n")
    filled.ingest(service_mode="mock")

    new = read_document(filled.paid.database, "new.md")

    assert not new.is_searched
    assert new.not_searched == "A mock parsed it."
    with Index(load_settings(**LOCAL), database=filled.paid.database) as index:
        [source] = index.sources()
    assert (source.documents, source.searched_documents) == (3, 2)
    # A mock does not replace what search finds of the others.
    assert read_document(filled.paid.database, "rules.md").is_searched


def test_the_command_prints_a_page_and_escapes_what_acts_on_a_terminal(
    filled: DocumentFolder,
    paid: PaidServicesFixture,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled.write("escape.md", "# Red \x1b[31m\n\nText with \x1b]0;title\x07 inside.\n")
    filled.ingest(**LOCAL)
    monkeypatch.setenv("TVDB_DATABASE_URL", paid.database.url)

    code, shown = run(monkeypatch, capsys, "show", "pages.pdf", "--page", "2")
    assert (code, PAGES[1] in shown, PAGES[0] in shown) == (0, True, False)
    assert "\x1b]" not in run(monkeypatch, capsys, "show", "escape.md")[1]
    code, text = run(monkeypatch, capsys, "show", "pages.pdf", "--page", "2", "--json")
    document = json.loads(text)
    assert (document["page"], document["page_count"]) == (2, 2)
    assert PAGES[1] in document["text"]
    assert run(monkeypatch, capsys, "show", "pages.pdf", "--page", "3")[0] == 2


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:pass%40word@localhost:5432/documents?sslmode=require",
         "postgresql://me@localhost:5432/documents?sslmode=require"),
        ("postgresql://me:pass@word@localhost/documents", "postgresql://me@localhost/documents"),
        ("postgresql://localhost/documents?password=secret&sslmode=require&sslpassword=secret2",
         "postgresql://localhost/documents?sslmode=require"),
        ("postgresql://localhost/documents?pass%77ord=secret", "postgresql://localhost/documents"),
        ("postgresql+psycopg2://me:secret@one:1,two:2/documents",
         "postgresql://me@one:1,two:2/documents?target_session_attrs=read-write"),
        ("host=localhost user=me password=secret dbname=documents",
         "postgresql://me@localhost/documents"),
        ("postgresql://me@localhost/documents", "postgresql://me@localhost/documents"),
    ],
)  # fmt: skip
def test_the_url_of_the_database_is_printed_without_its_passwords(
    url: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", url)
    assert run(monkeypatch, capsys, "url") == (0, f"{shown}\n")
    code, whole = run(monkeypatch, capsys, "url", "--password")
    assert (code, conninfo_to_dict(whole.strip())) == (0, conninfo_to_dict(libpq_url(url)))


@pytest.mark.parametrize("url", ["me secret", "mysql://me:secret@localhost/d"])
def test_what_is_no_url_of_postgres_is_refused_and_not_printed(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", url)
    monkeypatch.setattr(sys, "argv", ["tvdb", "url"])
    with pytest.raises(SystemExit) as caught:
        main()
    output = capsys.readouterr()
    assert caught.value.code == 2
    assert "database_url_invalid" in output.err
    assert "secret" not in output.out + output.err
