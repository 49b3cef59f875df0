"""The assets of the walk, in its order: parsed documents, chunks, embeddings.

What belongs here: what Dagster shows of the three assets. What does not: how a document is
walked (`tvdb_assets.ingestion`), or how its results become events (`reporting`).
"""

from collections.abc import Iterator

import dagster as dg

from tvdb_assets.dagster.compat import BACKFILL_ID_TAG
from tvdb_assets.dagster.resources import ServiceRouterResource
from tvdb_assets.dagster.run_announcement import announce
from tvdb_assets.dagster.run_events import FALLBACK_CHECK, PARSE_CHECK, RunReport
from tvdb_assets.models import Stage
from tvdb_assets.repositories.runs import Run

documents = dg.DynamicPartitionsDefinition(name="documents")
"""One partition per source file; the key is its path, see `core.partition_keys`."""


def _columns(**descriptions: str) -> dict[str, dg.TableSchema]:
    split = {name: text.split(": ", 1) for name, text in descriptions.items()}
    columns = [dg.TableColumn(n, type=t, description=d) for n, (t, d) in split.items()]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


_MADE_BY = {
    "service": "text: Which service made the row.",
    "mode": "text: mock, local or real, as resolved for the call.",
    "model": "text: Model or algorithm of the service.",
    "version": "text: Version of the service.",
    "is_degraded": "boolean: Made by a stand-in, and kept out of search.",
    "run_id": "text: The Dagster run that made the row.",
}

SPECS = [
    dg.AssetSpec(
        Stage.PARSED_DOCUMENTS.value,
        partitions_def=documents,
        group_name="documents",
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
            **_MADE_BY,
        ),
    ),
    dg.AssetSpec(
        Stage.CHUNKS.value,
        deps=[Stage.PARSED_DOCUMENTS.value],
        partitions_def=documents,
        group_name="documents",
        owners=["team:documents"],
        kinds={"python", "postgres"},
        description="The text in pieces of at most so many cl100k tokens, cut where the document "
        "has its own joints: a heading stays with what follows it, a table whole where it fits.",
        metadata=_columns(
            chunk_id="bigint: The chunk.",
            ordinal="integer: 0-based position in the document.",
            start_offset="integer: Code points into the parsed text.",
            end_offset="integer: Code points into the parsed text, exclusive.",
            page_first="integer: 1-based; null for a format without pages.",
            page_last="integer: 1-based; null for a format without pages.",
            heading_path="text[]: Titles from the highest heading to the nearest.",
            token_count="integer: Exact cl100k_base tokens.",
            text_sha256="bytea: Of what is embedded: repeated_header and text.",
            repeated_header="text: Header row of a table that an earlier chunk began.",
            text="text: The chunk.",
            **_MADE_BY,
        ),
    ),
    dg.AssetSpec(
        Stage.EMBEDDINGS.value,
        deps=[Stage.CHUNKS.value],
        partitions_def=documents,
        group_name="documents",
        owners=["team:documents"],
        kinds={"python", "postgres"},
        description="A vector for each distinct text, made once for each vector space. When a "
        "document's last vector is there, search shows its new chunks instead of its old ones, "
        "in one transaction.",
        metadata=_columns(
            space_id="smallint: The vector space; rows of two spaces never meet.",
            text_sha256="bytea: Of the text.",
            embedding="vector: Checked for dimension, finite values and length.",
            token_count="integer: Exact cl100k_base tokens of the text.",
            **_MADE_BY,
        ),
    ),
]


def walk_assets(max_partitions_per_run: int) -> dg.AssetsDefinition:
    """The three assets as one step, through which documents stream.

    Args:
        max_partitions_per_run: most documents that a backfill puts into one run.
    """

    @dg.multi_asset(
        name="document_walk",
        specs=SPECS,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run),
        check_specs=[
            dg.AssetCheckSpec(
                PARSE_CHECK,
                asset=Stage.PARSED_DOCUMENTS.value,
                description="Text that is there, is the document's own and is of plausible "
                "length; no error message, no repetition, no garbage.",
            ),
            dg.AssetCheckSpec(
                FALLBACK_CHECK,
                asset=Stage.EMBEDDINGS.value,
                description="No document of the run was made by a stand-in for a paid service "
                "that was unavailable. Such documents are kept out of search until the service "
                "has made them again.",
            ),
        ],
    )
    def document_walk(
        context: dg.AssetExecutionContext, service_router: ServiceRouterResource
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        """Take this run's documents through the selected stages, and report each."""
        stages = frozenset(Stage(key.to_user_string()) for key in context.selected_asset_keys)
        report = RunReport(context)
        # One that was forgotten since the run was planned is no partition any more.
        added_by_hand = [
            key
            for key in service_router.unregistered(context.partition_keys)
            if context.instance.has_dynamic_partition("documents", key)
        ]
        if added_by_hand:
            service_router.register_manual_partitions(added_by_hand)
        announce(context, service_router)
        dagster_run = context.run
        run = Run(
            dagster_run.run_id,
            dagster_run.root_run_id,
            dagster_run.parent_run_id,
            dagster_run.tags.get(BACKFILL_ID_TAG),
        )
        with service_router.walk(run) as walk:
            for results in walk.run(context.partition_keys, stages):
                report.take(results)
        yield from report.finish()

    return document_walk
