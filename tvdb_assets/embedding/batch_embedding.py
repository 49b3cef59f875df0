"""Many texts to vectors: equal texts once, few requests, a refused text found by halving.

What belongs here: how a list of texts becomes requests and their answers become one result.
What does not: which embedder (`router`), what one request is (`embedders`), money and
retries (`guard`), where vectors are stored (the caller's ``keep``).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tvdb_assets import error_codes as codes
from tvdb_assets.core.batching import split_in_half, split_into_batches
from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.core.vector_validation import check_vectors
from tvdb_assets.embedding.embedder_protocol import Embedder, PaidEmbedder
from tvdb_assets.errors import BudgetError, EmbeddingError, RateError, RefusedError, TvdbError
from tvdb_assets.models import Provenance, Stage, VectorSpace
from tvdb_assets.spend_guard.call_log import ServiceEvent
from tvdb_assets.spend_guard.guard import Guard, PaidCall, ServiceResponse, Transaction
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.tracing import TracedOperation

_SAME_REFUSAL = 4
"""So many parts of a load without a text in common that are refused for an unknown reason, and
none that is taken, show that the reason is not in the texts."""
_REQUESTS_A_MINUTE = 8
"""Which a minute's allowance of tokens carries at least: so many may be in flight, and wait in one
line, and none is to lose its patience there."""

Vectors: TypeAlias = NDArray[np.float32]
PersistVectors: TypeAlias = Callable[[Transaction | None, Sequence[int], Vectors, Provenance], None]
"""Stores vectors as they arrive: (transaction, positions in ``texts``, vectors of shape
(len(positions), dimensions), who made them). The transaction is None where nothing was paid."""


@dataclass(frozen=True, slots=True)
class TextToEmbed:
    """A text to embed, with what is counted by."""

    text: str
    tokens: int
    """Exact cl100k tokens."""
    document: str = ""
    """Whose cost it is; empty for a search."""

    @classmethod
    def of(cls, text: str) -> TextToEmbed:
        """A text by itself, counted."""
        return cls(text, count_tokens(text) if is_unicode(text) else 0)


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """What an embedder made of texts: a sequence of their vectors, in their order."""

    vectors: Vectors
    """Shape (len(texts), space.dimensions); NaN where there is an error."""
    space: VectorSpace
    produced_by: Provenance
    """With the mode that was resolved for the call."""
    errors: Mapping[int, EmbeddingError] = field(default_factory=dict)
    """By position, the texts that have no vector."""

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, position: int) -> Vectors:
        vector: Vectors = self.vectors[position]
        return vector

    def __iter__(self) -> Iterator[Vectors]:
        return iter(self.vectors)


def is_unicode(text: str) -> bool:
    """Whether it can be encoded: half of a surrogate pair is no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


async def embed_free(
    embedder: Embedder, texts: Sequence[TextToEmbed], keep: PersistVectors | None
) -> EmbeddingResult:
    """Embed on this machine.

    Args:
        embedder: free of charge.
        texts: any number.
        keep: is given the good vectors at once, without a transaction.
    """
    result = _Result(texts, embedder)
    distinct = []
    for position in _distinct(texts):
        if is_unicode(texts[position].text):
            distinct.append(position)
        else:
            result.refuse(position, _cannot_be_sent(texts[position]))
    if distinct:
        made = await embedder.embed([texts[i].text for i in distinct])
        good = result.take(distinct, made)
        if keep is not None and good:
            await asyncio.to_thread(keep, None, good, result.vectors[good], embedder.produced_by)
    return result.finished()


