"""The measures of search, written out by hand, and evaluations of real indexes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tvdb_assets.cli import main
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.evaluation_store import EvaluationStore
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.retrieval.evaluation import (
    EvaluationQuery,
    Passage,
    difference,
    evaluate,
    read_queries,
)
from tvdb_assets.retrieval.hybrid_search import Ranking
from tvdb_assets.retrieval.index_evaluation import digest_of, evaluate_index, refuse_worse
from tvdb_assets.retrieval.results import Hit
from tvdb_assets.settings import load_settings
from tvdb_assets_tests.paid_router import DocumentFolder

LOCAL = {"service_mode": "local"}


def hit(document: str, text: str = "", page: int | None = None) -> Hit:
    return Hit(*(1.0, document, "/source", None, page, "", 0, len(text), "", text, 1, "space"))


def test_measures_of_documents_are_the_textbook_values() -> None:
    found = [hit("x/a.md"), hit("x/a.md"), hit("b.md"), hit("c.md"), hit("d.md")]
    query = EvaluationQuery("1", "?", {"b.md": 2, "d.md": 1, "missing.md": 1})

    measures = evaluate([query], lambda _: found).measures

    # Different documents: a, b, c, d. Grades: 0, 2, 0, 1.
    dcg = (2**2 - 1) / math.log2(3) + 1 / math.log2(5)
    ideal = (2**2 - 1) / math.log2(2) + 1 / math.log2(3) + 1 / math.log2(4)
    assert measures["recall@1"].mean == 0
    assert measures["recall@3"].mean == pytest.approx(1 / 3)
    assert measures["recall@10"].mean == pytest.approx(2 / 3)
    assert measures["mrr@10"].mean == pytest.approx(1 / 2)
    assert measures["ndcg@10"].mean == pytest.approx(dcg / ideal)


def test_a_passage_counts_once_and_only_on_its_page_or_with_its_words() -> None:
    words = ("the", "wall", "is", "wet", "after", "rain")
    query = EvaluationQuery(
        "1", "?", passages=(Passage("a.pdf", page=3), Passage("b", words=words))
    )
    found = [
        hit("a.pdf", page=2),
        hit("a.pdf", page=3),
        hit("a.pdf", page=3),
        hit("b.md", "The roof is dry."),
        hit("b.md", "We saw: the WALL is wet, after all."),
    ]

    measures = evaluate([query], lambda _: found).measures

    assert measures["mrr@10"].mean == pytest.approx(1 / 2)
    assert measures["recall@3"].mean == pytest.approx(1 / 2)
    assert measures["recall@5"].mean == 1


def test_intervals_contain_the_mean_and_differences_are_paired() -> None:
    queries = [EvaluationQuery(str(n), str(n), {"a.md": 1}) for n in range(40)]
    half = evaluate(queries, lambda q: [hit("a.md" if int(q) % 2 else "b.md")])
    whole = evaluate(queries, lambda _: [hit("a.md")])

    recall = half.measures["recall@1"]
    assert (recall.mean, recall.low < 0.5 < recall.high) == (0.5, True)
    change = difference(half, whole, "recall@1")
    assert change.mean == pytest.approx(0.5)
    assert change.low > 0
    assert difference(whole, whole, "recall@1").high == 0


def test_files_of_other_collections_are_read(tmp_path: Path) -> None:
    file = tmp_path / "queries.jsonl"
    rows: list[Mapping[str, Any]] = [
        {"question": "one", "documents": ["a.md", "b.md"]},
        {"query_id": "q2", "query": "two", "gold_docs": ["c"], "rel": {"c": 2}, "passages": []},
        {"question": "three", "passages": [{"document": "d.pdf", "page": 4}]},
    ]
    file.write_text("\n\n".join(map(json.dumps, rows)), encoding="utf-8")

    queries = read_queries(file)

    assert [query.grades for query in queries] == [{"a.md": 1, "b.md": 1}, {"c": 2}, {}]
    assert queries[1].query_id == "q2"
    assert queries[2].passages == (Passage("d.pdf", 4),)


@pytest.mark.parametrize(
    "line",
    [
        "secret text",
        "[]",
        '"secret text"',
        '{"question": "secret text"}',
        '{"question": "", "documents": ["a"]}',
        '{"question": "secret text", "documents": []}',
        '{"question": "secret text", "passages": [{"document": "a"}]}',
        '{"question": "secret text", "passages": ["a"]}',
        '{"question": "secret text", "rel": {"a": "high"}}',
        '{"question": 1, "documents": ["a"]}',
    ],
)
def test_a_wrong_line_is_reported_with_its_number_and_without_its_text(
    tmp_path: Path, line: str
) -> None:
    file = tmp_path / "queries.jsonl"
    file.write_text('{"question": "ok", "documents": ["a"]}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="Line 2 of") as caught:
        read_queries(file)
    assert caught.value.code == "queries_invalid"
    assert "secret" not in str(caught.value)


def test_a_file_that_is_missing_or_empty_is_reported(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n", encoding="utf-8")
    for file, code in ((tmp_path / "no.jsonl", "queries_unreadable"), (empty, "queries_invalid")):
        with pytest.raises(ConfigurationError) as caught:
            read_queries(file)
        assert caught.value.code == code


TEXTS = {
    "water.md": "# Water\n\nDamage by a burst pipe is covered.\n",
    "fire.md": "# Fire\n\nDamage by lightning and flames is covered.\n",
    "theft.md": "# Theft\n\nStolen bicycles are replaced after a police report.\n",
}
QUESTIONS = {"burst pipe": "water.md", "flames": "fire.md", "bicycles": "theft.md"}


@pytest.fixture
def filled(folder: DocumentFolder) -> DocumentFolder:
    for name, text in TEXTS.items():
        folder.write(name, text)
    assert folder.codes(folder.ingest(**LOCAL)) == {}
    return folder


def write_queries(path: Path, questions: Mapping[str, str | Sequence[str]]) -> Path:
    file = path / "queries.jsonl"
    rows = [{"question": q, "documents": [d]} for q, d in questions.items()]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def test_the_command_measures_all_rankings_and_stores_them(
    filled: DocumentFolder,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write_queries(tmp_path_factory.mktemp("queries"), QUESTIONS)
    monkeypatch.setenv("TVDB_DATABASE_URL", filled.paid.database.url)
    monkeypatch.setattr(sys, "argv", ["tvdb", "evaluate", str(file), "--json"])

    with pytest.raises(SystemExit) as caught:
        main()

    assert caught.value.code == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["rankings"]) == {"words", "vectors", "both"}
    for ranking in ("words", "both"):
        assert result["rankings"][ranking]["ndcg@10"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    history = EvaluationStore(filled.paid.database).history("ndcg@10", digest_of(file), 10)
    assert {row.ranking for row in history} == {"words", "vectors", "both"}
    assert {row.queries for row in history} == {3}


def test_words_and_vectors_alone_rank_by_their_own_scores(filled: DocumentFolder) -> None:
    settings, database = load_settings(**LOCAL), filled.paid.database
    current = IndexCatalog(database).required()
    queries = [EvaluationQuery("1", "burst pipe", {"water.md": 1})]

    result = evaluate_index(queries, current.index_id, settings, database)

    assert result.measure(ranking=Ranking.WORDS).mean == 1
    assert result.measure(ranking=Ranking.VECTORS).mean == 1
    assert result.cost_usd == 0


def test_a_switch_to_an_index_that_finds_less_is_refused(
    filled: DocumentFolder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    filled.ingest(**LOCAL, chunk_tokens=16)
    settings, database = load_settings(**LOCAL), filled.paid.database
    states = IndexCatalog(database).states()
    before = next(state for state in states if state.is_current)
    after = next(state for state in states if not state.is_current)
    path = tmp_path_factory.mktemp("queries")
    same = refuse_worse(write_queries(path, QUESTIONS), before, after, settings, database)
    assert same.mean == 0

    with database.transaction() as tx:
        tx.execute(
            "DELETE FROM tvdb.publications USING tvdb.documents d WHERE d.path <> 'water.md'"
            " AND d.document_id = publications.document_id AND index_id = %s",
            (after.index_id,),
        )

    with pytest.raises(ConfigurationError) as caught:
        refuse_worse(write_queries(path, QUESTIONS), before, after, settings, database)
    assert caught.value.code == "index_worse"
