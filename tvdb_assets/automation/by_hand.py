"""Jobs that a person starts in the UI: what failed again, and all that is due.

What belongs here: the same as `tvdb retry` and `tvdb catch-up`, without a shell. What does not:
the runs. They are asked for by the sensor `document_intake` at its next tick, so that one place
plans them and each run is Dagster's own.
"""

import dagster as dg
from pydantic import Field

from tvdb_assets.assets.resources import ServiceRouterResource
from tvdb_assets.automation.upkeep import Upkeep, counted
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.storage.due import Reason
from tvdb_assets.telemetry import DOCUMENTS_ASKED, tell


class RetryConfig(dg.Config):
    """Which documents to try again."""

    documents: list[str] = Field(
        default_factory=list, description="Paths or partition keys; empty for all that failed."
    )


@dg.op(name="ask_for_documents", description="Asks for the documents again.")
def _ask(
    context: dg.OpExecutionContext, config: RetryConfig, service_router: ServiceRouterResource
) -> None:
    with Upkeep.open(service_router.settings(), context.instance) as upkeep:
        wanted = [known for name in config.documents for known in upkeep.registry.find(name)]
        if config.documents and not wanted:
            raise ConfigurationError(
                "document_unknown",
                "There is none of the documents that were asked for.",
                remedy="Use their paths as the partitions' page shows them.",
            )
        asked = upkeep.due.want([d.document_id for d in wanted] if config.documents else None)
    _tell(context, f"{asked:,} documents are asked for.", asked)


@dg.op(name="ask_for_all_that_is_due", description="Asks for every document that is due.")
def _ask_for_due(context: dg.OpExecutionContext, service_router: ServiceRouterResource) -> None:
    with (
        Upkeep.open(service_router.settings(), context.instance) as upkeep,
        upkeep.due.planning(),
    ):
        due = upkeep.plan(frozenset(Reason))
        upkeep.due.want([document.document_id for document in due])
    told = ", ".join(f"{count:,} {reason}" for reason, count in counted(due).items())
    said = f"{len(due):,} documents are due: {told}." if due else "No document is due."
    _tell(context, said, len(due))


def _tell(context: dg.OpExecutionContext, said: str, documents: int) -> None:
    said += " The sensor document_intake asks for their runs at its next tick."
    fields = {"documents": documents}
    tell(DOCUMENTS_ASKED, said, fields, run_id=context.run.run_id, log=context.log)


@dg.job(name="retry_documents", description="Tries documents again that failed, or all of them.")
def retry_documents() -> None:
    """As `tvdb retry`."""
    _ask()


@dg.job(name="catch_up", description="Asks for all that is due now, as nightly_catch_up does.")
def catch_up() -> None:
    """As `tvdb catch-up`."""
    _ask_for_due()
