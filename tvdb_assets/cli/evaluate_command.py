"""``tvdb evaluate``: how well an index answers known questions.

What belongs here: the table and the JSON form. What does not: the measures
(`retrieval.evaluation`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tvdb_assets import error_codes as codes
from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, notices, print_json, table_of
from tvdb_assets.correlation import current_run_id, new_run_id
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.evaluation_store import EvaluationStore
from tvdb_assets.repositories.index_catalog import IndexCatalog, IndexState
from tvdb_assets.retrieval.evaluation import read_queries
from tvdb_assets.retrieval.index_evaluation import IndexEvaluation, digest_of, evaluate_index
from tvdb_assets.settings import load_settings
from tvdb_assets.spend_guard.budget import usd


@click.command()
@click.argument("queries", type=click.Path(path_type=Path), required=False)
@click.option("--index", "number", type=click.IntRange(min=1), help="Number of another index.")
@json_option
def evaluate(queries: Path | None, number: int | None, as_json: bool) -> None:
    """Measure how well search answers the questions in QUERIES.

    QUERIES is a file with one JSON object a line: a question, and the documents or passages that
    answer it. Without it, TVDB_EVALUATION_QUERIES is used. The rankings by words, by vectors and
    by both are measured: recall, MRR and nDCG with 95 % intervals.
    """
    settings = load_settings()
    file = queries or settings.evaluation_queries
    if file is None:
        raise click.UsageError("Give a file of questions, or set TVDB_EVALUATION_QUERIES.")
    asked = read_queries(file)
    with Database.open(settings) as database:
        state = _index(IndexCatalog(database), number)
        result = evaluate_index(asked, state.index_id, settings, database)
        run_id = current_run_id() or new_run_id()
        EvaluationStore(database).save(result.stored(run_id, digest_of(file)))
    if as_json:
        print_json({"index": state.index_id, "queries": len(asked)} | _as_json(result))
        return
    _show(result)
    notices.print(f"{len(asked):,} questions to index {state.name}.", markup=False)
    if result.cost_usd:
        notices.print(f"The vectors of the questions cost ${usd(result.cost_usd)}.")


def _index(catalog: IndexCatalog, number: int | None) -> IndexState:
    """The index with a number; None is the one that search reads.

    Raises:
        ConfigurationError: there is no such index.
    """
    for state in catalog.states():
        if state.is_current if number is None else state.index_id == number:
            return state
    if number is None:
        raise codes.NO_INDEX.error()
    raise codes.INDEX_UNKNOWN.error(index=number)


def _as_json(result: IndexEvaluation) -> dict[str, Any]:
    return {
        "cost_usd": usd(result.cost_usd),
        "rankings": {
            ranking.value: {
                name: {"mean": m.mean, "low": m.low, "high": m.high}
                for name, m in evaluation.measures.items()
            }
            for ranking, evaluation in result.rankings.items()
        },
    }


def _show(result: IndexEvaluation) -> None:
    names = list(next(iter(result.rankings.values())).measures)
    table = table_of("Ranking", *names)
    for ranking, evaluation in result.rankings.items():
        values = [evaluation.measures[name] for name in names]
        table.add_row(ranking.value, *(f"{m.mean:.3f} ({m.low:.2f}-{m.high:.2f})" for m in values))
    console.print(table)
