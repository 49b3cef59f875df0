"""Jobs that a person starts in the UI: retry failed documents, and process all due documents.

What belongs here: `tvdb retry` and `tvdb catch-up` as jobs. What does not: requesting runs. The
sensor `document_intake` requests them at its next tick, so that one place plans all runs.
"""

import dagster as dg
from pydantic import Field

from tvdb_assets import error_codes as codes
from tvdb_assets.core.message_counts import counted
from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.reconciler import Reconciler, count_by_reason
from tvdb_assets.lifecycle import Reason
from tvdb_assets.redaction import display_path
from tvdb_assets.sources.source import source_root
from tvdb_assets.telemetry import DOCUMENTS_REQUESTED, log_event


class RetryConfig(dg.Config):
    """The documents to retry."""

    documents: list[str] = Field(
        default_factory=list, description="Paths or partition keys; empty for all that failed."
    )
    pay_again: bool = Field(
        default=False,
        description="Also pay again for what a paid service answered without a usable text or "
        "vector.",
    )


def make_retry_documents(names: DefinitionNames) -> dg.JobDefinition:
    """Create the job that does the same as `tvdb retry`.

    Args:
        names: keys and names of the definitions.
    """

    @dg.op(
        name=names.name("ask_for_documents"),
        description="Requests the documents again.",
        required_resource_keys={names.service_router_key},
    )
    def request_again(context: dg.OpExecutionContext, config: RetryConfig) -> None:
        settings = names.service_router(context.resources).settings()
        root = source_root(settings.source)
        with Reconciler.open(settings, context.instance, names) as reconciler:
            found = {name: reconciler.registry.find_in(root, name) for name in config.documents}
            if unknown := [display_path(name) for name, known in found.items() if not known]:
                raise codes.DOCUMENTS_UNKNOWN.error(names=", ".join(unknown))
            documents = [document for known in found.values() for document in known]
            requested = reconciler.due.request_documents(
                [d.document_id for d in documents] if config.documents else None,
                source=root,
                pays_again=config.pay_again,
            )
        message = f"{counted(requested, 'document is', 'documents are')} requested."
        _report(context, names, message, requested)

    @dg.job(
        name=names.name("retry_documents"),
        executor_def=dg.in_process_executor,
        description="Retries failed documents: the named ones, or all.",
    )
    def retry_documents() -> None:
        request_again()

    return retry_documents


def make_catch_up(names: DefinitionNames) -> dg.JobDefinition:
    """Create the job that does the same as `tvdb catch-up`.

    Args:
        names: keys and names of the definitions.
    """

    @dg.op(
        name=names.name("ask_for_all_that_is_due"),
        description="Requests every document that is due.",
        required_resource_keys={names.service_router_key},
    )
    def request_due(context: dg.OpExecutionContext) -> None:
        settings = names.service_router(context.resources).settings()
        with (
            Reconciler.open(settings, context.instance, names) as reconciler,
            reconciler.due.planning(),
        ):
            due = reconciler.plan(frozenset(Reason))
            reconciler.due.request_documents(
                [document.document_id for document in due], resets_attempts=False
            )
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in count_by_reason(due).items())
        message = (
            f"{counted(len(due), 'document is', 'documents are')} due: {reasons}."
            if due
            else "No document is due."
        )
        _report(context, names, message, len(due))

    @dg.job(
        name=names.name("catch_up"),
        executor_def=dg.in_process_executor,
        description="Requests all due documents, as nightly_catch_up does.",
    )
    def catch_up() -> None:
        request_due()

    return catch_up


def _report(
    context: dg.OpExecutionContext, names: DefinitionNames, message: str, documents: int
) -> None:
    sensor = names.name("document_intake")
    message += f" The sensor {sensor} requests their runs at its next tick."
    fields = {"documents": documents}
    log_event(DOCUMENTS_REQUESTED, message, fields, run_id=context.run.run_id, log=context.log)
