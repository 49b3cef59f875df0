"""The tables as pandas DataFrames, for assets that depend on them.

What belongs here: reading tables for assets of other teams. An asset ``def my_asset(chunks:
pd.DataFrame)`` gets the rows of its run's partitions. What does not: writing. The ingestion and
other assets store their own rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
from psycopg.rows import dict_row
from pydantic import Field

from tvdb_assets.repositories.database import Database
from tvdb_assets.settings import load_settings

if TYPE_CHECKING:
    import pandas as pd

_TABLES = {
    "parsed_documents": """
        SELECT d.partition_key, d.path AS document, p.*
        FROM tvdb.documents d JOIN tvdb.parsed_documents p USING (document_id)
        WHERE d.partition_key = ANY(%(keys)s) AND p.parsed_id =
          (SELECT max(parsed_id) FROM tvdb.parsed_documents n WHERE n.document_id = d.document_id)
        ORDER BY d.path""",
    "chunks": """
        SELECT d.partition_key, d.path AS document, c.*
        FROM tvdb.documents d JOIN tvdb.chunks c USING (document_id)
        WHERE d.partition_key = ANY(%(keys)s) AND c.chunk_set_id =
          (SELECT chunk_set_id FROM tvdb.chunk_sets n
           LEFT JOIN tvdb.indexes i ON i.is_current AND i.chunker = n.fingerprint
           WHERE n.document_id = d.document_id
           ORDER BY parsed_id DESC, i.index_id, chunk_set_id DESC LIMIT 1)
        ORDER BY d.path, c.ordinal""",
    "embeddings": """
        SELECT d.partition_key, d.path AS document, c.chunk_id, c.ordinal, s.label AS vector_space,
               e.text_sha256, e.embedding, e.token_count,
               e.service, e.mode, e.model, e.version, e.is_degraded, e.run_id
        FROM tvdb.documents d
        JOIN tvdb.publications u USING (document_id)
        JOIN tvdb.indexes i USING (index_id)
        JOIN tvdb.vector_spaces s USING (space_id)
        JOIN tvdb.chunks c ON c.chunk_set_id = u.chunk_set_id
        JOIN tvdb.embeddings e ON e.space_id = s.space_id AND e.text_sha256 = c.text_sha256
        WHERE d.partition_key = ANY(%(keys)s)
          AND i.index_id = (SELECT index_id FROM tvdb.indexes
                            ORDER BY is_current DESC, index_id DESC LIMIT 1)
        ORDER BY d.path, c.ordinal""",
}


class PostgresIOManager(dg.ConfigurableIOManager):
    """Loads ``parsed_documents``, ``chunks`` and ``embeddings`` as DataFrames."""

    key_prefix: list[str] = Field(
        default_factory=list, description="Parts of the keys of the three assets before their last."
    )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """The rows of the run's partitions as one DataFrame, in document order.

        ``embeddings`` has a column ``embedding`` of float32 arrays of shape (dimensions,), all
        of one vector space.

        Raises:
            DagsterInvariantViolationError: the asset is none of the three.
        """
        # Loaded here, because it costs 0.5 s and only other teams' assets need it.
        import pandas as pd

        *prefix, name = context.asset_key.path
        if name not in _TABLES or prefix != self.key_prefix:
            raise dg.DagsterInvariantViolationError(
                f"There is no table for the asset {context.asset_key.to_user_string()}. Give the "
                "asset that creates it its own io_manager_key."
            )
        keys = list(context.asset_partition_keys)
        with (
            Database.open(load_settings()) as database,
            database.transaction() as tx,
            tx.cursor(row_factory=dict_row) as cursor,
        ):
            cursor.execute(_TABLES[name], {"keys": keys})
            rows = cursor.fetchall()
            columns = [column.name for column in cursor.description or ()]
        for row in rows:
            if "embedding" in row:
                row["embedding"] = row["embedding"].to_numpy()
        return pd.DataFrame(rows, columns=columns)

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Refuse values: this manager only reads.

        Raises:
            DagsterInvariantViolationError: an asset returned a value.
        """
        if obj is not None:
            raise dg.DagsterInvariantViolationError(
                f"The asset {context.asset_key.to_user_string()} returned a value, and the "
                "project's IO manager only reads its own tables. Give the asset its own "
                "io_manager_key, or return None."
            )
