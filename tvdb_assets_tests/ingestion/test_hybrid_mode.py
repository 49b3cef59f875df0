"""Outage and recovery in ``hybrid``: fallbacks, search during the outage, and repair after it.

What belongs here: the rows after ingestions during an outage of one paid service. What does not:
the effects of a single failure (`embedding/test_paid_failures`).
"""

from __future__ import annotations

import threading
from contextlib import suppress
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets_tests.paid_apis import expected_vector
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

HYBRID = {"service_mode": "hybrid"}
NOTES = {
    f"note-{number}.md": f"# Note {number}\n\nThe boiler of house {number} is serviced in autumn.\n"
    for number in range(6)
}
OLD, NEW = "note-0.md", "note-5.md"


def page(words: str) -> str:
    """A document that the paid parser parses."""
    return f"<!doctype html><html><body><h1>Policy</h1><p>{words}</p></body></html>"


PAGES = {
    f"page-{number}.html": page(f"The hotel of journey {number} may cost ninety euros a night.")
    for number in range(4)
}


def check_vectors(paid: PaidServicesFixture) -> None:
    """Check that each vector of the real space is the service's vector of its text."""
    rows = paid.rows(
        "SELECT c.text, e.embedding FROM tvdb.chunks c JOIN tvdb.embeddings e USING (text_sha256)"
        " JOIN tvdb.vector_spaces s USING (space_id) WHERE NOT s.is_fallback"
    )
    assert rows
    for text, vector in rows:
        np.testing.assert_array_equal(vector.to_numpy(), expected_vector(text))


def end_outage(paid: PaidServicesFixture) -> None:
    paid.apis.faults.clear()
    paid.clock.forward(400)  # longer than any breaker stays open


