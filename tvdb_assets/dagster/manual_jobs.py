"""Jobs that a person starts in the UI: what failed again, and all that is due.

What belongs here: the same as `tvdb retry` and `tvdb catch-up`, without a shell. What does not:
the runs. They are asked for by the sensor `document_intake` at its next tick, so that one place
plans them and each run is Dagster's own.
"""

import dagster as dg
from pydantic import Field

from tvdb_assets import error_codes as codes
from tvdb_assets.dagster.reconciler import Reconciler, counted
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.lifecycle import Reason
from tvdb_assets.redaction import display_path
from tvdb_assets.telemetry import DOCUMENTS_REQUESTED, log_event


class RetryConfig(dg.Config):
    """Which documents to try again."""

    documents: list[str] = Field(
        default_factory=list, description="Paths or partition keys; empty for all that failed."
    )


@dg.op(name="ask_for_documents", description="Asks for the documents again.")
def _ask(
    context: dg.OpExecutionContext, config: RetryConfig, service_router: ServiceRouterResource
) -> None:
    with Reconciler.open(service_router.settings(), context.instance) as reconciler:
        found = {name: reconciler.registry.find(name) for name in config.documents}
        if unknown := [display_path(name) for name, known in found.items() if not known]:
            raise codes.DOCUMENTS_UNKNOWN.error(names=", ".join(unknown))
        wanted = [document for known in found.values() for document in known]
        asked = reconciler.due.request_documents(
            [d.document_id for d in wanted] if config.documents else None
        )
    _tell(context, f"{asked:,} documents are asked for.", asked)


@dg.op(name="ask_for_all_that_is_due", description="Asks for every document that is due.")
def _ask_for_due(context: dg.OpExecutionContext, service_router: ServiceRouterResource) -> None:
    with (
        Reconciler.open(service_router.settings(), context.instance) as reconciler,
        reconciler.due.planning(),
    ):
        due = reconciler.plan(frozenset(Reason))
        reconciler.due.request_documents(
            [document.document_id for document in due], resets_attempts=False
        )
    told = ", ".join(f"{count:,} {reason}" for reason, count in counted(due).items())
    said = f"{len(due):,} documents are due: {told}." if due else "No document is due."
    _tell(context, said, len(due))


def _tell(context: dg.OpExecutionContext, said: str, documents: int) -> None:
    said += " The sensor document_intake asks for their runs at its next tick."
    fields = {"documents": documents}
    log_event(DOCUMENTS_REQUESTED, said, fields, run_id=context.run.run_id, log=context.log)


@dg.job(name="retry_documents", description="Tries documents again that failed, or all of them.")
def retry_documents() -> None:
    """As `tvdb retry`."""
    _ask()


@dg.job(name="catch_up", description="Asks for all that is due now, as nightly_catch_up does.")
def catch_up() -> None:
    """As `tvdb catch-up`."""
    _ask_for_due()
