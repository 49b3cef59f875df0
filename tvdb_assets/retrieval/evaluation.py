"""How well search finds what answers known questions: recall, MRR and nDCG with intervals.

What belongs here: the file of questions, and the measures. What does not: searching
(`retrieval.index`), or when an evaluation runs and who is notified (`cli`, `dagster`).

The file has one JSON object a line. ``question`` is required, and one of:

- ``documents``: paths of the documents that answer it, or an object of paths with grades (1, 2 …).
  Then documents are ranked: each counts once, where its best passage is.
- ``passages``: objects with ``document`` and ``page`` or ``text``. Then passages are ranked. A
  passage counts if it is on that page, or has at least half of the three-word sequences of that
  text.

A document is named by its path, by the end of its path, or by its file name without suffix. ``id``
names a question in reports. The names of other collections are accepted too: ``query``,
``query_id``, ``gold_docs`` and ``rel``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tvdb_assets import error_codes as codes
from tvdb_assets.retrieval.results import Hit

MAX_QUERIES: Final = 100_000
HITS: Final = 50
"""Passages that are fetched for a question, so that there are 10 different documents."""
RECALL_AT: Final = (1, 3, 5, 10)
_DEPTH: Final = 10
"""The rank up to which MRR and nDCG look, as in most published results."""
_RESAMPLES: Final = 1_000
_SEED: Final = 20_261_127
"""Fixed, so that the same results have the same intervals."""
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}$")
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff])")


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage that answers a question."""

    document: str
    page: int | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EvaluationQuery:
    """A question, and what answers it."""

    query_id: str
    question: str
    grades: Mapping[str, int] = field(default_factory=dict, hash=False)
    """Documents with their grades; empty if ``passages`` are given."""
    passages: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean over all questions, with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measures of one ranking."""

    queries: int
    measures: Mapping[str, Measure] = field(hash=False)
    """By name: ``recall@1`` … ``recall@10``, ``mrr@10``, ``ndcg@10``."""
    by_query: Mapping[str, Sequence[float]] = field(hash=False)
    """The values of each measure, in the order of the questions."""


def read_queries(path: Path) -> list[EvaluationQuery]:
    """Read a file of questions.

    Raises:
        ConfigurationError: the file can't be read, or a line is not a question.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise codes.QUERIES_UNREADABLE.error(file=path.name, why=type(error).__name__) from None
    queries = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                queries.append(_query(json.loads(line), number))
            except (ValueError, TypeError, AttributeError, KeyError) as error:
                # The cause could quote the line.
                why = (
                    str(error) if isinstance(error, _BadQueryError) else "it is not such an object"
                )
                raise codes.QUERIES_INVALID.error(file=path.name, line=number, why=why) from None
    if not queries or len(queries) > MAX_QUERIES:
        why = f"it has {len(queries):,} questions, and must have 1 to {MAX_QUERIES:,}"
        raise codes.QUERIES_INVALID.error(file=path.name, line=1, why=why)
    return queries


class _BadQueryError(ValueError):
    """A sentence about a line that has no text of the line."""


def _query(value: Mapping[str, Any], number: int) -> EvaluationQuery:
    question = value.get("question", value.get("query"))
    if not isinstance(question, str) or not question.strip():
        raise _BadQueryError("it has no question")
    query_id = str(value.get("id", value.get("query_id", number)))
    passages = tuple(_passages(value.get("passages") or ()))
    if passages:
        return EvaluationQuery(query_id, question, {}, passages)
    documents = value.get("rel") or value.get("documents", value.get("gold_docs"))
    if isinstance(documents, Mapping):
        grades = {str(name): int(grade) for name, grade in documents.items() if int(grade) > 0}
    else:
        grades = {str(name): 1 for name in documents or ()}
    if not grades:
        raise _BadQueryError("it names no document and no passage")
    return EvaluationQuery(query_id, question, grades)


