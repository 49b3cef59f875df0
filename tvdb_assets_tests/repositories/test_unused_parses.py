"""The parsed text of a file that the source has no more is kept for a while, and never paid twice.

What belongs here: keeping, finding again and deleting these texts. What does not: the deletion of
documents (`test_deletion`), or of vectors (`test_retention`).
"""

from __future__ import annotations

import io
import zipfile
from datetime import timedelta

import pytest

from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.retention import Retention
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.paid_router import DocumentFolder

PAGE = "<!doctype html><h1>Policy</h1><p>The insured pays.</p>"
OTHER = "<!doctype html><h1>Policy</h1><p>The insurer pays.</p>"


def delete_from_source(folder: DocumentFolder, name: str) -> None:
    """The file is gone, and a scan deleted its document."""
    (folder.path / name).unlink()
    [known] = folder.registry.find(name)
    DocumentDeletion(folder.paid.database).delete([known.document_id], keeps_results=True)
    assert folder.registry.find(name) == []


def kept(folder: DocumentFolder) -> list[str]:
    return [row[0] for row in folder.paid.rows("SELECT path FROM tvdb.unused_parses ORDER BY path")]


def test_a_paid_text_is_found_again_when_its_file_comes_back(folder: DocumentFolder) -> None:
    folder.write("a.html", PAGE)
    assert folder.codes(folder.ingest()) == {}
    [text] = folder.paid.rows("SELECT text, page_starts, headings FROM tvdb.parsed_documents")
    spent = folder.paid.spent
    delete_from_source(folder, "a.html")
    assert folder.passages() == {}
    folder.write("a.html", PAGE)
    [cost] = folder.estimate()
    assert cost.cost_usd == 0

    assert folder.codes(folder.ingest()) == {}

    assert folder.paid.rows("SELECT text, page_starts, headings FROM tvdb.parsed_documents") == [
        text
    ]
    assert (folder.paid.request_count("submit"), folder.paid.request_count("embeddings")) == (1, 1)
    assert folder.paid.spent == spent == folder.paid.apis.dollars


def test_a_paid_text_is_found_again_when_a_file_gets_its_former_bytes_back(
    folder: DocumentFolder,
) -> None:
    for text in (PAGE, OTHER, PAGE, OTHER):
        folder.write("a.html", text)
        assert folder.codes(folder.ingest()) == {}
    assert folder.paid.request_count("submit") == 2
    assert "insurer" in folder.passages()["a.html"][0]


def test_a_paid_text_of_a_member_is_found_again(folder: DocumentFolder) -> None:
    def write(*names: str) -> None:
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for name in names:
                archive.writestr(name, PAGE if name == "a.html" else OTHER)
        folder.write("mail.zip", data.getvalue())

    for names in (("a.html", "b.html"), ("b.html",), ("a.html", "b.html")):
        write(*names)
        assert folder.codes(folder.ingest()) == {}
        assert len(folder.passages()) == len(names)
    delete_from_source(folder, "mail.zip")
    write("a.html", "b.html")
    assert folder.codes(folder.ingest()) == {}
    assert folder.paid.request_count("submit") == 2


def test_a_text_of_this_machine_or_of_a_fallback_is_deleted_with_its_document(
    folder: DocumentFolder,
) -> None:
    folder.write("a.md", "# Terms\n\nThe insured pays.\n")
    folder.write("a.html", PAGE)
    folder.paid.apis.faults.script("unavailable", operation="submit", times=None)
    folder.ingest(service_mode="hybrid")
    for name in ("a.md", "a.html"):
        delete_from_source(folder, name)
    assert kept(folder) == []


@pytest.mark.parametrize("is_gone_first", [True, False])
def test_forgetting_a_document_deletes_the_texts_of_all_its_versions(
    folder: DocumentFolder, is_gone_first: bool
) -> None:
    deletion = DocumentDeletion(folder.paid.database)
    for text in (PAGE, OTHER):
        folder.write("a.html", text)
        assert folder.codes(folder.ingest()) == {}
    folder.write("b.html", PAGE.replace("insured", "tenant"))
    folder.ingest()
    delete_from_source(folder, "b.html")
    if is_gone_first:
        delete_from_source(folder, "a.html")
        assert kept(folder) == ["a.html", "a.html", "b.html"]
        assert deletion.forget_unused(Source.open(str(folder.path)).root, "a.html") == 2
    else:
        [known] = folder.registry.find("a.html")
        deletion.delete([known.document_id], is_manual=True)
    assert kept(folder) == ["b.html"]


def test_a_text_is_deleted_after_the_days_of_the_cache(folder: DocumentFolder) -> None:
    folder.write("a.html", PAGE)
    folder.ingest()
    delete_from_source(folder, "a.html")
    retention = Retention(folder.paid.database)
    days = {"keep": timedelta(days=90), "cache": timedelta(days=30)}
    assert retention.delete_old_rows(**days)["unused parses"] == 0
    with folder.paid.database.transaction() as tx:
        tx.execute("UPDATE tvdb.unused_parses SET dropped_at = dropped_at - interval '31 days'")
    assert retention.delete_old_rows(**days)["unused parses"] == 1
    assert kept(folder) == []
