"""Submissions of batch jobs whose cost was released, as no list of the service showed a job.

What belongs here: finding them in the ledger. What does not: the jobs (`embedding_batches`), or
settling an entry (`spend_guard.ledger`).
"""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from tvdb_assets.repositories.batch_rows import BatchJob
from tvdb_assets.repositories.database import Connection


def released_submissions(tx: Connection, job: BatchJob) -> dict[UUID, Decimal]:
    """Ledger entries with what they had reserved.

    Args:
        tx: a transaction.
        job: of whose run all such entries are returned.
    """
    return dict(tx.execute(_RELEASED, (job.run_id, job.service)).fetchall())


_RELEASED = """
SELECT entry_id, reserved_usd FROM tvdb.cost_ledger WHERE run_id = %s AND service = %s
   AND operation = 'embed_batch' AND state = 'voided' AND outcome = 'not_billed'
"""
