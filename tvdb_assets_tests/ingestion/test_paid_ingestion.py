"""Ingestions with paid services: no double payment, and no effect of one bad document on others.

What belongs here: the rows after paid ingestions without an outage. What does not: outages
(`test_hybrid_mode`), or the effects of one failure (`embedding/test_paid_failures`).
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

from tvdb_assets.errors import ConfigurationError
from tvdb_assets.models import Stage
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets.repositories.due_documents import DueDocuments
from tvdb_assets_tests.paid_apis import expected_vector
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

POISON = "this-text-is-poison"
PAGE = "<!doctype html><h1>Policy</h1><p>The insured pays.</p>"


def note(number: int, words: str = "") -> str:
    return f"# Note {number}\n\nThe boiler of house {number} is serviced {words} in autumn.\n"


def check_vectors(paid: PaidServicesFixture) -> None:
    """Check that each searchable passage has the service's vector of its text."""
    rows = paid.rows("SELECT text, embedding FROM tvdb.search_index")
    assert rows
    for text, vector in rows:
        np.testing.assert_array_equal(vector.to_numpy(), expected_vector(text))


@pytest.mark.parametrize("fault", ["refused_text", "unknown_code", "too_large", "shuffled"])
def test_one_bad_document_among_a_hundred_loses_no_neighbour(
    paid: PaidServicesFixture, folder: DocumentFolder, fault: str
) -> None:
    for number in range(100):
        folder.write(f"{number}.md", note(number, POISON if number == 37 else ""))
    folder.write("latin-1.md", note(100, "für Prämien").encode("latin-1"))
    folder.write("nul.md", note(101).replace("boiler", "boi\0ler"))
    folder.write("corrupt.pdf", b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\ntruncated")
    paid.apis.faults.script(fault, times=None, marker=POISON)

    codes = folder.codes(folder.ingest())

    bad = {} if fault == "shuffled" else {"37.md"}
    assert codes.keys() == {"corrupt.pdf", *bad}
    assert len(folder.passages()) == 103 - len(codes)
    check_vectors(paid)
    answered = Counter(digest for charge in paid.apis.charges for digest in charge.sha256)
    assert set(answered.values()) == {1}
    # Finished documents are not retried and cost nothing.
    assert folder.due() == []


def test_texts_and_documents_that_are_equal_are_paid_for_once(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    page = "<!doctype html><h1>Policy</h1><p>The insured pays.</p>"
    for name in ("a.html", "b.html", "c.html"):
        folder.write(name, page)
    for name in ("a.md", "b.md"):
        folder.write(name, note(1))

    assert folder.codes(folder.ingest()) == {}

    assert sorted(folder.passages()) == ["a.html", "a.md", "b.html", "b.md", "c.html"]
    assert paid.request_count("submit") == 1
    # The text of a page may equal its file, so each operation is counted separately.
    answered = Counter((c.operation, digest) for c in paid.apis.charges for digest in c.sha256)
    assert set(answered.values()) == {1}
    assert paid.spent == paid.apis.dollars
    check_vectors(paid)


def test_a_possibly_cut_text_is_not_published_on_a_retry_either(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.html", "<!doctype html><p>One.</p>\f<p>Two.</p>\f<p>Three.</p>")

    assert folder.codes(folder.ingest()) == {"a.html": "pages_cut"}

    assert paid.spent == paid.apis.dollars > 0
    assert paid.rows("SELECT count(*) FROM tvdb.parsed_documents") == [(0,)]
    assert folder.codes(folder.ingest(["a.html"])) == {"a.html": "pages_cut"}
    assert folder.passages() == {}


@pytest.mark.parametrize("fault", ["insufficient_quota", "invalid_key"])
def test_a_refused_account_defers_documents_until_time_or_key_change(
    paid: PaidServicesFixture, folder: DocumentFolder, fault: str
) -> None:
    for number in range(30):
        folder.write(f"{number}.md", note(number))
    paid.apis.faults.script(fault, times=None)

    assert len(folder.codes(folder.ingest())) == 30
    assert paid.request_count("embeddings") == 1
    assert len(folder.codes(folder.ingest())) == 30
    assert paid.request_count("embeddings") == 1
    assert paid.rows("SELECT DISTINCT status FROM tvdb.documents") == [("deferred",)]

    paid.apis.faults.clear()
    assert folder.codes(folder.ingest(OPENAI_API_KEY="sk-other")) == {}
    assert paid.request_count("embeddings") == 2
    check_vectors(paid)


def test_each_row_has_its_provenance(paid: PaidServicesFixture, folder: DocumentFolder) -> None:
    folder.write("a.html", "<!doctype html><p>The insured pays.</p>")
    folder.ingest()
    assert paid.rows("SELECT service, mode, is_degraded FROM tvdb.parsed_documents") == [
        ("llamaparse", "real", False)
    ]
    assert paid.rows("SELECT service, mode, model, is_degraded FROM tvdb.embeddings") == [
        ("openai", "real", "text-embedding-3-small", False)
    ]
    assert paid.rows("SELECT DISTINCT run_id FROM tvdb.cost_ledger") == [("run-1",)]
    [known] = DocumentRegistry(paid.database).find("a.html")
    assert known.status == "published"
    assert [stage.value for stage in Stage][-1] == "embeddings"


def test_a_new_version_of_a_local_parser_has_no_text_paid_for_again(
    paid: PaidServicesFixture, folder: DocumentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write("page.html", PAGE)
    folder.write("note.md", "# Note\n\nThe boiler is serviced in autumn.\n")
    assert folder.codes(folder.ingest()) == {}
    before = folder.passages()
    paid.clock.forward(3 * 86_400)  # the service keeps the result of a job for two days
    paid.apis.charge_record.charges.clear()
    upgraded = "tvdb_assets.routing.service_clients.parser_fingerprint"
    monkeypatch.setattr(upgraded, lambda limits: "0123456789abcdef")
    folder.write("copy.html", PAGE)

    assert folder.due() == ["copy.html", "note.md", "page.html"]
    assert folder.codes(folder.ingest()) == {}

    assert paid.apis.charges == []
    assert folder.due() == []
    assert folder.passages() == before | {"copy.html": before["page.html"]}


def test_the_tier_fast_gives_plain_text_for_a_third_of_the_price(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("page.html", PAGE)
    assert folder.codes(folder.ingest(llamaparse_tier="fast")) == {}

    [parse] = [charge for charge in paid.apis.charges if charge.operation == "parse"]
    assert parse.dollars == Decimal("0.00125")
    assert folder.passages()["page.html"]
    [(model, usd)] = paid.rows(
        "SELECT model, posted_usd FROM tvdb.cost_ledger WHERE operation = 'parse'"
    )
    assert (model, usd) == ("fast", parse.dollars)


def test_the_cost_optimizer_is_asked_for_and_what_it_saves_is_recorded(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("page.html", PAGE)
    given = {"llamaparse_tier": "agentic", "llamaparse_cost_optimizer": True}
    assert folder.codes(folder.ingest(**given)) == {}

    [submission] = paid.apis.submissions
    assert submission.is_optimized
    # Three credits for a simple page; ten were reserved.
    [(reserved, posted)] = paid.rows(
        "SELECT reserved_usd, posted_usd FROM tvdb.cost_ledger WHERE operation = 'parse'"
    )
    assert posted == Decimal("0.00375") < reserved
    # The service attributes what it bills to the run.
    assert submission.usage_tags == "tvdb_run:run-1"
    with pytest.raises(ConfigurationError, match="COST_OPTIMIZER") as caught:
        paid.router(**{**given, "llamaparse_tier": "fast"})
    assert caught.value.code == "bad_setting"


def test_a_text_of_another_tier_is_paid_for(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("page.html", PAGE)
    assert folder.codes(folder.ingest()) == {}
    paid.apis.charge_record.charges.clear()

    assert folder.codes(folder.ingest(llamaparse_tier="agentic")) == {}

    assert [charge.operation for charge in paid.apis.charges] == ["parse"]


_UNUSABLE = {
    "zero_vector": "vector_zero",
    "not_a_number": "vector_not_finite",
    "wrong_dimensions": "vector_unusable",
}


@pytest.mark.parametrize("fault", _UNUSABLE)
def test_a_text_that_was_answered_without_a_usable_vector_is_not_paid_for_again(
    paid: PaidServicesFixture, folder: DocumentFolder, fault: str
) -> None:
    code = _UNUSABLE[fault]
    folder.write("a.md", note(1, POISON))
    folder.write("b.md", note(2))
    paid.apis.faults.script(fault, times=None, marker=POISON)
    # One text a request, so that the fault meets no other text.
    assert folder.codes(folder.ingest(embedding_max_inputs=1)) == {"a.md": code}
    requests, spent = paid.request_count("embeddings"), paid.spent
    paid.apis.faults.clear()

    assert [cost.tokens for cost in folder.estimate()] == [0, 0]
    failed = folder.ingest(["a.md"])["a.md"]
    folder.write("c.md", note(1, POISON))

    assert failed.error is not None
    assert (failed.error.code, "not paid for again" in failed.error.message) == (code, True)
    assert "--pay-again" in failed.error.remedy
    assert folder.codes(folder.ingest(["c.md"])) == {"c.md": code}
    assert (paid.request_count("embeddings"), paid.spent) == (requests, spent)

    [known] = folder.registry.find("a.md")
    due = DueDocuments(paid.database)
    assert due.request_documents([known.document_id], pays_again=True) == 1
    assert folder.codes(folder.ingest(["a.md"])) == {}
    assert paid.request_count("embeddings") == requests + 1
    assert folder.codes(folder.ingest(["c.md"])) == {}
    assert paid.rows("SELECT count(*) FROM tvdb.texts_without_vector") == [(0,)]
    check_vectors(paid)


def test_a_text_without_a_usable_vector_is_sent_again_in_another_form_of_request(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.md", note(1))
    paid.apis.faults.script("not_a_number", times=None)
    assert folder.codes(folder.ingest()) == {"a.md": "vector_not_finite"}
    paid.apis.faults.clear()

    assert folder.codes(folder.ingest(["a.md"])) == {"a.md": "vector_not_finite"}
    other = {"OPENAI_BASE_URL": "http://embeddings.example/v1"}
    assert folder.codes(folder.ingest(["a.md"], **other)) == {}
    assert folder.passages().keys() == {"a.md"}


def test_a_forgotten_document_leaves_no_trace_of_texts_without_a_vector(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.md", note(1))
    paid.apis.faults.script("not_a_number", times=None)
    folder.ingest()
    [known] = folder.registry.find("a.md")

    DocumentDeletion(paid.database).delete([known.document_id], is_manual=True)

    assert paid.rows("SELECT count(*) FROM tvdb.texts_without_vector") == [(0,)]


def test_a_text_of_a_paid_parser_that_is_cut_is_not_paid_for_again(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.html", "<!doctype html><p>One.</p>\f<p>Two.</p>\f<p>Three.</p>")
    assert folder.codes(folder.ingest()) == {"a.html": "pages_cut"}
    submitted, spent = paid.request_count("submit"), paid.spent
    paid.clock.forward(3 * 86_400)  # the service keeps the result of a job for two days

    failed = folder.ingest(["a.html"])["a.html"].error

    assert failed is not None
    assert (failed.code, "not paid for again" in failed.message) == ("pages_cut", True)
    assert "--pay-again" in failed.remedy
    assert paid.request_count("submit") == submitted
    [known] = folder.registry.find("a.html")
    DueDocuments(paid.database).request_documents([known.document_id], pays_again=True)
    assert folder.codes(folder.ingest(["a.html"])) == {"a.html": "pages_cut"}
    assert paid.request_count("submit") == submitted + 1
    assert spent > 0
