"""The assets, in the order of the pipeline: parsed documents, chunks, embeddings.

What belongs here: how Dagster describes and executes the three assets. What does not: how a
document is processed (`tvdb_assets.ingestion`), or how results become events (`run_events`).
"""

from collections.abc import Iterator

import dagster as dg

from tvdb_assets.dagster.compat import BACKFILL_ID_TAG
from tvdb_assets.dagster.definition_names import DefinitionNames
from tvdb_assets.dagster.reconciler import TAG
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.dagster.run_cost_warning import warn_of_cost
from tvdb_assets.dagster.run_events import FALLBACK_CHECK, PARSE_CHECK, RunReport
from tvdb_assets.dagster.run_retries import retried_if_database_is_lost
from tvdb_assets.dagster.storage.command_exit import is_materialize_command
from tvdb_assets.models import Stage
from tvdb_assets.repositories.runs import Run

documents = dg.DynamicPartitionsDefinition(name="documents")
"""One partition for each source file; its key is the path, see `core.partition_keys`."""


def _columns(**descriptions: str) -> dict[str, dg.TableSchema]:
    split = {name: text.split(": ", 1) for name, text in descriptions.items()}
    columns = [dg.TableColumn(n, type=t, description=d) for n, (t, d) in split.items()]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


_PROVENANCE = {
    "service": "text: The service that created the row.",
    "mode": "text: mock, local or real, as resolved for the call.",
    "model": "text: Model or algorithm of the service.",
    "version": "text: Version of the service.",
    "is_degraded": "boolean: Created by a fallback, and excluded from search.",
    "run_id": "text: The Dagster run that created the row.",
}

_SPECS = [
    dg.AssetSpec(
        Stage.PARSED_DOCUMENTS.value,
        partitions_def=documents,
        owners=["team:documents"],
        kinds={"python", "postgres"},
        description="Each source file's text as Markdown, with its pages and headings, checked "
        "before it counts. A file that gives no usable text fails alone, with a code and a remedy.",
        metadata=_columns(
            document_id="bigint: The source file.",
            content_sha256="bytea: Of the file's bytes.",
            text="text: Normalized; all offsets count its code points.",
            title="text: Of the document, where it has one.",
            media_type="text: By content, not by name.",
            page_starts="integer[]: Where each page starts in the text.",
            headings="jsonb: Offset, level and title of each heading.",
            **_PROVENANCE,
        ),
    ),
    dg.AssetSpec(
        Stage.CHUNKS.value,
        deps=[Stage.PARSED_DOCUMENTS.value],
        partitions_def=documents,
        owners=["team:documents"],
        kinds={"python", "postgres"},
        description="The text in pieces of a limited number of cl100k tokens, split where its "
        "structure allows it: a heading stays with its text, a table is whole where it fits.",
        metadata=_columns(
            chunk_id="bigint: The chunk.",
            ordinal="integer: 0-based position in the document.",
            start_offset="integer: Code points into the parsed text.",
            end_offset="integer: Code points into the parsed text, exclusive.",
            page_first="integer: 1-based; null for a format without pages.",
            page_last="integer: 1-based; null for a format without pages.",
            heading_path="text[]: Titles from the highest heading to the nearest.",
            token_count="integer: Exact cl100k_base tokens.",
            text_sha256="bytea: Of the text that is embedded: repeated_header and text.",
            repeated_header="text: Header row of a table that an earlier chunk began.",
            text="text: The chunk.",
            **_PROVENANCE,
        ),
    ),
    dg.AssetSpec(
        Stage.EMBEDDINGS.value,
        deps=[Stage.CHUNKS.value],
        partitions_def=documents,
        owners=["team:documents"],
        kinds={"python", "postgres"},
        description="A vector for each distinct text, created once for each vector space. When the "
        "last vector of a document is stored, search shows its new chunks instead of its old "
        "ones, in one transaction.",
        metadata=_columns(
            space_id="smallint: The vector space; rows of different spaces are never compared.",
            text_sha256="bytea: Of the text.",
            embedding="vector: Checked for dimension, finite values and length.",
            token_count="integer: Exact cl100k_base tokens of the text.",
            **_PROVENANCE,
        ),
    ),
]


