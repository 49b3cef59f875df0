"""Replies of parsers that were taken over, in a whole ingestion: they harm one document alone."""

from __future__ import annotations

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
