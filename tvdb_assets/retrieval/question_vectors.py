"""The vector of a question: from the embedder of the index, or stored since it was paid for.

What belongs here: what a question's vector costs, and when it is not needed. What does not: the
choice of the embedder (`retrieval.index`), or the rules of paying (`spend_guard`).

A vector that was paid for is stored in the transaction that posts its cost, by the hash of the
question, so that no process pays for the same question again. Zeros are stored of a question that
the service has no usable vector of, because the answer would be the same again. Maintenance deletes
both after ``TVDB_CACHE_DAYS``. The text of a question is not stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import numpy as np
import psycopg
from numpy.typing import NDArray

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.embedder_protocol import AnyEmbedder, PaidEmbedder, Vectors
from tvdb_assets.embedding.embedding_result import PersistErrors, PersistVectors
from tvdb_assets.errors import BudgetError, EmbeddingError
from tvdb_assets.models import Provenance
from tvdb_assets.repositories import locks, text_claims
from tvdb_assets.repositories.database import Connection, Database
from tvdb_assets.repositories.leases import end_leases_of_dead_processes, ensure_claimed
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.spend_guard.paid_call import CheckClaim

T = TypeVar("T")

WITHOUT_VECTOR: Final = frozenset(
    {codes.VECTOR_ZERO.code, codes.VECTOR_NOT_FINITE.code, codes.VECTOR_UNUSABLE.code}
)
"""Error codes of a question without a known token; words may still find something."""
_POLL_SECONDS = 0.1
"""Between two looks whether another process has paid for the question."""
OVER_BUDGET: Final = (
    "The budget is used up, so the vector of the question was not paid for, and only words were "
    "compared."
)


@dataclass(frozen=True, slots=True)
class QuestionVector:
    """The vector of a question, and what it cost."""

    vector: NDArray[np.float32]
    """With shape (dimensions,); zero if only words can be compared."""
    cost_usd: Decimal = Decimal(0)
    note: str | None = None
    """Why only words are compared, if that was decided here."""


class QuestionVectors:
    """Embeds questions; equal ones are paid for once."""

    def __init__(self) -> None:
        """Nothing is embedded yet."""
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def embed(
        self,
        question: str,
        *,
        embedder: AnyEmbedder,
        router: ServiceRouter,
        database: Database,
        words_over_budget: bool,
    ) -> QuestionVector:
        """Embed a question with the embedder of an index.

        Args:
            question: the text.
            embedder: of the vector space of the index.
            router: calls it; its run id is on the entry in the ledger.
            database: contains the stored vectors; is only read.
            words_over_budget: return no vector instead of the error if the budget is used up.

        Raises:
            EmbeddingError: the question can't be embedded.
            ServiceError: the vector costs money, and a limit, an outage or a refused key prevents
                the call.
        """
        if not isinstance(embedder, PaidEmbedder):
            return QuestionVector(await _embed(router, embedder, question))
        label, digest = embedder.space.label, _digest(question)
        async with AsyncExitStack() as stack:
            # The second of two equal questions waits, and finds the vector of the first. Questions
            # with one run id take turns, so that each one's cost is the difference it makes.
            for name in sorted({f"{label} {digest.hex()}", f"run {router.run_id}"}):
                await stack.enter_async_context(self._lock(name))
            stored = await asyncio.to_thread(_stored, database, label, digest)
            if stored is not None:
                return QuestionVector(stored)
            ledger = router.services.database
            holder = await stack.enter_async_context(_only_process(ledger, label, digest))
            # Another process may have paid for it meanwhile.
            stored = await asyncio.to_thread(_stored, database, label, digest)
            if stored is not None:
                return QuestionVector(stored)
            before = await asyncio.to_thread(_cost, database, router.run_id)

            nothing = np.zeros(embedder.space.dimensions, np.float32)

            def persist(
                tx: Connection | None, positions: Sequence[int], vectors: Vectors, by: Provenance
            ) -> None:
                if tx is not None:
                    tx.execute(_STORE, (router.run_id, digest, vectors[0], label))

            def persist_errors(tx: Connection, errors: Mapping[int, EmbeddingError]) -> None:
                if errors[0].code in WITHOUT_VECTOR:
                    tx.execute(_STORE, (router.run_id, digest, nothing, label))

            try:
                vector = await _embed(
                    router,
                    embedder,
                    question,
                    persist,
                    persist_errors,
                    partial(ensure_claimed, holder=holder),
                )
            except BudgetError:
                if not words_over_budget:
                    raise
                cost = await asyncio.to_thread(_cost, database, router.run_id) - before
                return QuestionVector(nothing, cost, OVER_BUDGET)
            cost = await asyncio.to_thread(_cost, database, router.run_id) - before
            return QuestionVector(vector, cost)

    def _lock(self, name: str) -> asyncio.Lock:
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock


@asynccontextmanager
async def _only_process(database: Database, label: str, digest: bytes) -> AsyncIterator[int]:
    """Wait until no other process pays for the question, and keep them away in the block.

    The claim is one of a text, whose lease outlives a connection that breaks while the answer is
    awaited. It ends with the block, also if the question is cancelled at any moment.

    Yields:
        The key of the claim.
    """
    holder = locks.new_claim_key()
    # A document may have the text of the question, and is embedded in another way.
    name = sha256(b"question\0" + digest).digest()

    def claim(tx: Connection) -> bool:
        row = tx.execute(
            "SELECT space_id FROM tvdb.vector_spaces WHERE label = %s FOR KEY SHARE", (label,)
        ).fetchone()
        if row is None:
            return True
        database.leases.keep(tx, holder)
        if text_claims.claim(tx, row[0], [name], holder):
            return True
        end_leases_of_dead_processes(tx)
        return False

    def release() -> None:
        # If the database is away, the claim ends with its lease.
        with suppress(psycopg.Error):
            database.run(lambda tx: text_claims.release(tx, holder))
        database.end_claim(holder)

    try:
        while not await _whole(lambda: database.run(claim)):
            await asyncio.sleep(_POLL_SECONDS)
        yield holder
    finally:
        await _whole(release)


async def _whole(work: Callable[[], T]) -> T:
    """Run work in a thread; a caller that is cancelled waits for its end."""
    running = asyncio.get_running_loop().run_in_executor(None, copy_context().run, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


async def _embed(
    router: ServiceRouter,
    embedder: AnyEmbedder,
    question: str,
    persist: PersistVectors | None = None,
    persist_errors: PersistErrors | None = None,
    check_claim: CheckClaim | None = None,
) -> NDArray[np.float32]:
    embedded = await router.embed_by(
        embedder,
        [question],
        persist,
        check_claim,
        persist_errors=persist_errors,
        is_query=True,
    )
    error = embedded.errors.get(0)
    if error is None:
        return embedded[0]
    if error.code not in WITHOUT_VECTOR:
        raise error
    return np.zeros(embedder.space.dimensions, np.float32)


def _digest(question: str) -> bytes:
    return sha256(question.encode("utf-8", "surrogatepass")).digest()


def _stored(database: Database, label: str, digest: bytes) -> NDArray[np.float32] | None:
    with database.session() as session:
        row = session.execute(_FIND, (label, digest)).fetchone()
    return None if row is None else np.asarray(row[0].to_numpy(), np.float32)


def _cost(database: Database, run_id: str) -> Decimal:
    """What a run has cost so far; an attempt with an unknown outcome counts as reserved."""
    with database.transaction() as tx:
        row = tx.execute(_COST, (run_id,)).fetchone()
    return Decimal(row[0]) if row else Decimal(0)


_FIND = (
    "SELECT q.embedding FROM tvdb.question_vectors q JOIN tvdb.vector_spaces s USING (space_id)"
    " WHERE s.label = %s AND q.question_sha256 = %s"
)
_STORE = (
    "INSERT INTO tvdb.question_vectors (run_id, question_sha256, embedding, space_id)"
    " SELECT %s, %s, %s, space_id FROM tvdb.vector_spaces WHERE label = %s"
    " ON CONFLICT DO NOTHING"
)
_COST = (
    "SELECT coalesce(sum(coalesce(posted_usd, reserved_usd)), 0) FROM tvdb.cost_ledger"
    " WHERE run_id = %s AND operation = 'embed' AND state <> 'voided'"
)
