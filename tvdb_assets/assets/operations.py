"""Assets about the pipeline itself: how its services are.

What belongs here: what an operator looks at in the UI. What does not: documents
(`documents`), or how health is known (`services.health`).
"""

import asyncio
from dataclasses import asdict

import dagster as dg

from tvdb_assets.assets.resources import ServiceRouterResource


@dg.asset(
    group_name="operations",
    owners=["team:documents"],
    kinds={"python"},
    description="How each service is, from what its last calls said: mode, breaker, budget and "
    "rate left, last error. Looking costs nothing.",
)
def service_health(
    context: dg.AssetExecutionContext, service_router: ServiceRouterResource
) -> dg.MaterializeResult[None]:
    """Report each service of this deployment."""
    services = asyncio.run(service_router.health(context.run_id))
    rows = [{k: "" if v is None else v for k, v in asdict(s).items()} for s in services]
    unwell = [s.service for s in services if s.status not in ("ready", "unproven")]
    return dg.MaterializeResult(
        metadata={
            "services": dg.MetadataValue.table([dg.TableRecord(row) for row in rows]),
            "ready": len(services) - len(unwell),
            "unwell": ", ".join(unwell) or "none",
        }
    )
