"""Two indexes: search reads one, which stays up to date while another is built for a switch.

What belongs here: ingestions with other settings than those of the current index, and their effect
on search. What does not: a reader that searches during the switch
(`integration/test_index_switch`).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.ingestion.cost_estimator import CostEstimator
from tvdb_assets.repositories.document_store import DocumentStore
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.repositories.index_store import IndexStore
from tvdb_assets_tests.paid_apis import expected_vectors
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

NOTES = {
    f"note-{number}.md": "\n\n".join(
        f"## Part {part}\n\nThe boiler of house {number} is serviced in autumn {part}, by the "
        "same company as in the year before, and its report is kept with the others."
        for part in range(4)
    )
    for number in range(3)
}
NEW_SIZE = {"chunk_tokens": 32}
SMALL, LARGE = "text-embedding-3-small", "text-embedding-3-large"
NEW_MODEL = {"embedding_model": LARGE}
LOCAL = {"service_mode": "local"}


@pytest.fixture
def indexes(paid: PaidServicesFixture) -> IndexCatalog:
    return IndexCatalog(paid.database)


@pytest.fixture
def filled(folder: DocumentFolder) -> DocumentFolder:
    """Three documents in chunks of 64 tokens, with vectors of the small model."""
    for name, text in NOTES.items():
        folder.write(name, text)
    assert folder.codes(folder.ingest()) == {}
    return folder


def longest(paid: PaidServicesFixture) -> int:
    """Tokens of the longest searchable chunk."""
    return int(paid.rows("SELECT max(token_count) FROM tvdb.search_index")[0][0])


def check_vectors(paid: PaidServicesFixture, model: str) -> None:
    """Check that each searchable text has the vector of the service."""
    rows = paid.rows("SELECT text, embedding FROM tvdb.search_index")
    wanted = expected_vectors([text for text, _ in rows], model)
    assert rows
    for (_, vector), expected in zip(rows, wanted, strict=True):
        assert vector.to_numpy() == pytest.approx(expected, abs=1e-6)


def test_a_new_chunk_size_is_built_next_to_the_old_and_switched_both_ways(
    paid: PaidServicesFixture, filled: DocumentFolder, indexes: IndexCatalog
) -> None:
    before = filled.passages()
    assert longest(paid) > 32

    assert filled.codes(filled.ingest(**NEW_SIZE)) == {}

    assert filled.passages() == before
    current, built = indexes.states()
    assert (current.is_current, built.is_current, built.is_complete) == (True, False, True)
    assert (built.documents, built.missing, built.chunk_tokens) == (len(NOTES), 0, 32)
    assert current.cost_usd == built.cost_usd == paid.spent > 0
    assert filled.due(**NEW_SIZE) == []

    assert indexes.switch().index_id == built.index_id

    after = filled.passages()
    assert longest(paid) <= 32
    assert after.keys() == before.keys()
    assert after != before
    check_vectors(paid, SMALL)

    assert indexes.switch(current.index_id).is_current
    assert filled.passages() == before


def test_changes_are_searchable_at_once_while_a_new_model_is_built(
    paid: PaidServicesFixture, filled: DocumentFolder, indexes: IndexCatalog
) -> None:
    filled.write("note-0.md", NOTES["note-0.md"].replace("boiler", "heat pump"))
    filled.write("note-9.md", NOTES["note-2.md"].replace("house 2", "house 9"))

    results = filled.ingest(["note-0.md", "note-9.md"], **NEW_MODEL)

    assert filled.codes(results) == {}
    assert {r.metadata["dimensions"] for r in results.values()} == {3_072}
    shown = filled.passages()
    assert sorted(shown) == [*sorted(NOTES), "note-9.md"]
    assert "heat pump" in shown["note-0.md"][0]
    check_vectors(paid, SMALL)
    with pytest.raises(ConfigurationError, match=r"lacks 2 .*: note-1\.md, note-2\.md\.") as caught:
        indexes.switch()
    assert caught.value.code == "index_incomplete"
    assert filled.passages() == shown

    assert filled.codes(filled.ingest(**NEW_MODEL)) == {}
    indexes.switch()

    assert filled.passages() == shown
    check_vectors(paid, LARGE)
    # Each text was paid once for each model.
    paid_for = [(c.model, digest) for c in paid.apis.charges for digest in c.sha256]
    assert len(set(paid_for)) == len(paid_for)


def test_an_index_that_shows_an_older_version_is_not_complete(
    filled: DocumentFolder, indexes: IndexCatalog
) -> None:
    filled.ingest(**NEW_SIZE)
    first = indexes.states()[0]
    indexes.switch()
    filled.write("note-0.md", NOTES["note-0.md"].replace("boiler", "heat pump"))
    filled.ingest(**NEW_SIZE)

    with pytest.raises(ConfigurationError, match=r"lacks 1 .*: note-0\.md\."):
        indexes.switch(first.index_id)

    assert filled.codes(filled.ingest()) == {}
    indexes.switch(first.index_id)
    assert "heat pump" in filled.passages()["note-0.md"][0]


def test_a_forced_switch_ignores_missing_documents(
    filled: DocumentFolder, indexes: IndexCatalog
) -> None:
    filled.ingest(["note-0.md"], **NEW_SIZE)

    assert indexes.switch(force=True).documents == 1

    assert filled.passages().keys() == {"note-0.md"}


@pytest.mark.parametrize("free", [LOCAL, {"embedder_mode": "mock"}], ids=["local", "mock"])
def test_a_free_run_pays_nothing_for_the_index_that_search_reads(
    paid: PaidServicesFixture,
    filled: DocumentFolder,
    indexes: IndexCatalog,
    free: dict[str, object],
) -> None:
    before, spent = filled.passages(), paid.spent
    filled.write("note-0.md", NOTES["note-0.md"].replace("boiler", "heat pump"))

    assert filled.codes(filled.ingest(**free)) == {}

    assert filled.passages() == before
    assert paid.spent == spent
    # Documents of a mock do not wait for a switch.
    assert indexes.count_stale_documents() == (1 if free is LOCAL else 0)


def test_a_paid_run_keeps_a_free_index_fresh(
    paid: PaidServicesFixture, folder: DocumentFolder, indexes: IndexCatalog
) -> None:
    folder.write("note-0.md", NOTES["note-0.md"])
    folder.ingest(**LOCAL)
    folder.write("note-0.md", NOTES["note-0.md"].replace("boiler", "heat pump"))

    assert folder.codes(folder.ingest()) == {}

    assert "heat pump" in folder.passages()["note-0.md"][0]
    assert paid.rows("SELECT DISTINCT service FROM tvdb.search_index") == [("wordllama",)]
    indexes.switch()
    assert paid.rows("SELECT DISTINCT service FROM tvdb.search_index") == [("openai",)]


def test_a_document_whose_new_version_is_not_searchable_is_deferred(
    paid: PaidServicesFixture, filled: DocumentFolder, indexes: IndexCatalog
) -> None:
    """The budget is exhausted for the current model, and the new index has all vectors."""
    changed = NOTES["note-0.md"].replace("boiler", "heat pump")
    filled.write("note-9.md", changed)
    filled.ingest(["note-9.md"], **NEW_MODEL)
    paid.rows("DELETE FROM tvdb.embeddings e USING tvdb.vector_spaces s"
        " WHERE s.space_id = e.space_id AND s.dimensions = 1536 RETURNING 1")  # fmt: skip
    filled.write("note-0.md", changed)

    results = filled.ingest(["note-0.md"], **NEW_MODEL, daily_cost_limit=Decimal(0))

    assert filled.codes(results) == {"note-0.md": "budget_exhausted"}
    error = results["note-0.md"].error
    assert error is not None
    assert error.message.startswith("In the index that search reads: ")
    assert paid.rows("SELECT status FROM tvdb.documents WHERE path = 'note-0.md'") == [
        ("deferred",)
    ]
    assert "note-0.md" in filled.due(**NEW_MODEL)

    assert filled.codes(filled.ingest(**NEW_MODEL)) == {}
    assert "heat pump" in filled.passages()["note-0.md"][0]


def test_an_outage_of_both_models_degrades_the_new_index_alone(
    paid: PaidServicesFixture, filled: DocumentFolder, indexes: IndexCatalog
) -> None:
    before = filled.passages()
    filled.write("note-0.md", NOTES["note-0.md"].replace("boiler", "heat pump"))
    paid.apis.faults.script("unavailable", times=None)

    assert filled.codes(filled.ingest(["note-0.md"], **NEW_MODEL, service_mode="hybrid")) == {}

    assert filled.passages() == before
    assert filled.degraded_rows().keys() == {"documents", "embeddings"}
    paid.apis.faults.clear()
    paid.clock.forward(400)
    assert filled.codes(filled.ingest(**NEW_MODEL, service_mode="hybrid")) == {}
    assert filled.degraded_rows() == {}
    assert "heat pump" in filled.passages()["note-0.md"][0]
    assert [state.is_complete for state in indexes.states() if state.is_searchable] == [True, True]


@pytest.mark.parametrize("new", [NEW_SIZE, NEW_MODEL], ids=["size", "model"])
def test_dropping_an_index_deletes_the_rows_of_that_index_alone(
    paid: PaidServicesFixture, filled: DocumentFolder, indexes: IndexCatalog, new: dict[str, object]
) -> None:
    def everything() -> list[tuple[object, ...]]:
        tables = ("chunk_sets", "chunks", "publications", "embeddings", "former_texts")
        return [row for t in (*tables, "vector_spaces", "indexes", "parsed_documents")
                for row in paid.rows(f"SELECT t::text FROM tvdb.{t} t ORDER BY 1")]  # fmt: skip

    before, shown = everything(), filled.passages()
    filled.ingest(**new)
    built = indexes.states()[1]
    with pytest.raises(ConfigurationError, match="Search reads index"):
        indexes.drop(indexes.states()[0].index_id)

    indexes.drop(built.index_id)

    assert everything() == before
    assert filled.passages() == shown
    # An ingest with its settings builds it again.
    assert filled.due(**new) == sorted(NOTES)
    assert filled.codes(filled.ingest(**new)) == {}
    assert indexes.switch().documents == len(NOTES)


def test_the_old_index_can_be_dropped_after_the_switch(
    paid: PaidServicesFixture, filled: DocumentFolder, indexes: IndexCatalog
) -> None:
    filled.ingest(**NEW_MODEL)
    old = indexes.states()[0]
    indexes.switch()
    shown = filled.passages()

    indexes.drop(old.index_id)

    assert filled.passages() == shown
    check_vectors(paid, LARGE)
    assert [state.vector_space for state in indexes.states()] == [
        "openai/text-embedding-3-large@3072#v1"
    ]
    assert paid.rows("SELECT count(*) FROM tvdb.embeddings WHERE space_id NOT IN"
        " (SELECT space_id FROM tvdb.indexes)") == [(0,)]  # fmt: skip
    assert filled.due(**NEW_MODEL) == []


def test_a_run_switches_automatically_once_nothing_is_missing(
    paid: PaidServicesFixture, filled: DocumentFolder, indexes: IndexCatalog
) -> None:
    filled.ingest(["note-0.md"], **NEW_SIZE, switch="auto")
    assert longest(paid) > 32

    filled.ingest(**NEW_SIZE, switch="auto")

    assert longest(paid) <= 32
    assert filled.passages().keys() == NOTES.keys()


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda indexes: indexes.switch(99), "index_unknown"),
        (lambda indexes: indexes.drop(99), "index_unknown"),
        (lambda indexes: indexes.switch(indexes.states()[-1].index_id), "index_not_searchable"),
        (lambda indexes: indexes.switch(), "no_index"),
    ],
)
def test_an_index_that_cannot_be_used_is_an_error_with_a_remedy(
    folder: DocumentFolder, indexes: IndexCatalog, ask: Callable[[IndexCatalog], object], code: str
) -> None:
    folder.write("note-0.md", NOTES["note-0.md"])
    folder.ingest(service_mode="mock")

    with pytest.raises(ConfigurationError) as caught:
        ask(indexes)

    assert caught.value.code == code
    assert caught.value.remedy
    assert folder.passages() == {}


def test_an_estimate_includes_the_cost_of_both_indexes(
    paid: PaidServicesFixture, filled: DocumentFolder
) -> None:
    filled.write("note-0.md", NOTES["note-0.md"].replace("boiler", "heat pump"))
    plan, spent = filled.plan(**NEW_MODEL), paid.spent
    router = paid.router(**NEW_MODEL)
    estimating = CostEstimator(
        store=DocumentStore(paid.database, "estimate"),
        index=IndexStore(paid.database, "estimate"),
        router=router,
        chunker=Chunker(64, 0),
        max_document_bytes=1 << 20,
    )
    reported = list(estimating.run(plan.source, [known.path for known in plan.stale]))

    assert filled.codes(filled.ingest(**NEW_MODEL)) == {}

    assert sum(cost.cost_usd for cost in reported) == pytest.approx(paid.spent - spent)
    assert paid.apis.dollars == paid.spent
    assert {charge.model for charge in paid.apis.charges[1:]} == {SMALL, LARGE}