def _passages(values: Sequence[Any]) -> Iterator[Passage]:
    for value in values:
        document = value.get("document", value.get("doc"))
        page, text = value.get("page"), value.get("text")
        if not isinstance(document, str):
            raise _BadQueryError("a passage names no document")
        if isinstance(text, str) and text.strip():
            yield Passage(document, None, tuple(_words(text)))
        elif isinstance(page, int):
            yield Passage(document, page)
        else:
            raise _BadQueryError("a passage has neither a page nor a text")


def evaluate(
    queries: Sequence[EvaluationQuery], search: Callable[[str], Sequence[Hit]]
) -> Evaluation:
    """Measure a ranking.

    Args:
        queries: the questions.
        search: returns the first `HITS` results of a question, the best one first.
    """
    values: dict[str, list[float]] = {}
    for query in queries:
        gains, ideal = _gains(query, search(query.question))
        for name, value in _measures(gains, ideal).items():
            values.setdefault(name, []).append(value)
    measures = {name: _with_interval(np.array(each)) for name, each in values.items()}
    return Evaluation(len(queries), measures, values)


def difference(before: Evaluation, after: Evaluation, name: str) -> Measure:
    """By how much a measure of the same questions rose, with the interval of the paired values."""
    paired = np.array(after.by_query[name]) - np.array(before.by_query[name])
    return _with_interval(paired)


def _gains(query: EvaluationQuery, hits: Sequence[Hit]) -> tuple[list[int], list[int]]:
    """The grade at each rank, and all grades that there are to find."""
    if query.passages:
        left = list(query.passages)
        gains = []
        for hit in hits[:_DEPTH]:
            found = next((each for each in left if _holds(hit, each)), None)
            if found is not None:
                left.remove(found)
            gains.append(int(found is not None))
        return gains, [1] * len(query.passages)
    documents = dict.fromkeys(hit.document for hit in hits)
    names = dict(query.grades)
    gains = []
    for document in list(documents)[:_DEPTH]:
        name = next((each for each in names if _is_document(document, each)), None)
        gains.append(names.pop(name) if name is not None else 0)
    return gains, list(query.grades.values())


def _is_document(path: str, name: str) -> bool:
    if path == name or path.endswith("/" + name):
        return True
    return _SUFFIX.sub("", path.rpartition("/")[2]) == name


def _holds(hit: Hit, passage: Passage) -> bool:
    if not _is_document(hit.document, passage.document):
        return False
    if passage.page is not None:
        return hit.page == passage.page
    sought = _sequences(passage.words)
    found = _sequences(_words(hit.repeated_header + hit.text))
    common = sum((sought & found).values())
    return common * 2 >= sum(sought.values())


def _sequences(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    length = min(3, max(1, len(words)))
    return Counter(tuple(words[at : at + length]) for at in range(len(words) - length + 1))


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"\w+", _UNSPACED.sub(r" \1 ", folded))


def _measures(gains: Sequence[int], ideal: Sequence[int]) -> dict[str, float]:
    first = next((rank for rank, gain in enumerate(gains[:_DEPTH], 1) if gain), None)
    best = sorted(ideal, reverse=True)
    return {
        **{f"recall@{k}": sum(g > 0 for g in gains[:k]) / len(ideal) for k in RECALL_AT},
        f"mrr@{_DEPTH}": 1 / first if first else 0.0,
        f"ndcg@{_DEPTH}": _dcg(gains) / _dcg(best),
    }


def _dcg(gains: Sequence[int]) -> float:
    """Discounted cumulative gain with the gain 2^grade - 1 (Burges et al., ICML 2005)."""
    grades = np.array(gains[:_DEPTH], dtype=float)
    return float(np.sum((2**grades - 1) / np.log2(np.arange(2, len(grades) + 2))))


def _with_interval(values: NDArray[np.float64]) -> Measure:
    """The mean and the 2.5th and 97.5th percentile of the means of resampled questions."""
    random = np.random.default_rng(_SEED)
    count = len(values)
    means = np.array([values[random.integers(0, count, count)].mean() for _ in range(_RESAMPLES)])
    low, high = np.percentile(means, [2.5, 97.5])
    return Measure(float(values.mean()), float(low), float(high))