def test_documents_degraded_by_an_embedding_outage_are_repaired_after_it(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write(OLD, NOTES[OLD])
    assert folder.codes(folder.ingest(**HYBRID)) == {}
    before = folder.passages()
    for name, text in NOTES.items():
        folder.write(name, text)
    paid.apis.faults.script("unavailable", times=None)

    assert folder.codes(folder.ingest(**HYBRID)) == {}

    assert folder.passages() == before
    degraded = sorted(NOTES.keys() - {OLD})
    assert paid.rows("SELECT path FROM tvdb.documents WHERE is_degraded ORDER BY 1") == [
        (name,) for name in degraded
    ]
    assert folder.degraded_rows().keys() == {"documents", "embeddings"}
    assert folder.registry.counts()["documents"]["degraded"] == len(degraded)
    assert folder.due(**HYBRID) == degraded

    # The outage continues: a second ingestion changes nothing, and nothing becomes searchable.
    assert folder.codes(folder.ingest(**HYBRID)) == {}
    assert folder.passages() == before
    assert folder.due(**HYBRID) == degraded

    end_outage(paid)
    paid.apis.charge_record.charges.clear()
    assert folder.codes(folder.ingest(**HYBRID)) == {}

    assert folder.degraded_rows() == {}
    assert folder.due(**HYBRID) == []
    assert sorted(folder.passages()) == sorted(NOTES)
    healed = {
        sha256(text.encode()).hexdigest() for name in degraded for text in folder.passages()[name]
    }
    paid_for = [digest for charge in paid.apis.charges for digest in charge.sha256]
    assert sorted(paid_for) == sorted(healed)
    check_vectors(paid)


def test_documents_degraded_by_a_parsing_outage_are_repaired_after_it(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("page-0.html", PAGES["page-0.html"])
    folder.write(OLD, NOTES[OLD])
    assert folder.codes(folder.ingest(**HYBRID)) == {}
    before = folder.passages()
    assert sorted(before) == [OLD, "page-0.html"]
    for name, text in PAGES.items():
        folder.write(name, text)
    paid.apis.faults.script("unavailable", operation="submit", times=None)

    assert folder.codes(folder.ingest(**HYBRID)) == {}

    degraded = sorted(PAGES.keys() - {"page-0.html"})
    assert folder.passages() == before
    assert folder.due(**HYBRID) == degraded
    assert folder.degraded_rows().keys() == {"documents", "parsed_documents", "embeddings"}
    # A fallback parse is not worth a paid vector.
    assert paid.request_count("embeddings") == 1

    # The outage continues.
    assert folder.codes(folder.ingest(**HYBRID)) == {}
    assert folder.passages() == before
    assert folder.due(**HYBRID) == degraded

    end_outage(paid)
    paid.apis.charge_record.charges.clear()
    assert folder.codes(folder.ingest(**HYBRID)) == {}

    assert folder.degraded_rows() == {}
    assert folder.due(**HYBRID) == []
    assert sorted(folder.passages()) == [OLD, *sorted(PAGES)]
    parsed = [charge.sha256[0] for charge in paid.apis.charges if charge.operation == "parse"]
    assert sorted(parsed) == sorted(sha256(PAGES[name].encode()).hexdigest() for name in degraded)
    assert paid.rows("SELECT DISTINCT service FROM tvdb.parsed_documents p"
        " JOIN tvdb.documents d USING (document_id) WHERE path LIKE 'page-%%'") == [
        ("llamaparse",)
    ]  # fmt: skip
    check_vectors(paid)


@pytest.mark.parametrize("name", [OLD, "page-0.html"])
def test_an_edit_during_an_outage_shows_the_old_text_and_leaves_nothing_behind(
    paid: PaidServicesFixture, folder: DocumentFolder, name: str
) -> None:
    versions = [
        (NOTES | PAGES)[name].replace("ninety", number).replace("autumn", number)
        for number in ("first", "second", "third")
    ]
    folder.write(name, versions[0])
    folder.ingest(**HYBRID)
    before = folder.passages()
    assert "first" in before[name][0]
    for operation in ("embeddings", "submit"):
        paid.apis.faults.script("bad_gateway", operation=operation, times=None)
    for version in versions[1:]:
        folder.write(name, version)
        assert folder.codes(folder.ingest(**HYBRID)) == {}
        assert folder.passages() == before
    assert paid.rows("SELECT count(*) FROM tvdb.embeddings WHERE is_degraded") == [(1,)]

    end_outage(paid)
    assert folder.codes(folder.ingest(**HYBRID)) == {}

    assert "third" in folder.passages()[name][0]
    assert folder.degraded_rows() == {}
    assert paid.rows("SELECT count(*) FROM tvdb.parsed_documents") == [(1,)]


def test_a_shared_degraded_text_is_deleted_with_its_last_document(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    for name in ("a.md", "b.md"):
        folder.write(name, NOTES[OLD])
    paid.apis.faults.script("unavailable", times=None)
    folder.ingest(**HYBRID)
    assert folder.degraded_rows() == {"documents": 2, "embeddings": 1}
    end_outage(paid)

    folder.ingest(["a.md"], **HYBRID)

    assert folder.degraded_rows() == {"documents": 1, "embeddings": 1}
    assert list(folder.passages()) == ["a.md"]

    folder.ingest(["b.md"], **HYBRID)

    assert folder.degraded_rows() == {}
    assert paid.request_count("embeddings") - 3 == 1  # three attempts failed in the outage


@pytest.mark.parametrize("operation", ["embeddings", "submit"])
def test_an_open_breaker_is_a_reason_to_fall_back_without_a_request(
    paid: PaidServicesFixture, folder: DocumentFolder, operation: str
) -> None:
    name = "page-0.html" if operation == "submit" else OLD
    folder.write(name, (NOTES | PAGES)[name])
    paid.apis.faults.script("unavailable", operation=operation, times=None)
    folder.ingest(paid_attempts=5, **HYBRID)
    assert paid.request_count(operation) == 5

    folder.ingest(**HYBRID)

    assert paid.request_count(operation) == 5
    assert folder.due(**HYBRID) == [name]
    assert folder.passages() == {}


NO_REASON = {
    "refused text": ({"kind": "refused_text"}, {}, "text_refused"),
    "refused key": ({"kind": "invalid_key"}, {}, "key_refused"),
    "no permission": ({"kind": "forbidden"}, {}, "permission_refused"),
    "no quota": ({"kind": "insufficient_quota"}, {}, "quota_exhausted"),
    "unknown": ({"kind": "unknown_code"}, {}, "request_refused"),
    "busy": ({"kind": "rate_limited"}, {}, "rate_limited"),
    "no budget": (None, {"daily_cost_limit": "0"}, "budget_exhausted"),
    "no requests": (None, {"hourly_rate_limit": 0}, "hourly_requests_exhausted"),
}


@pytest.mark.parametrize("case", NO_REASON)
def test_errors_other_than_an_outage_cause_no_fallback(
    paid: PaidServicesFixture, folder: DocumentFolder, case: str
) -> None:
    fault, limits, code = NO_REASON[case]
    folder.write(OLD, NOTES[OLD])
    if fault is not None:
        paid.apis.faults.script(times=None, **fault)

    results = folder.ingest(**HYBRID, **limits)

    assert folder.codes(results) == {OLD: code}
    assert folder.degraded_rows() == {}
    assert paid.rows("SELECT count(*) FROM tvdb.embeddings") == [(0,)]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("unprocessable", "document_refused"),
        ("too_large", "document_refused"),
        ("job_failed", "parse_job_failed"),
        ("job_cancelled", "parse_job_failed"),
        ("job_partial", "pages_failed"),
        ("invalid_key", "key_refused"),
        ("payment_required", "quota_exhausted"),
        ("credit_balance_exhausted", "quota_exhausted"),
        ("billing_hard_limit_400", "quota_exhausted"),
        ("billing_hard_limit_429", "quota_exhausted"),
    ],
)
def test_a_document_or_account_that_the_parser_refuses_is_no_reason_to_fall_back(
    paid: PaidServicesFixture, folder: DocumentFolder, fault: str, code: str
) -> None:
    folder.write("page-0.html", PAGES["page-0.html"])
    paid.apis.faults.script(fault, operation="submit", times=None)

    results = folder.ingest(**HYBRID)

    assert folder.codes(results) == {"page-0.html": code}
    assert folder.degraded_rows() == {}
    assert paid.request_count("submit") == 1


def test_real_never_falls_back(paid: PaidServicesFixture, folder: DocumentFolder) -> None:
    folder.write(OLD, NOTES[OLD])
    folder.write("page-0.html", PAGES["page-0.html"])
    for operation in ("embeddings", "submit"):
        paid.apis.faults.script("unavailable", operation=operation, times=None)

    results = folder.ingest(service_mode="real")

    assert set(folder.codes(results).values()) <= {"service_unavailable", "rate_limited"}
    assert len(folder.codes(results)) == 2
    assert folder.degraded_rows() == {}
    assert paid.rows("SELECT count(*) FROM tvdb.embeddings") == [(0,)]
    assert paid.rows("SELECT path FROM tvdb.parsed_documents JOIN tvdb.documents"
        " USING (document_id)") == [(OLD,)]  # fmt: skip


def test_two_documents_with_one_text_that_recover_at_the_same_time_leave_no_fallback_rows(
    paid: PaidServicesFixture, folder: DocumentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    twins = ["twin-1.md", "twin-2.md"]
    for name in twins:
        folder.write(name, NOTES[OLD])
    paid.apis.faults.script("unavailable", times=None)
    assert folder.codes(folder.ingest(**HYBRID)) == {}
    assert folder.degraded_rows().keys() == {"documents", "embeddings"}
    end_outage(paid)
    both_are_there = threading.Barrier(2)
    drop_replaced = IndexStore._drop_replaced

    def together(index: IndexStore, *given: Any) -> None:
        # If one thread waits for a lock of the other, the barrier times out.
        with suppress(threading.BrokenBarrierError):
            both_are_there.wait(timeout=1)
        drop_replaced(index, *given)

    monkeypatch.setattr(IndexStore, "_drop_replaced", together)
    monkeypatch.setattr("tvdb_assets.ingestion.runner.BATCH_DOCUMENTS", 1)

    assert folder.codes(folder.ingest(**HYBRID)) == {}

    assert folder.degraded_rows() == {}
    assert sorted(folder.passages()) == twins
