"""The cost forecast before an ingestion, compared with the ingestion."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.ingestion.cost_estimator import CostEstimator
from tvdb_assets.ingestion.cost_forecast import SAMPLE, CostForecast, forecast_cost
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.sources.source import Source
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

PAGE = Decimal("0.00375")
"""Three credits at $1.25 for 1,000."""


def note(number: int) -> str:
    # Any three digits are one token.
    return f"# Rule {number + 100}\n\nThe claims of series {number + 100} are paid in thirty days."


def estimating(paid: PaidServicesFixture, router: ServiceRouter) -> CostEstimator:
    return CostEstimator(
        store=DocumentStore(paid.database, "outlook"),
        index=IndexStore(paid.database, "outlook"),
        router=router,
        chunker=Chunker(64, 0),
        max_document_bytes=1 << 20,
    )


def expected(folder: DocumentFolder, router: ServiceRouter) -> CostForecast | None:
    """The forecast for all documents that an ingest would process."""
    paid, plan = folder.paid, folder.plan()
    folder.registry.register(plan.source.root, plan.new, "by hand")
    known = folder.registry.known(plan.source.root)
    keys = [document.partition_key for document in known.values()]
    pipeline_fingerprint = router.clients.pipeline_fingerprint(Chunker(64, 0))
    return forecast_cost(router, estimating(paid, router), keys, pipeline_fingerprint, Source.open)


@pytest.mark.parametrize("count", [SAMPLE - 2, 3 * SAMPLE])
def test_the_documents_that_fit_are_announced_and_then_ingested(
    paid: PaidServicesFixture, folder: DocumentFolder, count: int
) -> None:
    for number in range(count):
        folder.write(f"{number:03}.md", note(number))
    router = paid.router()
    assert expected(folder, router) is None
    names = [f"{number:03}.md" for number in range(3)]
    [each] = {
        cost.cost_usd for cost in estimating(paid, router).run(Source.open(str(folder.path)), names)
    }
    limit = each * (count // 3)
    reported = expected(folder, paid.router(daily_cost_limit=limit))
    assert reported is not None
    assert (reported.documents, reported.fitting) == (count, count // 3)
    assert reported.left_usd == limit
    assert reported.cost_usd == pytest.approx(each * count)

    results = folder.ingest(daily_cost_limit=limit)

    assert sum(result.error is None for result in results.values()) == reported.fitting
    # Waiting documents have been chunked, so their tokens are counted exactly.
    after = expected(folder, paid.router(daily_cost_limit=limit * 2))
    assert after is not None
    assert (after.documents, after.fitting) == (count, 2 * (count // 3))
    assert after.cost_usd == each * (count - count // 3)


def test_pages_count_against_the_parsers_own_limit(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    for number in range(5):
        folder.write(f"{number}.html", f"<!doctype html><h1>Page {number}</h1><p>It is paid.</p>")
    folder.write("free.md", note(1))
    router = paid.router()
    source = Source.open(str(folder.path))
    [page, *_] = estimating(paid, router).run(source, ["0.html"])
    assert page.parse_usd == page.pages * PAGE
    reported = expected(folder, paid.router(llamaparse_daily_cost_limit=page.parse_usd * 2))
    assert reported is not None
    assert (reported.documents, reported.fitting) == (6, 3)
    assert expected(folder, paid.router()) is None


def test_a_free_ingestion_has_no_forecast(
    paid: PaidServicesFixture, folder: DocumentFolder
) -> None:
    folder.write("a.md", note(1))
    router = paid.router(service_mode="mock", daily_cost_limit=0)
    assert expected(folder, router) is None
    paused = expected(folder, paid.router(daily_cost_limit=0))
    assert paused is not None
    assert paused.fitting == 0
    assert "0 of 1 documents fit" in paused.message()
