"""Assets about the pipeline itself: the health of its services, and their cost.

What belongs here: reports for an operator in the UI. What does not: documents
(`document_assets`), checking health (`routing.service_health`), or summing costs
(`reporting.costs`).
"""

import asyncio
from dataclasses import asdict
from typing import Any

import dagster as dg

from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.report_charts import spend_by, spend_by_day


def make_service_health(names: DefinitionNames) -> dg.AssetsDefinition:
    """Create the asset with the health of each service.

    Args:
        names: keys and names of the definitions.
    """

    @dg.asset(
        key_prefix=names.key_prefix or None,
        group_name=names.group("operations"),
        required_resource_keys={names.service_router_key},
        owners=["team:documents"],
        kinds={"python"},
        description="The health of each service, by its last calls: mode, breaker, remaining "
        "budget and rate, last error. This costs nothing.",
    )
    def service_health(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """Report the health of each service of this deployment."""
        service_router = names.service_router(context.resources)
        services = asyncio.run(service_router.health(context.run.run_id))
        rows = [{k: _cell(v) for k, v in asdict(s).items()} for s in services]
        unwell = [s.service for s in services if s.status not in ("ready", "unproven")]
        return dg.MaterializeResult(
            metadata={
                "services": dg.MetadataValue.table([dg.TableRecord(row) for row in rows]),
                "ready": len(services) - len(unwell),
                "unwell": ", ".join(unwell) or "none",
            }
        )

    return service_health


def _cell(value: object) -> Any:
    """A value as Dagster's tables can hold it."""
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return "" if value is None else value


def make_cost_report(names: DefinitionNames) -> dg.AssetsDefinition:
    """Create the asset with the cost of paid services.

    Args:
        names: keys and names of the definitions.
    """

    @dg.asset(
        key_prefix=names.key_prefix or None,
        group_name=names.group("operations"),
        required_resource_keys={names.service_router_key},
        owners=["team:documents"],
        kinds={"python"},
        description="The cost of paid services: against the day's budget, by service and by kind "
        "of document, and the ten most expensive documents. Updated every hour; alerts of the "
        "budget are observations of it.",
    )
    def cost_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """Report the costs in the ledger, with charts."""
        service_router = names.service_router(context.resources)
        with service_router.budget_view() as budget:
            pace, costs = budget.pace, budget.report()
        days = sorted({row.day for row in costs.by_day})
        services = sorted({row.service for row in costs.by_day})
        spent = {(row.day, row.service): float(row.usd) for row in costs.by_day}
        by_day = {name: [spent.get((day, name), 0.0) for day in days] for name in services}
        most_expensive = [
            dg.TableRecord({"document": name, "usd": float(usd), "requests": requests})
            for name, usd, requests in costs.most_expensive
        ]
        kinds = {kind: float(usd) for kind, usd in costs.by_kind}
        saved: dict[str, float] = {}
        for row in costs.saved:
            saved[row.day] = saved.get(row.day, 0.0) + float(row.usd)
        md = dg.MetadataValue.md
        return dg.MaterializeResult(
            metadata={
                "summary": pace.message(),
                "spent_today_usd": float(pace.spent_usd),
                "limit_usd": float(pace.limit_usd),
                "spent_percent": pace.percent,
                "wasted_usd": float(costs.wasted_usd),
                "saved_by_batches_usd": sum(saved.values()),
                "by_day": md(spend_by_day(days, by_day, float(pace.limit_usd))),
                "saved_by_batches": md(
                    spend_by("US dollars saved by batch jobs, by day (UTC)", saved)
                ),
                "by_kind_of_document": md(spend_by("US dollars by kind of document", kinds)),
                "most_expensive_documents": dg.MetadataValue.table(
                    most_expensive,
                    schema=dg.TableSchema(
                        [
                            dg.TableColumn("document", "string"),
                            dg.TableColumn("usd", "float"),
                            dg.TableColumn("requests", "int"),
                        ]
                    ),
                ),
            }
        )

    return cost_report
