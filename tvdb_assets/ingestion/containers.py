"""What is inside of documents: each member walks as a document of its own.

What belongs here: which members of a container are walked, in batches, and what their ends mean
for it. What does not: listing and taking them out (`parsing.container_members`), the stages, which
are those of any document (`walk`), or statements (`repositories.member_store`).
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
from tvdb_assets.parsing.container_members import ContainerBudget, list_members
from tvdb_assets.repositories.member_store import MemberStore
from tvdb_assets.repositories.rows import DocumentRow
from tvdb_assets.routing.service_router import ServiceRouter

BATCH_MEMBERS = 256
"""Walked at once; the container's bytes are sent to a worker again for each batch."""
BATCH_BYTES = 16 << 20
"""Bytes of members that are held at once, as of files."""

_T = TypeVar("_T")


class ContainerScope:
    """Where a batch of members is: in which file, how deep, and what room is left there."""

    def __init__(self, container: DocumentState, room: ContainerBudget) -> None:
        self.container = container
        self.room = room
        self.is_asked_again = False
        """What failed in the file and would fail again is tried again nonetheless."""


class ContainerIngestion:
    """Walks the members of containers, one container at a time."""

    def __init__(self, store: MemberStore, router: ServiceRouter) -> None:
        """Nothing is read yet."""
        self._store = store
        self._router = router
        self._pipeline_fingerprint = store.pipeline_fingerprint
        self._pipeline_fingerprints = (
            store.pipeline_fingerprint,
            router.clients.limits_fingerprint + store.pipeline_fingerprint,
        )

    async def walk(
        self,
        t: DocumentState,
        inside: ContainerScope | None,
        stages: frozenset[Stage],
        through: Callable[[list[DocumentState], ContainerScope], Awaitable[None]],
    ) -> None:
        """Take what is inside of ``t`` through the stages, and note how it ended.

        Args:
            t: a container; fails if it can't be listed.
            inside: where it is itself; None for a file.
            stages: of the run.
            through: takes a batch through them.
        """
        within = ContainerScope(t, self._room(inside))
        if t.holds is not None:
            members = await self._listed(t, t.holds, within)
            if members is None:
                return
        else:
            rows = await asyncio.to_thread(self._store.rows, [t.row.document_id])
            members = [DocumentState(row) for row in rows]
        within.is_asked_again = await self._is_asked_again(t, inside)
        tally = t.members = MemberSummary(kept=[m.row.document_id for m in members])
        due = []
        for m in members:
            if (error := self._settled(m, within)) is not None:
                tally.total += 1
                tally.is_limited = (
                    tally.is_limited or m.row.pipeline_fingerprint != self._pipeline_fingerprint
                )
                tally.note(m.row.path, error, Stage(m.row.failed_stage or Stage.PARSED_DOCUMENTS))
            else:
                due.append(m)
        for batch in in_batches(due, _size):
            await through(batch, within)
            for m in batch:
                tally.add(m, stages)
        if inside is not None:
            # What is left is shared by all that is inside of the file.
            level = inside.room.level
            inside.room = ContainerBudget(level, within.room.members, within.room.bytes)

    async def _listed(
        self, t: DocumentState, media_type: str, within: ContainerScope
    ) -> list[DocumentState] | None:
        assert t.data is not None
        room = within.room
        try:
            listed = await asyncio.wrap_future(
                self._router.services.workers.submit(list_members, t.data, media_type, room)
            )
        except DocumentError as error:
            t.fail(Stage.PARSED_DOCUMENTS, error)
            return None
        spent = sum(member.size for member in listed)
        within.room = ContainerBudget(room.level, room.members - len(listed), room.bytes - spent)
        rows = await asyncio.to_thread(self._store.sync, t.row, listed)
        return [DocumentState(row, member) for row, member in zip(rows, listed, strict=True)]

    def _room(self, inside: ContainerScope | None) -> ContainerBudget:
        limits = self._router.clients.document_limits
        if inside is None:
            return ContainerBudget(1, limits.max_members, limits.max_expanded_mib << 20)
        return ContainerBudget(inside.room.level + 1, inside.room.members, inside.room.bytes)

    async def _is_asked_again(self, t: DocumentState, inside: ContainerScope | None) -> bool:
        """Whether somebody asked for the whole file, which would end as it did."""
        if inside is not None:
            return inside.is_asked_again
        if t.row.is_manually_requested:
            return True
        if not _fails_again(t.row, self._pipeline_fingerprints) or t.row.sha256 != t.content_sha256:
            return False
        # Else it is walked for something inside of it, and for that alone.
        return not await asyncio.to_thread(self._store.is_any_due, t.row.partition_key)

    def _settled(self, m: DocumentState, within: ContainerScope) -> TvdbError | None:
        """Why a member that is as it was when it failed would fail again."""
        row = m.row
        is_asked_for = within.is_asked_again or row.is_manually_requested
        if is_asked_for or m.member is None or not _fails_again(row, self._pipeline_fingerprints):
            return None
        # Of a container each member is asked for itself.
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
    """Members in their order, as many at once as may be held at once."""
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