def document_assets(max_partitions_per_run: int, names: DefinitionNames) -> dg.AssetsDefinition:
    """Create the three assets as one step, which processes documents in batches.

    Args:
        max_partitions_per_run: maximum number of documents in one run of a backfill.
        names: keys and names of the definitions.
    """

    @dg.multi_asset(
        # Queued runs refer to the step by this name, so it must not change.
        name=names.name("document_walk"),
        specs=[_named(spec, names) for spec in _SPECS],
        required_resource_keys={names.service_router_key},
        can_subset=True,
        backfill_policy=_backfill_policy(max_partitions_per_run),
        check_specs=[
            dg.AssetCheckSpec(
                PARSE_CHECK,
                asset=names.stage(Stage.PARSED_DOCUMENTS),
                description="The text is not empty and no garbage. A warning: it "
                "reads like an error message, repeats a line, lacks most pages, or is much longer "
                "than its file; such a text is published, with a note.",
            ),
            dg.AssetCheckSpec(
                FALLBACK_CHECK,
                asset=names.stage(Stage.EMBEDDINGS),
                description="No document of the run was embedded by a fallback because the paid "
                "service was unavailable. Such documents are excluded from search until the "
                "service has embedded them.",
            ),
        ],
    )
    def ingest_documents(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Process the documents of this run through the selected stages, and report each."""
        service_router = names.service_router(context.resources)
        with (
            retried_if_database_is_lost(context),
            service_router.mark_run_alive(context.run.run_id),
        ):
            _register_manual_partitions(context, service_router)
            is_deferrable = _is_deferrable(context, names)
            warn_of_cost(context, service_router, names, is_deferrable=is_deferrable)
            stages = names.stages_of(context.selected_asset_keys)
            report = RunReport(context, names)
            with service_router.ingestion_run(
                _run_of(context), is_deferrable=is_deferrable
            ) as ingestion:
                for results in ingestion.run(context.partition_keys, stages):
                    report.add(results)
            yield from report.finish()

    return ingest_documents


def _named(spec: dg.AssetSpec, names: DefinitionNames) -> dg.AssetSpec:
    deps = [names.asset(dep.asset_key.to_user_string()) for dep in spec.deps]
    key, group_name = names.asset(spec.key.to_user_string()), names.group("documents")
    named: dg.AssetSpec = spec.replace_attributes(key=key, deps=deps, group_name=group_name)
    return named.with_io_manager_key(names.io_manager_key)


def _backfill_policy(max_partitions_per_run: int) -> dg.BackfillPolicy:
    """Several runs for a backfill; one for a command that materializes a range of partitions.

    ``dagster asset materialize`` and ``dg launch`` need no daemon, and refuse assets whose
    backfills may take several runs.
    """
    if is_materialize_command():
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(max_partitions_per_run)


def _register_manual_partitions(
    context: dg.AssetExecutionContext, router: ServiceRouterResource
) -> None:
    """Register documents whose partitions a person added in Dagster."""
    added = [
        key
        for key in router.unregistered(context.partition_keys)
        # A document that was deleted after the run was planned has no partition.
        if context.instance.has_dynamic_partition("documents", key)
    ]
    if added:
        router.register_manual_partitions(added)


def _is_deferrable(context: dg.AssetExecutionContext, names: DefinitionNames) -> bool:
    """Whether nobody waits for the run: it belongs to a backfill or to the nightly catch-up."""
    tags = context.run.tags
    return BACKFILL_ID_TAG in tags or tags.get(TAG) == names.name("nightly_catch_up")


def _run_of(context: dg.AssetExecutionContext) -> Run:
    run = context.run
    return Run(run.run_id, run.root_run_id, run.parent_run_id, run.tags.get(BACKFILL_ID_TAG))
