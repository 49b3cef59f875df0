"""What is inside of documents: each member walks as a document of its own.

What belongs here: which members of a container are walked, in batches, and what their ends mean
for it. What does not: listing and taking them out (`parsing.container_members`), the stages, which
are those of any document (`walk`), or statements (`repositories.member_store`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tvdb_assets import error_codes as codes
from tvdb_assets.core.member_paths import SEPARATOR
from tvdb_assets.errors import Disposition, DocumentError, TvdbError
from tvdb_assets.ingestion.document_state import DocumentState, Metadata, Value
from tvdb_assets.models import Stage
from tvdb_assets.parsing.container_members import ContainerBudget, list_members
from tvdb_assets.redaction import display_path, is_private
from tvdb_assets.repositories.member_store import MemberStore
from tvdb_assets.repositories.rows import DocumentRow
from tvdb_assets.routing.service_router import ServiceRouter

BATCH_MEMBERS = 256
"""Walked at once; the container's bytes are sent to a worker again for each batch."""
BATCH_BYTES = 16 << 20
"""Bytes of members that are held at once, as of files."""
_SHOWN = 10
"""Members that a container's failure names; `tvdb status` names them all."""
_SUMMED = frozenset({"chunks", "tokens", "cost_usd", "paid_requests", "paid_tokens", "paid_pages"})

_T = TypeVar("_T")


@dataclass(slots=True)
class MemberSummary:
    """How the members of a container ended, not counting theirs."""

    total: int = 0
    failed: list[tuple[str, TvdbError, Stage]] = field(default_factory=list)
    """Path, why, and where."""
    deferred: list[tuple[str, TvdbError, Stage]] = field(default_factory=list)
    is_degraded: bool = False
    is_current_index_stale: bool = False
    is_limited: bool = False
    kept: list[int] = field(default_factory=list)
    """Document ids; other members of the container are gone."""
    changed: set[Stage] = field(default_factory=set)
    """Stages that made something of a member."""
    sums: dict[Stage, dict[str, int | float]] = field(default_factory=dict)

    def add(self, t: DocumentState, stages: frozenset[Stage]) -> None:
        """Count a member that is done."""
        self.total += 1
        self.is_degraded = self.is_degraded or t.is_degraded
        self.is_current_index_stale = self.is_current_index_stale or t.is_current_index_stale
        self.is_limited = self.is_limited or t.is_limited
        if t.error is not None and t.failed_at is not None:
            self.note(t.row.path, t.error, t.failed_at)
        for result in t.results(stages):
            if not result.is_unchanged:
                self.changed.add(result.stage)
            _add(self.sums.setdefault(result.stage, {}), result.metadata)

    def note(self, path: str, error: TvdbError, stage: Stage) -> None:
        """Count a failure or a wait."""
        is_deferred = error.disposition is Disposition.DEFERRED
        (self.deferred if is_deferred else self.failed).append((path, error, stage))

    def told(self, stage: Stage, own: Metadata) -> dict[str, Value]:
        """The metadata of a container: its own with the sums over its members."""
        sums = dict(self.sums.get(stage, {}))
        _add(sums, own)
        failed = sum(at is stage for _, _, at in self.failed)
        return {**own, **sums, "members": self.total, "members_failed": failed}

    def verdict(self, container: str) -> tuple[TvdbError, Stage] | None:
        """What its members mean for the container: failed if one did, else waiting if one does."""
        if self.failed:
            is_hopeless = all(e.disposition is Disposition.TERMINAL for _, e, _ in self.failed)
            names = ", ".join(
                f"{_name(container, path)} ({error.code})"
                for path, error, _ in self.failed[:_SHOWN]
            )
            more = len(self.failed) - _SHOWN
            error: TvdbError = codes.MEMBERS_FAILED.error(
                failed=len(self.failed),
                total=self.total,
                names=names + (f" and {more:,} more" if more > 0 else ""),
                disposition=Disposition.TERMINAL if is_hopeless else Disposition.TRANSIENT,
            )
            return error, min((s for _, _, s in self.failed), key=list(Stage).index)
        if self.deferred:
            _, first, _ = self.deferred[0]
            error = type(first).restored(
                first.code,
                f"{len(self.deferred):,} of {self.total:,} documents inside it wait: "
                + first.message,
                remedy=first.remedy,
                disposition=first.disposition,
            )
            return error, min((s for _, _, s in self.deferred), key=list(Stage).index)
        return None


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
            router.limits_fingerprint + store.pipeline_fingerprint,
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
                self._router.workers.submit(list_members, t.data, media_type, room)
            )
        except DocumentError as error:
            t.fail(Stage.PARSED_DOCUMENTS, error)
            return None
        spent = sum(member.size for member in listed)
        within.room = ContainerBudget(room.level, room.members - len(listed), room.bytes - spent)
        rows = await asyncio.to_thread(self._store.sync, t.row, listed)
        return [DocumentState(row, member) for row, member in zip(rows, listed, strict=True)]

    def _room(self, inside: ContainerScope | None) -> ContainerBudget:
        limits = self._router.limits
        if inside is None:
            return ContainerBudget(1, limits.max_members, limits.max_expanded_mib << 20)
        return ContainerBudget(inside.room.level + 1, inside.room.members, inside.room.bytes)

    async def _is_asked_again(self, t: DocumentState, inside: ContainerScope | None) -> bool:
        """Whether somebody asked for the whole file, which would end as it did."""
        if inside is not None:
            return inside.is_asked_again
        if t.row.is_manually_requested:
            return True
        if not _is_settled(t.row, self._pipeline_fingerprints) or t.row.sha256 != t.content_sha256:
            return False
        # Else it is walked for something inside of it, and for that alone.
        return not await asyncio.to_thread(self._store.is_any_due, t.row.partition_key)

    def _settled(self, m: DocumentState, within: ContainerScope) -> TvdbError | None:
        """Why a member that is as it was when it failed would fail again."""
        row = m.row
        is_asked_for = within.is_asked_again or row.is_manually_requested
        if is_asked_for or m.member is None or not _is_settled(row, self._pipeline_fingerprints):
            return None
        # Of a container each member is asked for itself.
        if row.sha256 != m.member.sha256 or row.error_code == codes.MEMBERS_FAILED.code:
            return None
        if row.error_code is None:
            return None
        return DocumentError.restored(
            row.error_code, row.error_message or "", remedy=row.error_remedy or ""
        )


def _is_settled(row: DocumentRow, pipeline_fingerprints: Collection[str]) -> bool:
    return row.quarantine is not None and row.pipeline_fingerprint in pipeline_fingerprints


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


def _name(container: str, path: str) -> str:
    return display_path(path) if is_private(path) else path.removeprefix(container + SEPARATOR)


def _add(sums: dict[str, int | float], told: Metadata) -> None:
    for name in _SUMMED & told.keys():
        value = told[name]
        if isinstance(value, int | float):
            sums[name] = sums.get(name, 0) + value


def _size(m: DocumentState) -> int:
    return m.member.size if m.member is not None else m.row.size
