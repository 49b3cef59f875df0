"""Replies of parsers that were taken over, in a whole ingestion: they harm one document alone."""

from __future__ import annotations

import io
import zipfile
from hashlib import sha256

import pytest

from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture
from tvdb_assets_tests.parsing import hostile_tasks

_LOCAL = {"service_mode": "local"}
_KINDS = ("title", "large fact", "tokens", "heading path", "service", "degraded")


@pytest.mark.parametrize("kind", _KINDS)
def test_a_forged_reply_stops_its_own_document_alone(
    paid: PaidServicesFixture, folder: DocumentFolder, kind: str
) -> None:
    modules = ("tvdb_assets.parsing.parse_tasks", hostile_tasks.__name__)
    folder.write("evil.md", "# FORGED\n\nThis document has taken over its parser.\n")
    folder.write("good.md", "# Good\n\nThe policy covers flood damage.\n")
    with WorkerPool(
        workers=1, prepare=(hostile_tasks.forge_results, kind), modules=modules
    ) as paid.workers:
        assert folder.codes(folder.ingest(**_LOCAL)) == {"evil.md": "parser_crashed"}
        folder.write("other.md", "# Other\n\nFire is not covered.\n")
        assert folder.codes(folder.ingest(**_LOCAL)) == {"evil.md": "parser_crashed"}
    assert sorted(folder.passages()) == ["good.md", "other.md"]


def test_a_container_that_lists_the_digest_of_another_document_gets_no_text_of_it(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    secret = "# Salaries\n\nThe board is paid in gold.\n"
    folder.write("salaries.md", secret)
    assert folder.codes(folder.ingest(**_LOCAL)) == {}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("guess.md", "# Guess\n\nThe bytes of somebody else.\n")
    folder.write("evil.zip", buffer.getvalue())
    digest = sha256(secret.encode()).hexdigest()
    modules = ("tvdb_assets.parsing.parse_tasks", hostile_tasks.__name__)
    with WorkerPool(
        workers=1, prepare=(hostile_tasks.forge_listing, digest), modules=modules
    ) as paid.workers:
        assert folder.codes(folder.ingest(**_LOCAL)) != {}
    assert sorted(folder.passages()) == ["salaries.md"]
    [(code,)] = paid.rows("SELECT error_code FROM tvdb.documents WHERE path = 'evil.zip!/guess.md'")
    assert code == "parser_crashed"
