"""Claims of texts that are about to be embedded for money, so that no text is paid for twice.

What belongs here: statements on `tvdb.text_claims`. What does not: which texts lack a vector
(`index_store`), how long a claim of a process is valid (`leases`), or batch jobs, whose claims are
valid until they are done (`embedding_batches`).

A text is claimed in the transaction that begins the lease of its holder. A statement that meets a
claim which was committed after the statement began sees the claim, but not the lease: each
statement sees the rows of one moment, except those that it waits for or that conflict with its
own. So the rows of others are locked first, and the next statement, which sees their leases,
decides whether they may be taken over.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvdb_assets.repositories.database import Connection
from tvdb_assets.repositories.leases import delete_leases, is_claimed

_IS_IN_BATCH = """EXISTS (SELECT FROM tvdb.embedding_batches b
    WHERE b.holder = t.holder AND b.state <> 'done')"""
"""A batch job has claimed the text, and keeps it until it is done, without any process."""
_IS_ALIVE = f"({is_claimed('t.holder')} OR {_IS_IN_BATCH})"
NOT_IN_BATCH = f"""
  AND NOT EXISTS (SELECT FROM tvdb.text_claims t
    WHERE t.space_id = %(space)s AND t.text_sha256 = c.text_sha256 AND {_IS_IN_BATCH})"""
"""A condition on chunks ``c``: no batch job has claimed the text."""
UNCLAIMED = f"""
  AND NOT EXISTS (SELECT FROM tvdb.text_claims t
    WHERE t.space_id = %(space)s AND t.text_sha256 = c.text_sha256
      AND t.holder <> %(holder)s AND {_IS_ALIVE})"""
"""A condition on chunks ``c``: no other holder has claimed the text."""
_INSERT = """
INSERT INTO tvdb.text_claims (space_id, text_sha256, holder)
SELECT %(space)s, h, %(holder)s FROM unnest(%(hashes)s::bytea[]) AS n(h) ORDER BY h
ON CONFLICT (space_id, text_sha256) DO NOTHING
RETURNING text_sha256
"""
_LOCK = """
SELECT text_sha256, holder FROM tvdb.text_claims
WHERE space_id = %(space)s AND text_sha256 = ANY(%(hashes)s)
ORDER BY text_sha256 FOR UPDATE
"""
_TAKE_OVER = f"""
UPDATE tvdb.text_claims t SET holder = %(holder)s
WHERE t.space_id = %(space)s AND t.text_sha256 = ANY(%(hashes)s)
  AND (t.holder = %(holder)s OR NOT {_IS_ALIVE})
RETURNING t.text_sha256
"""
_ANY_VALID = f"""
SELECT FROM tvdb.text_claims t JOIN tvdb.indexes i USING (space_id)
WHERE i.index_id = %s AND {_IS_ALIVE} LIMIT 1
"""


def claim(tx: Connection, space_id: int, hashes: Sequence[bytes], holder: int) -> set[bytes]:
    """Claim texts unless another holder has a valid claim; returns the hashes of those claimed.

    Args:
        tx: the transaction in which the lease of the holder has begun.
        space_id: id of the vector space.
        hashes: of the texts.
        holder: key of the claim.
    """
    asked = {"space": space_id, "holder": holder, "hashes": list(hashes)}
    claimed = {row[0] for row in tx.execute(_INSERT, asked)}
    asked["hashes"] = [sha256 for sha256 in hashes if sha256 not in claimed]
    if asked["hashes"]:
        former = dict(tx.execute(_LOCK, asked).fetchall())
        asked["hashes"] = list(former)
        taken = {row[0] for row in tx.execute(_TAKE_OVER, asked)}
        delete_leases(tx, {former[sha256] for sha256 in taken} - {holder})
        claimed |= taken
    return claimed


def is_any_valid(tx: Connection, index_id: int) -> bool:
    """Whether texts are claimed in the vector space of an index right now."""
    return bool(tx.execute(_ANY_VALID, (index_id,)).fetchall())


def release(tx: Connection, holder: int) -> None:
    """Release all claims of this holder on texts that got no vector."""
    tx.execute("DELETE FROM tvdb.text_claims WHERE holder = %s", (holder,))


def remove(tx: Connection, space_id: int, hashes: Sequence[bytes]) -> None:
    """Remove the claims on texts that have a vector now, whoever holds them."""
    tx.execute(
        "DELETE FROM tvdb.text_claims WHERE space_id = %s AND text_sha256 = ANY(%s)",
        (space_id, list(hashes)),
    )
