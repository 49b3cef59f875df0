"""Documents inside documents: each has its own row, error and retry, and is paid once.

What belongs here: the rows after ingestions of archives, mailboxes, records and mails.
What does not: taking a container apart (`parsing/test_container_members`), or Dagster's
partitions (`integration`).
"""

from __future__ import annotations

import io
import json
import zipfile
from email.message import EmailMessage

import pytest

from tvdb_assets.models import Stage
from tvdb_assets.repositories.deletion import DocumentDeletion
from tvdb_assets.repositories.document_registry import DocumentRegistry
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

FREE = {"service_mode": "local"}
LETTERS = {"one.md": "# One\n\nFlood damage is covered.\n", "two.md": "# Two\n\nFire is not.\n"}
BROKEN = "%PDF-1.7 truncated"


def packed(**files: str | bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def records(*texts: str) -> str:
    return "\n".join(json.dumps({"id": f"r{n}", "text": text}) for n, text in enumerate(texts))


def statuses(paid: PaidServicesFixture) -> dict[str, tuple[str, str | None]]:
    rows = paid.rows("SELECT path, status, error_code FROM tvdb.documents")
    return {path: (status, code) for path, status, code in rows}


def test_each_member_is_a_separate_document(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "ada@example.org", "Claims"
    mail.set_content("The letters are attached.")
    mail.add_attachment(packed(**LETTERS), maintype="application", subtype="zip", filename="l.zip")
    folder.write("a.zip", packed(**{**LETTERS, "../../etc/passwd": "Only a name.\n"}))
    folder.write("m.eml", mail.as_bytes())
    folder.write("r.jsonl", records("The boiler is serviced.", "The roof is new."))
    results = folder.ingest(**FREE)

    assert folder.codes(results) == {}
    # The result of a partition is the result of its file. Members have no results.
    assert sorted(results) == ["a.zip", "m.eml", "r.jsonl"]
    assert results["a.zip"].metadata["members"] == 3
    shown = folder.passages()
    assert sorted(shown) == [
        "a.zip!/%2E%2E/%2E%2E/etc/passwd",
        "a.zip!/one.md",
        "a.zip!/two.md",
        "m.eml",
        "m.eml!/l.zip!/one.md",
        "m.eml!/l.zip!/two.md",
        "r.jsonl!/r0",
        "r.jsonl!/r1",
    ]
    assert shown["a.zip!/one.md"] == [LETTERS["one.md"].strip()]
    assert set(statuses(paid).values()) == {("published", None)}
    keys = paid.rows(
        "SELECT DISTINCT partition_key FROM tvdb.documents WHERE container_id IS NOT NULL"
    )
    assert sorted(keys) == [("a.zip",), ("m.eml",), ("r.jsonl",)]
    assert folder.due(**FREE) == []


def test_a_failed_member_is_named_in_the_error_of_its_file(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.zip", packed(**LETTERS, **{"bad.pdf": BROKEN}))
    folder.write("b.zip", packed(**{"inner.zip": packed(**{"bad.pdf": BROKEN})}))
    results = folder.ingest(**FREE)

    assert folder.codes(results) == {"a.zip": "members_failed", "b.zip": "members_failed"}
    error = results["a.zip"].error
    assert error is not None
    assert "1 of 3 documents inside it failed: bad.pdf (corrupt)." in str(error)
    assert sorted(folder.passages()) == ["a.zip!/one.md", "a.zip!/two.md"]
    found = statuses(paid)
    assert found["a.zip!/bad.pdf"] == ("failed", "corrupt")
    assert found["b.zip!/inner.zip"] == ("failed", "members_failed")
    reported = [failure.document for failure in folder.registry.failures(["a.zip"])]
    [file] = folder.registry.find("a.zip")
    history = folder.registry.history(file.document_id)
    assert history["members"] == {"failed": 1, "published": 2}
    assert reported == ["a.zip", "a.zip!/bad.pdf"]
    # Nothing changed, so a retry would have the same result.
    assert folder.due(**FREE) == []

    # A manual request retries failed members.
    folder.ingest(["a.zip"], **FREE)
    folder.write("a.zip", packed(**LETTERS, **{"bad.pdf": BROKEN, "three.md": "Three is new.\n"}))
    # A change of the file does not retry an unchanged member.
    assert folder.codes(folder.ingest(**FREE)) == {"a.zip": "members_failed"}
    assert "a.zip!/three.md" in folder.passages()
    [(attempts,)] = paid.rows("SELECT attempts FROM tvdb.documents WHERE path = 'a.zip!/bad.pdf'")
    assert attempts == 2


def test_a_member_that_killed_its_worker_is_retried_and_then_quarantined(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    """Its code is terminal, but a retry may succeed; see `repositories.due_documents`."""
    folder.write("a.zip", packed(**LETTERS, **{"bad.pdf": BROKEN}))
    folder.ingest(**FREE)

    def left(attempts: int) -> None:
        with paid.database.transaction() as tx:
            tx.execute(
                "UPDATE tvdb.documents SET error_code = 'parser_crashed', quarantine = NULL,"
                " attempts = %s, next_attempt_at = tvdb.clock() WHERE path = 'a.zip!/bad.pdf'",
                (attempts,),
            )

    left(attempts=1)
    folder.ingest(["a.zip"], **FREE)
    ends = "SELECT attempts, error_code, quarantine FROM tvdb.documents WHERE path LIKE '%%bad.pdf'"
    assert paid.rows(ends) == [(2, "corrupt", "terminal")], "it was retried"
    folder.ingest(["a.zip"], **FREE)
    assert paid.rows(ends)[0][0] == 3, "the whole file was requested"
    left(attempts=3)
    with paid.database.transaction() as tx:
        tx.execute(
            "UPDATE tvdb.documents SET quarantine = 'poison', next_attempt_at = NULL"
            " WHERE path = 'a.zip!/bad.pdf'"
        )
        tx.execute("UPDATE tvdb.documents SET etag = '' WHERE path = 'a.zip'")
    folder.write("a.zip", packed(**LETTERS, **{"bad.pdf": BROKEN, "new.md": "# New\n\nText.\n"}))
    folder.ingest(**FREE)
    assert paid.rows(ends) == [(3, "parser_crashed", "poison")], "it is not retried"
    assert "a.zip!/new.md" in folder.passages()


def test_only_the_changed_members_of_a_file_are_processed_again(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.zip", packed(**LETTERS))
    folder.ingest()
    paid_before = paid.request_count("embeddings")
    made = "SELECT p.parsed_id FROM tvdb.parsed_documents p JOIN tvdb.documents USING (document_id)"
    [(before,)] = paid.rows(f"{made} WHERE path = 'a.zip!/one.md'")

    # One member stays, one is new, and one has the content of a deleted one.
    folder.write(
        "a.zip",
        packed(**{"moved.md": LETTERS["two.md"], "one.md": LETTERS["one.md"], "n.md": "New\n"}),
    )
    assert folder.codes(folder.ingest()) == {}

    assert sorted(folder.passages()) == ["a.zip!/moved.md", "a.zip!/n.md", "a.zip!/one.md"]
    assert paid.rows(f"{made} WHERE path = 'a.zip!/one.md'") == [(before,)]
    assert sorted(statuses(paid)) == ["a.zip", "a.zip!/moved.md", "a.zip!/n.md", "a.zip!/one.md"]
    assert paid.request_count("embeddings") == paid_before + 1
    last = paid.apis.charges[-1]
    assert len(last.sha256) == 1  # only the new text; the renamed one has a vector


def test_members_beyond_the_budget_wait_together_with_their_file(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("r.jsonl", records(*(f"The boiler of house {n} is serviced." for n in range(40))))
    results = folder.ingest(daily_cost_limit="0.000002")

    error = results["r.jsonl"].error
    assert error is not None
    assert (error.code, error.disposition.value) == ("budget_exhausted", "deferred")
    assert "of 40 documents inside it wait" in error.message
    done = len(folder.passages())
    assert 0 < done < 40
    assert statuses(paid)["r.jsonl"] == ("deferred", "budget_exhausted")
    assert folder.codes(folder.ingest()) == {}
    assert len(folder.passages()) == 40
    answered = [digest for charge in paid.apis.charges for digest in charge.sha256]
    assert len(answered) == len(set(answered)) == 40
    assert statuses(paid)["r.jsonl"] == ("published", None)


def test_waiting_members_resume_without_retrying_failed_ones(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    texts = [f"The boiler of house {n} is serviced." for n in range(40)]
    inner = packed(**{"r.jsonl": records(*texts), "bad.pdf": BROKEN})
    folder.write("a.zip", packed(**{"inner.zip": inner}))
    assert folder.codes(folder.ingest(daily_cost_limit="0.000002")) == {"a.zip": "members_failed"}
    found = statuses(paid)
    assert found["a.zip!/inner.zip!/r.jsonl"][0] == "deferred"
    assert 0 < len(folder.passages()) < 40

    assert folder.codes(folder.ingest(["a.zip"])) == {"a.zip": "members_failed"}
    assert len(folder.passages()) == 40
    [(attempts,)] = paid.rows("SELECT attempts FROM tvdb.documents WHERE path LIKE '%%bad.pdf'")
    assert attempts == 1


def test_a_file_may_become_a_container_and_a_document_again(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    for content, shown in (
        (b"A plain note.\n", ["a.bin"]),
        (packed(**LETTERS), ["a.bin!/one.md", "a.bin!/two.md"]),
        (b"Another note.\n", ["a.bin"]),
    ):
        folder.write("a.bin", content)
        assert folder.codes(folder.ingest(**FREE)) == {}
        assert sorted(folder.passages()) == shown
    assert paid.rows("SELECT count(*) FROM tvdb.documents") == [(1,)]


def test_members_of_a_damaged_container_stay_published(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.zip", packed(**LETTERS))
    folder.ingest(**FREE)
    folder.write("a.zip", packed(**LETTERS)[:60])
    assert folder.codes(folder.ingest(**FREE)) == {"a.zip": "corrupt"}
    assert sorted(folder.passages()) == ["a.zip!/one.md", "a.zip!/two.md"]
    # Until then, none of its members is due, not even one that was requested or deferred.
    folder.write("a.zip", packed(**LETTERS, **{"bad.pdf": BROKEN}))
    folder.ingest(**FREE)
    with paid.database.transaction() as tx:
        tx.execute(
            "UPDATE tvdb.documents SET manually_requested_at = now() WHERE path LIKE 'a.zip!/%'"
        )
    folder.write("a.zip", packed(**LETTERS)[:60])
    folder.ingest(**FREE)
    assert paid.rows(
        "SELECT count(*) FROM tvdb.documents WHERE manually_requested_at IS NOT NULL"
    ) == [(0,)]
    [(code, message)] = paid.rows(
        "SELECT error_code, error_message FROM tvdb.documents WHERE path = 'a.zip!/bad.pdf'"
    )
    assert code == "corrupt"
    assert message.startswith("Its container failed: The ZIP archive is damaged")
    # A repaired container is processed completely.
    folder.write("a.zip", packed(**LETTERS, **{"bad.pdf": LETTERS["one.md"]}))
    assert folder.codes(folder.ingest(**FREE)) == {}


def test_a_member_that_waits_is_not_failed_by_a_damaged_copy_of_its_container(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    """The member is correct, so it is processed as soon as its container can be read."""
    folder.write("a.zip", packed(**LETTERS))
    folder.ingest(daily_cost_limit="0")
    assert statuses(paid)["a.zip!/one.md"] == ("deferred", "budget_exhausted")
    folder.write("a.zip", packed(**LETTERS)[:60])
    assert folder.codes(folder.ingest()) == {"a.zip": "corrupt"}
    ends = "SELECT DISTINCT status, quarantine FROM tvdb.documents WHERE container_id IS NOT NULL"
    assert paid.rows(ends) == [("failed", "container")]
    assert folder.due() == []

    folder.write("a.zip", packed(**LETTERS))

    assert folder.codes(folder.ingest()) == {}
    assert set(statuses(paid).values()) == {("published", None)}


def test_members_are_processed_one_stage_at_a_time_too(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.zip", packed(**LETTERS))
    for stage, status in (
        (Stage.PARSED_DOCUMENTS, "registered"),
        (Stage.CHUNKS, "registered"),
        (Stage.EMBEDDINGS, "published"),
    ):
        [result] = folder.ingest(
            ["a.zip"] if folder.ingestions else None, stages={stage}, **FREE
        ).values()
        assert result.error is None
        assert {status for status, _ in statuses(paid).values()} == {status}
    assert sorted(folder.passages()) == ["a.zip!/one.md", "a.zip!/two.md"]


def test_a_member_and_its_file_are_deleted(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.zip", packed(**LETTERS))
    folder.ingest(**FREE)
    registry, deletion = DocumentRegistry(paid.database), DocumentDeletion(paid.database)
    [member] = registry.find("a.zip!/one.md")
    assert member.is_member
    deletion.delete([member.document_id])
    assert sorted(folder.passages()) == ["a.zip!/two.md"]
    # A deleted member that is still in the source is ingested again, as a file is.
    assert folder.due(**FREE) == ["a.zip"]
    folder.ingest(**FREE)
    assert sorted(folder.passages()) == ["a.zip!/one.md", "a.zip!/two.md"]

    [file] = registry.find("a.zip")
    deletion.delete([file.document_id])
    for table in ("documents", "parsed_documents", "chunks", "embeddings", "publications"):
        assert paid.rows(f"SELECT count(*) FROM tvdb.{table}") == [(0,)], table


def test_an_estimate_counts_members_and_pays_nothing(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.zip", packed(**LETTERS, **{"bad.pdf": BROKEN, "page.html": "<p>Text.</p>"}))
    costs = folder.estimate()
    assert {c.document: (c.chunks, c.pages, c.error and c.error.code) for c in costs} == {
        "a.zip!/one.md": (1, 0, None),
        "a.zip!/two.md": (1, 0, None),
        "a.zip!/bad.pdf": (0, 0, "corrupt"),
        "a.zip!/page.html": (1, 2, None),
    }
    assert (paid.spent, len(paid.apis.requests)) == (0, 0)


@pytest.mark.parametrize("limit", [{"max_members": 3}, {"max_depth": 1}, {"max_expanded_mib": 1}])
def test_limits_over_all_levels_are_settings(
    paid: PaidServicesFixture, folder: DocumentFolder, limit: dict[str, int]
) -> None:
    inner = packed(**LETTERS, **{"big.txt": "x" * (700 << 10)})
    folder.write("a.zip", packed(**{"1.zip": inner, "2.zip": inner}))
    folder.write("b.md", LETTERS["one.md"])
    paid.workers = None
    assert folder.codes(folder.ingest(**limit, **FREE)) == {"a.zip": "members_failed"}
    [name] = limit
    reported = paid.rows(
        "SELECT error_message || error_remedy FROM tvdb.documents"
        " WHERE error_code IN ('over_limit', 'expands_too_far')"
    )
    assert reported
    for (message,) in reported:
        assert f"TVDB_{name.upper()}" in message
        assert str(limit[name]) in message
    assert "b.md" in folder.passages()
    # It is retried only after a limit has changed.
    assert folder.due(**limit, **FREE) == []
    assert folder.due(**FREE) == ["a.zip"]
    assert folder.codes(folder.ingest(**FREE)) == {}
