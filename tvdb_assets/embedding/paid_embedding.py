"""Many texts to paid vectors: few requests, each past the guard; a refused text found by halving.

What belongs here: how a list of texts becomes requests and their responses become one result.
What does not: one request (`providers`), money and retries (`spend_guard.guard`), where vectors
are stored (the caller's ``persist``), or free embedders (`free_embedding`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

from tvdb_assets import error_codes as codes
from tvdb_assets.core.batching import split_in_half, split_into_batches
from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.embedding.embedder_protocol import PaidEmbedder, Vectors
from tvdb_assets.embedding.embedding_result import (
    EmbeddingResult,
    PersistVectors,
    ResultCollector,
    TextToEmbed,
    distinct_positions,
    is_unicode,
    unsendable,
)
from tvdb_assets.errors import BudgetError, EmbeddingError, RateError, RefusedError, TvdbError
from tvdb_assets.models import Stage
from tvdb_assets.spend_guard.call_log import ServiceEvent
from tvdb_assets.spend_guard.guard import Guard, PaidCall, ServiceResponse, Transaction
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.spend_guard.paid_call import CheckClaim
from tvdb_assets.spend_guard.paid_service import RequestPermit, ensure_declared
from tvdb_assets.spend_guard.token_ratio import TokenBound, TokenRatio
from tvdb_assets.tracing import TracedOperation

_SAME_REFUSAL = 4
"""If so many parts of one call, which share no text, are refused for an unknown reason and none is
accepted, the reason is not in the texts."""
_REQUESTS_A_MINUTE = 8
"""A minute's token limit is divided into at least so many requests: so many may be in flight and
wait in one queue, and none is to reach the longest wait there."""


class PaidEmbedding:
    """Embeds the texts of one call by a paid embedder."""

    def __init__(
        self,
        guard: Guard,
        embedder: PaidEmbedder,
        concurrency: asyncio.Semaphore,
        *,
        wait_if_open: bool,
        persist: PersistVectors | None,
        check_claim: CheckClaim | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            guard: reserves, sends and posts each request.
            embedder: paid per request.
            concurrency: bounds the requests in flight.
            wait_if_open: False halts at once where the breaker is open.
            persist: stores each response's good vectors in the transaction that posts its cost.
            check_claim: see `Guard.call`.

        Raises:
            ConfigurationError: the embedder is no `PaidEmbedder`, so that it would pass no guard.
        """
        ensure_declared(embedder, PaidEmbedder)
        self._guard = guard
        self._embedder = embedder
        self._concurrency = concurrency
        self._wait_if_open = wait_if_open
        self._persist = persist
        self._check_claim = check_claim
        self._accepted = 0
        self._unknown = 0
        self._ratio = TokenRatio()
        self._bounds: dict[int, TokenBound] = {}
        """By position, where it has to be learned how the service counts."""
        self._halted: TvdbError | None = None
        self._queued = 0
        """Requests that wait for their turn or are in flight."""
        self._left_queue = asyncio.Event()
        """Set, and replaced, whenever a request leaves the queue."""

    async def embed(self, texts: Sequence[TextToEmbed]) -> EmbeddingResult:
        """Embed these texts, equal ones once.

        When one request is halted, those in flight are still awaited and stored.

        Raises:
            ServiceError: the reason why a request was halted.
        """
        texts = await asyncio.to_thread(_counted, texts)
        most = self._embedder.max_tokens
        result = ResultCollector(texts, self._embedder)
        order = []
        for position in distinct_positions(texts):
            text = texts[position]
            is_long = most is not None and text.tokens > most
            if not text.text or is_long or not is_unicode(text.text):
                result.refuse(position, unsendable(texts[position]))
            else:
                order.append(position)
        tokens = [texts[position].tokens for position in order]
        state, _ = await asyncio.to_thread(self._guard.states.read, self._embedder.service)
        self._ratio = state.token_ratio(self._embedder.account)
        if not self._embedder.is_bill_exact:
            self._bounds = {i: TokenBound.of(texts[i].text, texts[i].tokens) for i in order}
        requests = list(
            split_into_batches(
                tokens,
                max_inputs=self._embedder.max_inputs,
                max_tokens=min(
                    self._embedder.max_request_tokens,
                    int(state.limiter.limits.tokens_per_minute / _REQUESTS_A_MINUTE)
                    or self._embedder.max_request_tokens,
                ),
            )
        )
        if self._bounds and not self._ratio.is_known and len(requests) > 1:
            # Its answer teaches how the service counts, so that the others reserve less.
            start, end = requests.pop(0)
            await self._batch(texts, order[start:end], result)
        # One that fails does not end the others, whose requests are out.
        for ended in await asyncio.gather(
            *(self._batch(texts, order[start:end], result) for start, end in requests),
            return_exceptions=True,
        ):
            if ended is not None:
                raise ended
        if self._halted is not None:
            raise self._halted
        return result.finished()

    async def _batch(
        self, texts: Sequence[TextToEmbed], order: list[int], result: ResultCollector
    ) -> None:
        """One request; halved where it is refused or over the budget, down to a single text.

        A refused part is halved level by level: its sibling is sent before its own halves, so
        that one text that is refused for an unknown reason is not mistaken for a reason that
        concerns all texts. A part that is over the budget is halved at once, so that the budget is
        used up to the last text.
        """
        parts = deque([_Part(order)])
        while parts and self._halted is None:
            part = parts.popleft()
            self._unknown -= part.replaces_unknown
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
                smaller = [
                    _Part(order, part.is_split or is_refused, is_unknown and not number)
                    for number, order in enumerate(self._divided(part.order))
                ]
                sizes = " and ".join(str(len(one.order)) for one in smaller[:2])
                await self._guard.event_log.record(
                    ServiceEvent.BATCH_HALVED,
                    self._embedder.service,
                    f"{len(part.order)} texts are sent as {sizes}"
                    f"{' and so on' * (len(smaller) > 2)}.",
                    code=stopped.code,
                )
                if is_refused:
                    parts.extend(smaller)
                else:
                    parts.extendleft(reversed(smaller))

    def _divided(self, order: list[int]) -> list[list[int]]:
        """Two halves; more parts if the service takes fewer texts, as its refusal may have said."""
        (_, middle), _ = split_in_half(0, len(order))
        most = self._embedder.max_inputs
        if most >= len(order) - middle:
            return [order[:middle], order[middle:]]
        return [order[start : start + most] for start in range(0, len(order), most)]

    async def _attempt(
        self, texts: Sequence[TextToEmbed], part: _Part, result: ResultCollector
    ) -> EmbeddingError | BudgetError | RateError | None:
        """One request; returns why it was refused or not made, if a half of it may succeed."""
        async with self._concurrency:
            if self._halted is not None:
                return None
            try:
                await self._request_in_turn(texts, part, result)
            except (EmbeddingError, BudgetError) as error:
                return error
            except TvdbError as error:
                if isinstance(error, RateError) and error.code == codes.REQUEST_EXCEEDS_RATE.code:
                    return error
                self._halt(error)
                return None
            self._accepted += 1
            return None

    async def _request_in_turn(
        self, texts: Sequence[TextToEmbed], part: _Part, result: ResultCollector
    ) -> None:
        """As `_request`, but waits until another request has ended, where that may be enough."""
        while self._halted is None:
            self._queued += 1
            is_too_long = False
            try:
                return await self._request(texts, part.order, result, part.is_split)
            except (RateError, BudgetError) as error:
                if isinstance(error, BudgetError):
                    # Those in flight have reserved more than they cost, if the count is no bound.
                    is_late = error.code == codes.BUDGET_EXHAUSTED.code and len(part.order) == 1
                    is_late = is_late and bool(self._bounds)
                else:
                    was_sent = error.__cause__ is not None
                    is_late = error.code == codes.RATE_LIMITED.code and not was_sent
                is_too_long = is_late and self._queued > 1
                if not is_too_long:
                    raise
                left_queue = self._left_queue
            finally:
                self._queued -= 1
                if not is_too_long:
                    self._left_queue.set()
                    self._left_queue = asyncio.Event()
            await left_queue.wait()
        raise self._halted

    async def _bound(self, order: list[int], counted: int) -> int:
        """Most tokens that are billed for these texts, by what is known of the service by now."""
        if not self._bounds:
            return ceil(counted * max(1.0, self._ratio.ratio))
        state, _ = await asyncio.to_thread(self._guard.states.read, self._embedder.service)
        self._ratio = state.token_ratio(self._embedder.account)
        return self._ratio.bound(self._bounds[position] for position in order)

    def _halt(self, error: TvdbError) -> None:
        self._halted = self._halted or error

    async def _request(
        self,
        texts: Sequence[TextToEmbed],
        order: list[int],
        result: ResultCollector,
        is_split: bool,
    ) -> None:
        embedder, persist = self._embedder, self._persist
        units: Counter[str] = Counter()
        for position in order:
            units[texts[position].document] += texts[position].tokens
        call = PaidCall(
            service=embedder.service,
            operation="embed",
            model=embedder.space.model,
            account=embedder.account,
            price=embedder.price,
            quantity=await self._bound(order, units.total()),
            most=sum(self._bounds[i].most for i in order) if self._bounds else None,
            likely_quantity=ceil(units.total() * max(1.0, self._ratio.ratio)),
            inputs=len(order),
            documents=list(units),
            quantities=list(units.values()),
            is_split=is_split,
            is_count_exact=embedder.is_count_exact,
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

        async def send(permit: RequestPermit) -> ServiceResponse[Vectors]:
            return await embedder.request([texts[i].text for i in order], permit)

        def store(tx: Transaction, reservation: Reservation, vectors: Vectors) -> None:
            good = result.add(order, vectors)
            if persist is not None and good:
                persist(tx, good, result.vectors[good], embedder.produced_by)

        await self._guard.call(
            call,
            send,
            store,
            wait_if_open=self._wait_if_open,
            check_claim=self._check_claim,
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """Texts of one request."""

    order: list[int]
    is_split: bool = False
    """Its batch was refused as a whole."""
    replaces_unknown: bool = False
    """This part and the next one replace a part that was refused for an unknown reason."""


def _counted(texts: Sequence[TextToEmbed]) -> list[TextToEmbed]:
    """The texts with their tokens counted here.

    The stored count is from the process that parsed the document, which the document may have taken
    over. A count that is too low would reserve less than is billed. 1 MB takes 50 ms.
    """
    return [
        replace(text, tokens=max(text.tokens, count_tokens(text.text)))
        if is_unicode(text.text)
        else text
        for text in texts
    ]


def _refuses_all(cause: EmbeddingError) -> RefusedError:
    error = codes.ALL_REQUESTS_REFUSED.error(count=_SAME_REFUSAL)
    error.__cause__ = cause
    return error