class PaidEmbedding:
    """One load of texts on its way through a paid embedder."""

    def __init__(
        self,
        guard: Guard,
        embedder: PaidEmbedder,
        places: asyncio.Semaphore,
        *,
        wait_if_open: bool,
        keep: PersistVectors | None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            guard: passed by each request.
            embedder: paid by request.
            places: one for each request that may be in flight.
            wait_if_open: False halts at once where the breaker is open.
            keep: stores each answer's good vectors in the transaction that posts its cost.
        """
        self._guard = guard
        self._embedder = embedder
        self._places = places
        self._waits = wait_if_open
        self._keep = keep
        self._accepted = 0
        self._unknown = 0
        self._ratio = 1.0
        self._halted: TvdbError | None = None
        self._in_line = 0
        self._left = asyncio.Event()
        """Set, and replaced, whenever a request leaves the line."""

    async def embed(self, texts: Sequence[TextToEmbed]) -> EmbeddingResult:
        """Pay for what these texts need.

        Requests that are in flight when one of them is halted are still awaited and kept.

        Raises:
            ServiceError: what halted it.
        """
        most = self._embedder.max_tokens
        result = _Result(texts, self._embedder)
        order = []
        for position in _distinct(texts):
            text = texts[position]
            is_long = most is not None and text.tokens > most
            if not text.text or is_long or not is_unicode(text.text):
                result.refuse(position, _cannot_be_sent(texts[position]))
            else:
                order.append(position)
        tokens = [texts[position].tokens for position in order]
        state, _ = await asyncio.to_thread(self._guard.states.read, self._embedder.service)
        self._ratio = state.ratio(self._embedder.account)
        loads = split_into_batches(
            tokens,
            max_inputs=self._embedder.max_inputs,
            max_tokens=min(
                self._embedder.max_request_tokens,
                int(state.limiter.limits.tokens_per_minute / _REQUESTS_A_MINUTE)
                or self._embedder.max_request_tokens,
            ),
        )
        await asyncio.gather(
            *(self._batch(texts, order[start:end], result) for start, end in loads)
        )
        if self._halted is not None:
            raise self._halted
        return result.finished()

    async def _batch(self, texts: Sequence[TextToEmbed], order: list[int], result: _Result) -> None:
        """One request; halved where it is refused or too dear, down to the text that is so.

        What is refused is halved level by level, so that its other half is heard before its own
        halves: a text that is refused for an unknown reason is not taken for a reason that all
        meet. What is too dear is halved at once, so that the budget is used to the last text.
        """
        parts = deque([_Part(order)])
        while parts and self._halted is None:
            part = parts.popleft()
            self._unknown -= part.stands_for_unknown
            stopped = await self._attempt(texts, part, result)
            if stopped is None:
                continue
            is_refused = isinstance(stopped, EmbeddingError)
            is_unknown = is_refused and stopped.code == codes.REQUEST_REFUSED.code
            self._unknown += is_unknown
            if isinstance(stopped, EmbeddingError):
                if not self._accepted and self._unknown >= _SAME_REFUSAL:
                    self._halt(_refuses_all(stopped))
                elif len(part.order) == 1:
                    result.refuse(part.order[0], stopped)
            elif len(part.order) == 1:
                self._halt(stopped)
            if len(part.order) > 1:
                (start, middle), (_, end) = split_in_half(0, len(part.order))
                first = _Part(part.order[start:middle], part.is_split or is_refused, is_unknown)
                second = _Part(part.order[middle:end], part.is_split or is_refused)
                await self._guard.journal.note(
                    ServiceEvent.BATCH_HALVED,
                    self._embedder.service,
                    f"{len(part.order)} texts are tried as {len(first.order)} and "
                    f"{len(second.order)}.",
                    code=stopped.code,
                )
                if is_refused:
                    parts.extend((first, second))
                else:
                    parts.extendleft((second, first))

    async def _attempt(
        self, texts: Sequence[TextToEmbed], part: _Part, result: _Result
    ) -> EmbeddingError | BudgetError | RateError | None:
        """One request; why it was refused or not made, if a part of it may fare better."""
        async with self._places:
            if self._halted is not None:
                return None
            try:
                await self._stand_in_line(texts, part, result)
            except (EmbeddingError, BudgetError) as error:
                return error
            except TvdbError as error:
                if isinstance(error, RateError) and error.code == codes.REQUEST_EXCEEDS_RATE.code:
                    return error
                self._halt(error)
                return None
            self._accepted += 1
            return None

    async def _stand_in_line(
        self, texts: Sequence[TextToEmbed], part: _Part, result: _Result
    ) -> None:
        """As `_request`, but where the line is too long it waits for another to leave it."""
        while self._halted is None:
            self._in_line += 1
            is_too_long = False
            try:
                return await self._request(texts, part.order, result, part.is_split)
            except RateError as error:
                was_sent = error.__cause__ is not None
                is_too_long = (
                    error.code == codes.RATE_LIMITED.code and not was_sent and self._in_line > 1
                )
                if not is_too_long:
                    raise
                left = self._left
            finally:
                self._in_line -= 1
                if not is_too_long:
                    self._left.set()
                    self._left = asyncio.Event()
            await left.wait()
        raise self._halted

    def _halt(self, error: TvdbError) -> None:
        self._halted = self._halted or error

    async def _request(
        self, texts: Sequence[TextToEmbed], order: list[int], result: _Result, is_split: bool
    ) -> None:
        embedder, keep = self._embedder, self._keep
        units: Counter[str] = Counter()
        for position in order:
            units[texts[position].document] += texts[position].tokens
        call = PaidCall(
            service=embedder.service,
            operation="embed",
            model=embedder.space.model,
            account=embedder.account,
            price=embedder.price,
            quantity=ceil(units.total() * self._ratio),
            inputs=len(order),
            documents=list(units),
            quantities=list(units.values()),
            is_split=is_split,
            stage=Stage.EMBEDDINGS.value,
            traced_as=TracedOperation(
                f"embeddings {embedder.space.model}",
                {
                    "gen_ai.operation.name": "embeddings",
                    "gen_ai.provider.name": embedder.service,
                    "gen_ai.request.model": embedder.space.model,
                    "gen_ai.embeddings.dimension.count": embedder.space.dimensions,
                },
            ),
        )

        async def send(request_id: str) -> ServiceResponse[Vectors]:
            return await embedder.request([texts[i].text for i in order], request_id)

        def store(tx: Transaction, reservation: Reservation, vectors: Vectors) -> None:
            good = result.take(order, vectors)
            if keep is not None and good:
                keep(tx, good, result.vectors[good], embedder.produced_by)

        await self._guard.call(call, send, store, wait_if_open=self._waits)


@dataclass(frozen=True, slots=True)
class _Part:
    """Texts of one request."""

    order: list[int]
    is_split: bool = False
    """Of what was refused as a whole."""
    stands_for_unknown: bool = False
    """It and the part after it take the place of one that was refused for an unknown reason."""


class _Result:
    """Collects the vectors and refusals of a load's distinct texts."""

    def __init__(self, texts: Sequence[TextToEmbed], embedder: Embedder | PaidEmbedder) -> None:
        self._texts = texts
        self._space = embedder.space
        self._made_by = embedder.produced_by
        self._errors: dict[int, EmbeddingError] = {}
        self.vectors = np.full((len(texts), self._space.dimensions), np.nan, np.float32)

    def take(self, positions: Sequence[int], vectors: Vectors) -> list[int]:
        """Check vectors and note them; returns the positions of those that may be stored."""
        bad = dict(check_vectors(vectors, len(positions), self._space.dimensions))
        for row, error in bad.items():
            self.refuse(positions[row], error)
        good = [row for row in range(len(positions)) if row not in bad]
        kept = [positions[row] for row in good]
        self.vectors[kept] = vectors[good]
        return kept

    def refuse(self, position: int, error: EmbeddingError) -> None:
        self._errors[position] = error

    def finished(self) -> EmbeddingResult:
        """With what is known of a text noted for all texts that equal it."""
        first: dict[str, int] = {}
        for position, text in enumerate(self._texts):
            source = first.setdefault(text.text, position)
            if source != position:
                self.vectors[position] = self.vectors[source]
                if source in self._errors:
                    self._errors[position] = self._errors[source]
        return EmbeddingResult(self.vectors, self._space, self._made_by, self._errors)


def _distinct(texts: Sequence[TextToEmbed]) -> list[int]:
    """Positions of the first of each text, in order."""
    first: dict[str, int] = {}
    for position, text in enumerate(texts):
        first.setdefault(text.text, position)
    return list(first.values())


def _cannot_be_sent(text: TextToEmbed) -> EmbeddingError:
    if not text.text:
        return codes.TEXT_EMPTY.error()
    if not is_unicode(text.text):
        return codes.TEXT_NOT_UNICODE.error()
    return codes.TEXT_TOO_LONG.error(tokens=text.tokens)


def _refuses_all(cause: EmbeddingError) -> RefusedError:
    error = codes.ALL_REQUESTS_REFUSED.error(count=_SAME_REFUSAL)
    error.__cause__ = cause
    return error
