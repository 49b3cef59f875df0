"""The asset `retrieval_evaluation`: how well search answers known questions, night after night.

What belongs here: its metadata, its check, its schedule. What does not: the measures
(`retrieval.evaluation`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from tvdb_assets.correlation import run_scope
from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.report_charts import quality_over_time
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.evaluation_store import EvaluationStore, StoredMeasure
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets.retrieval.evaluation import read_queries
from tvdb_assets.retrieval.hybrid_search import Ranking
from tvdb_assets.retrieval.index_evaluation import (
    DECIDING,
    IndexEvaluation,
    digest_of,
    evaluate_index,
)
from tvdb_assets.settings import Settings

CHECK = "ndcg_above_floor"
_POINTS = 600
"""Values in a plot: three rankings on 200 nights."""


def make_retrieval_evaluation(names: DefinitionNames) -> dg.AssetsDefinition:
    """Create the asset.

    Args:
        names: keys and names of the definitions.
    """

    @dg.asset(
        key_prefix=names.key_prefix or None,
        group_name=names.group("operations"),
        required_resource_keys={names.service_router_key},
        owners=["team:documents"],
        kinds={"python"},
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=names.asset("retrieval_evaluation"),
                description="nDCG@10 of search is at least TVDB_EVALUATION_FLOOR.",
            )
        ],
        description="How well search answers the questions in TVDB_EVALUATION_QUERIES: recall, "
        "MRR and nDCG of the rankings by words, by vectors and by both, with 95 % intervals, and "
        "nDCG@10 over time.",
    )
    def retrieval_evaluation(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Evaluate the index that search reads."""
        service_router = names.service_router(context.resources)
        settings = service_router.settings()
        file = settings.evaluation_queries
        if file is None:
            summary = "TVDB_EVALUATION_QUERIES names no file of questions, so nothing was measured."
            yield dg.MaterializeResult(
                metadata={"summary": summary},
                check_results=[dg.AssetCheckResult(passed=True, check_name=CHECK)],
            )
            return
        with run_scope(context.run.run_id), Database.open(settings) as database:
            result, history = _evaluated(file, settings, database, context.run.run_id)
        value = result.measure()
        yield dg.MaterializeResult(
            metadata=_metadata(result, history),
            check_results=[
                dg.AssetCheckResult(
                    passed=value.mean >= settings.evaluation_floor,
                    check_name=CHECK,
                    metadata={"ndcg_10": value.mean, "floor": settings.evaluation_floor},
                )
            ],
        )

    return retrieval_evaluation


def _evaluated(
    file: Path, settings: Settings, database: Database, run_id: str
) -> tuple[IndexEvaluation, list[StoredMeasure]]:
    queries = read_queries(file)
    current = IndexCatalog(database).required()
    result = evaluate_index(queries, current.index_id, settings, database)
    store, digest = EvaluationStore(database), digest_of(file)
    store.save(result.stored(run_id, digest))
    return result, store.history(DECIDING, digest, _POINTS)


def _metadata(result: IndexEvaluation, history: Sequence[StoredMeasure]) -> dict[str, Any]:
    both = result.measure()
    rows = [
        dg.TableRecord(
            {"ranking": ranking.value, "measure": name, "mean": m.mean, "low": m.low,
             "high": m.high}
        )
        for ranking, evaluation in result.rankings.items()
        for name, m in evaluation.measures.items()
    ]  # fmt: skip
    days = sorted({row.evaluated_at for row in history})
    values = {(row.evaluated_at, row.ranking): row.mean for row in history}
    lines = {
        ranking.value: [values.get((day, ranking.value)) for day in days] for ranking in Ranking
    }
    labels = [f"{day:%m-%d}" for day in days]
    queries = result.rankings[Ranking.BOTH].queries
    return {
        "summary": f"{DECIDING} is {both.mean:.3f} ({both.low:.3f} to {both.high:.3f}).",
        "queries": queries,
        "index": result.index_id,
        "ndcg_10": both.mean,
        "cost_usd": float(result.cost_usd),
        "measures": dg.MetadataValue.table(rows),
        "over_time": dg.MetadataValue.md(quality_over_time(f"{DECIDING} over time", labels, lines)),
    }


def make_nightly_evaluation(cron: str, names: DefinitionNames) -> dg.ScheduleDefinition:
    """Create the schedule of the asset.

    Args:
        cron: the cron expression, in UTC.
        names: keys and names of the definitions.
    """
    return dg.ScheduleDefinition(
        name=names.name("nightly_evaluation"),
        target=dg.AssetSelection.assets(names.asset("retrieval_evaluation")),
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Measures how well search answers known questions.",
    )
