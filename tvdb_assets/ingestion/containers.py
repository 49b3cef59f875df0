"""The members of containers: each is ingested as a document with its own row.

What belongs here: which members of a container are processed, and in which batches. What does not:
listing and extracting them (`parsing.container_members`), the stages, which are those of any
document (`runner`), or statements (`repositories.member_store`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import TypeVar

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import DocumentError, TvdbError
from tvdb_assets.ingestion.document_state import DocumentState, MemberSummary
from tvdb_assets.lifecycle import fails_again
from tvdb_assets.models import Stage
from tvdb_assets.parsing.container_members import ContainerBudget, check_listing, list_members
from tvdb_assets.repositories.member_store import MemberStore
from tvdb_assets.repositories.rows import DocumentRow
from tvdb_assets.routing.service_router import ServiceRouter

BATCH_MEMBERS = 256
"""Members in a batch; the container's bytes are sent to a worker again for each batch."""
BATCH_BYTES = 16 << 20
"""Bytes of members that a batch has in memory."""

_T = TypeVar("_T")


class ContainerScope:
    """The container of a batch of members, and the remaining limits of its file."""

    def __init__(self, container: DocumentState, budget: ContainerBudget) -> None:
        self.container = container
        self.budget = budget
        self.retries_all = False
        """Whether members that failed and would fail again are retried too."""


class ContainerIngestion:
    """Ingests the members of containers, one container at a time."""

    def __init__(self, store: MemberStore, router: ServiceRouter) -> None:
        """Nothing is read yet."""
        self._store = store
        self._router = router
        self._pipeline_fingerprint = store.pipeline_fingerprint
        self._pipeline_fingerprints = (
            store.pipeline_fingerprint,
            router.clients.limits_fingerprint + store.pipeline_fingerprint,
        )

    async def ingest(
        self,
        document: DocumentState,
        parent: ContainerScope | None,
        stages: frozenset[Stage],
        process: Callable[[list[DocumentState], ContainerScope], Awaitable[None]],
    ) -> None:
        """Process the members of a container, and summarize their results.

        Args:
            document: the container; it fails if its members can't be listed.
            parent: the scope of its own container; None for a file.
            stages: the stages of the run.
            process: processes a batch of members.
        """
        scope = ContainerScope(document, self._budget(parent))
        if document.container_media_type is not None:
            members = await self._list(document, document.container_media_type, scope)
            if members is None:
                return
        else:
            rows = await asyncio.to_thread(self._store.rows, [document.row.document_id])
            members = [DocumentState(row) for row in rows]
        scope.retries_all = await self._retries_all(document, parent)
        summary = document.members = MemberSummary(kept=[m.row.document_id for m in members])
        due = []
        for m in members:
            if (error := self._failure_to_repeat(m, scope)) is not None:
                summary.total += 1
                summary.is_limited = (
                    summary.is_limited or m.row.pipeline_fingerprint != self._pipeline_fingerprint
                )
                summary.note(m.row.path, error, Stage(m.row.failed_stage or Stage.PARSED_DOCUMENTS))
            else:
                due.append(m)
        for batch in in_batches(due, _size):
            await process(batch, scope)
            for m in batch:
                summary.add(m, stages)
        if parent is not None:
            # Members of all levels share the remaining limits of the file.
            level = parent.budget.level
            parent.budget = ContainerBudget(level, scope.budget.members, scope.budget.bytes)

    async def _list(
        self, document: DocumentState, media_type: str, scope: ContainerScope
    ) -> list[DocumentState] | None:
        assert document.data is not None
        budget = scope.budget
        try:
            listed = await asyncio.wrap_future(
                self._router.services.workers.submit(
                    list_members, document.data, media_type, budget
                )
            )
            check_listing(listed, budget, self._router.clients.document_limits.max_depth)
        except DocumentError as error:
            document.fail(Stage.PARSED_DOCUMENTS, error)
            return None
        spent = sum(member.size for member in listed)
        scope.budget = ContainerBudget(
            budget.level, budget.members - len(listed), budget.bytes - spent
        )
        rows = await asyncio.to_thread(self._store.sync, document.row, listed)
        return [DocumentState(row, member) for row, member in zip(rows, listed, strict=True)]

    def _budget(self, parent: ContainerScope | None) -> ContainerBudget:
        limits = self._router.clients.document_limits
        if parent is None:
            return ContainerBudget(1, limits.max_members, limits.max_expanded_mib << 20)
        return ContainerBudget(parent.budget.level + 1, parent.budget.members, parent.budget.bytes)

    async def _retries_all(self, document: DocumentState, parent: ContainerScope | None) -> bool:
        """Whether a person requested a file that failed and would fail again."""
        if parent is not None:
            return parent.retries_all
        if document.row.is_manually_requested:
            return True
        if (
            not _fails_again(document.row, self._pipeline_fingerprints)
            or document.row.sha256 != document.content_sha256
        ):
            return False
        # Otherwise the file is processed for some of its members, and for these alone.
        return not await asyncio.to_thread(self._store.is_any_due, document.row.partition_key)

    def _failure_to_repeat(self, m: DocumentState, scope: ContainerScope) -> TvdbError | None:
        """The stored error of a member that would fail again with the same bytes, or None."""
        row = m.row
        is_requested = scope.retries_all or row.is_manually_requested
        if is_requested or m.member is None or not _fails_again(row, self._pipeline_fingerprints):
            return None
        # A container that is a member itself is opened, and each of its members is checked.
        if row.sha256 != m.member.sha256 or row.error_code == codes.MEMBERS_FAILED.code:
            return None
        if row.error_code is None:
            return None
        return DocumentError.restored(
            row.error_code, row.error_message or "", remedy=row.error_remedy or ""
        )


def _fails_again(row: DocumentRow, pipeline_fingerprints: Collection[str]) -> bool:
    return fails_again(row.quarantine, row.pipeline_fingerprint, pipeline_fingerprints)


def in_batches(members: Sequence[_T], size_of: Callable[[_T], int]) -> Iterator[list[_T]]:
    """Split members into batches, in their order and within the limits of a batch."""
    batch: list[_T] = []
    size = 0
    for member in members:
        own = size_of(member)
        if batch and (len(batch) == BATCH_MEMBERS or size + own > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(member)
        size += own
    if batch:
        yield batch


def _size(m: DocumentState) -> int:
    return m.member.size if m.member is not None else m.row.size
