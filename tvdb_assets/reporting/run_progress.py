"""How far runs have come: documents, pages and US dollars.

What belongs here: the numbers while runs are active. What does not: the summary at their end
(`cli.run_summary`), or how they are shown (`cli.progress`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tvdb_assets.reporting.costs import cost_of_runs
from tvdb_assets.repositories.database import Database


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What runs have done so far."""

    documents: int = 0
    """Files that are finished, successfully or not."""
    pages: int = 0
    """Pages of the texts that these runs parsed."""
    usd: Decimal = Decimal(0)
    """US dollars that are spent or reserved."""


def run_progress(database: Database, run_ids: Sequence[str]) -> RunProgress:
    """Read the progress of runs."""
    with database.transaction() as tx:
        row = tx.execute(
            "WITH done AS (SELECT DISTINCT document_id FROM tvdb.document_events"
            "  JOIN tvdb.documents d USING (document_id)"
            "  WHERE document_events.run_id = ANY(%(runs)s) AND d.container_id IS NULL)"
            " SELECT (SELECT count(*) FROM done), (SELECT coalesce(sum(cardinality(p.page_starts)),"
            "  0) FROM tvdb.parsed_documents p JOIN done USING (document_id)"
            "  WHERE p.run_id = ANY(%(runs)s))",
            {"runs": list(run_ids)},
        ).fetchone()
    documents, pages = row if row else (0, 0)
    return RunProgress(int(documents), int(pages), cost_of_runs(database, run_ids))
