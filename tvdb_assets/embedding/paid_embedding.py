"""Many texts to paid vectors: requests of the right size, each past the guard.

What belongs here: how a list of texts becomes requests and their responses become one result; the
discovery of a server by its first answer. What does not: finding the text that a server refuses
(`divided_batches`), one request (`providers`), money and retries (`spend_guard.guard`), where
vectors are stored (the caller's ``persist``), or free embedders (`free_embedding`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from math import ceil

import numpy as np
import psycopg

from tvdb_assets import error_codes as codes
from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.correlation import new_part
from tvdb_assets.embedding.divided_batches import BatchDivision, Part
from tvdb_assets.embedding.embedder_protocol import PaidEmbedder, Vectors
from tvdb_assets.embedding.embedding_result import (
    EmbeddingResult,
    PersistErrors,
    PersistVectors,
    ResultCollector,
    TextToEmbed,
    distinct_positions,
    is_unicode,
    unsendable,
)
from tvdb_assets.embedding.server_discovery import turn_to_discover
from tvdb_assets.embedding.server_traits import ServerTraits
from tvdb_assets.embedding.texts_at_risk import LEAST, TextsAtRisk
from tvdb_assets.errors import (
    BudgetError,
    EmbeddingError,
    RateError,
    StorageError,
    TvdbError,
    UnavailableError,
)
from tvdb_assets.models import Stage
from tvdb_assets.spend_guard.budget import NO_HOURLY_LIMIT
from tvdb_assets.spend_guard.call_failures import CallFailed
from tvdb_assets.spend_guard.guard import Guard, PaidCall, ServiceResponse, Transaction
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.spend_guard.paid_call import CheckClaim
from tvdb_assets.spend_guard.paid_service import RequestPermit, ensure_declared
from tvdb_assets.spend_guard.service_state import ServiceState
from tvdb_assets.spend_guard.token_ratio import TokenBound, TokenRatio
from tvdb_assets.tracing import TracedOperation

_REQUESTS_A_MINUTE = 8
"""A minute's token limit is divided into at least so many requests: so many may be in flight and
wait in one queue, and none is to reach the longest wait there."""
_SIMILAR = 1.25
"""Requests of so much more tokens than one that was answered are not sent alone."""
_FIRST_INPUTS = 16
_FIRST_TOKENS = 16_384
"""Of the first request to an unknown server. Each that is answered allows twice as many: then few
requests are refused for their size."""


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
        persist_errors: PersistErrors | None = None,
        at_risk: TextsAtRisk | None = None,
        check_claim: CheckClaim | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            guard: reserves, sends and posts each request.
            embedder: paid per request.
            concurrency: bounds the requests in flight.
            wait_if_open: False halts at once where the breaker is open.
            persist: stores each response's good vectors in the transaction that posts its cost.
            persist_errors: records, in the same transaction, which texts have no usable vector, so
                that they are not paid for again.
            at_risk: bounds the texts in flight whose vectors are stored; None bounds this call.
            check_claim: see `Guard.call`.

        Raises:
            ConfigurationError: the embedder is no `PaidEmbedder`, so that it would pass no guard.
        """
        ensure_declared(embedder, PaidEmbedder)
        self._guard = guard
        self._embedder = embedder
        self._concurrency = concurrency
        self._at_risk = at_risk or TextsAtRisk()
        self._wait_if_open = wait_if_open
        self._persist = persist
        self._persist_errors = persist_errors
        self._check_claim = check_claim
        self._ratio = TokenRatio()
        self._bounds: dict[int, TokenBound] = {}
        """By position, where it has to be learned how the service counts."""
        self._texts: Sequence[TextToEmbed] = ()
        self._halted: TvdbError | None = None
        self._is_query = False
        self._queued = 0
        """Requests that wait for their turn or are in flight."""
        self._left_queue = asyncio.Event()
        """Set, and replaced, whenever a request leaves the queue."""

    async def embed(
        self, texts: Sequence[TextToEmbed], *, is_query: bool = False
    ) -> EmbeddingResult:
        """Embed these texts, equal ones once.

        When one request is halted, those in flight are still awaited and stored.

        Args:
            texts: to embed.
            is_query: they are questions, and no passages: some models want another prefix.

        Raises:
            ServiceError: the reason why a request was halted.
        """
        self._is_query = is_query
        prefix = self._embedder.query_prefix if is_query else self._embedder.document_prefix
        if prefix:
            texts = [replace(t, text=prefix + t.text) if t.text else t for t in texts]
        self._texts = texts = await asyncio.to_thread(_counted, texts)
        await self.discover()
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
        if order:
            state = await self._read_state()
            if not self._embedder.is_bill_exact:
                self._bounds = {i: TokenBound.of(texts[i].text, texts[i].tokens) for i in order}
            try:
                await self._send_all(order, result, state)
            finally:
                await self._share_traits(state)
        if self._halted is not None:
            raise self._halted
        return result.finished()

    async def discover(self) -> None:
        """Find out the length of the vectors, by one short text, if no process knows it.

        Raises:
            ServiceError: the service can't answer, or refuses even a short text.
        """
        if self._embedder.is_undiscovered:
            async with turn_to_discover(self._embedder.server):
                state = await self._read_state()
                if self._embedder.is_undiscovered:
                    await self._discover(state)

    async def _discover(self, state: ServiceState) -> None:
        try:
            await self._embed_short_text()
        except EmbeddingError as error:
            cause = error.__cause__
            status = cause.status if isinstance(cause, CallFailed) else None
            service = self._embedder.service
            raise codes.SHORT_TEXT_REFUSED.error(service=service, status=status) from error
        finally:
            await self._share_traits(state)

    async def _send_all(
        self, order: list[int], result: ResultCollector, state: ServiceState
    ) -> None:
        """Take texts off the list until it is empty, in requests of the size that is right now."""
        if self._persist is not None:
            self._at_risk.add(len(order))
        requests_left = await self._requests_left()
        division = BatchDivision(self, result)
        a_minute = int(state.limiter.limits.tokens_per_minute / _REQUESTS_A_MINUTE)
        running: set[asyncio.Task[None]] = set()
        failed: BaseException | None = None
        start = 0
        while start < len(order) and self._halted is None and failed is None:
            end = self._end_of_next(order, start, requests_left, a_minute)
            # A single text that is not stored has nothing to lose by being retried as a whole.
            part = Part(order[start:end], is_outage=self._persist is None and len(order) == 1)
            if end < len(order) and self._teaches(part):
                async with self._at_risk.probing:
                    await self._read_state()
                    following = self._end_of_next(order, start, requests_left, a_minute)
                    if end != following or not self._teaches(part):
                        continue  # Another request has taught it meanwhile.
                    await self._enter(part)
                    await self._send(division, part)
            else:
                await self._enter(part)
                running.add(asyncio.create_task(self._send(division, part)))
            start = end
            failed = next((t.exception() for t in running if t.done()), None)
        # One that fails does not end the others, whose requests are out.
        for ended in await asyncio.gather(*running, return_exceptions=True):
            if ended is not None:
                raise ended

    async def _enter(self, part: Part) -> None:
        if self._persist is not None:
            await self._at_risk.enter(len(part.order))

    async def _send(self, division: BatchDivision, part: Part) -> None:
        try:
            await division.send(part)
        finally:
            if self._persist is not None:
                self._at_risk.leave(len(part.order))

    def _end_of_next(
        self, order: list[int], start: int, requests_left: int | None, a_minute: int
    ) -> int:
        """Where the next request ends that begins at ``start``, by what is known now."""
        embedder, traits = self._embedder, self._embedder.traits
        most_inputs, most_tokens = embedder.max_inputs, embedder.max_request_tokens
        if a_minute:
            most_tokens = min(most_tokens, a_minute)
        # A server with a model of OpenAI is most likely a proxy of it.
        if embedder.learns and not embedder.is_count_exact:
            most_inputs = min(most_inputs, max(_FIRST_INPUTS, 2 * traits.passed_inputs))
            most_tokens = min(most_tokens, max(_FIRST_TOKENS, 2 * traits.passed_tokens))
        if self._persist is not None:
            size = self._at_risk.request_size(len(order), requests_left)
            most_inputs = min(most_inputs, size)
        tokens, end = 0, start
        while end < len(order) and end - start < most_inputs:
            tokens += self._texts[order[end]].tokens
            if tokens > most_tokens and end > start:
                break
            end += 1
        return end

    def _teaches(self, part: Part) -> bool:
        """Whether its answer shows how the service counts, or that it takes so many texts."""
        is_first = bool(self._bounds) and not self._ratio.is_known
        return is_first or (self._embedder.learns and not self.has_passed(part.order))

    async def _requests_left(self) -> int | None:
        """Requests that the hour has left; None if there is no limit."""
        ledger, service = self._guard.ledger, self._embedder.service

        def read() -> int | None:
            most = ledger.limits.requests_an_hour(service)
            if most == NO_HOURLY_LIMIT:
                return None
            return max(1, most - ledger.committed(service).service_hour_requests)

        if self._persist is None or self._at_risk.left <= LEAST:
            return None
        # The size of a request is no limit: the reservation checks it.
        with suppress(psycopg.Error, StorageError):
            return await asyncio.to_thread(read)
        return None

    async def attempt(
        self, part: Part, result: ResultCollector
    ) -> EmbeddingError | BudgetError | RateError | UnavailableError | None:
        """One request; returns why it was refused or not made, if a part of it may succeed."""
        async with self._concurrency:
            if self._halted is not None:
                return None
            try:
                await self._request_in_turn(part, result)
            except (EmbeddingError, BudgetError) as error:
                return error
            except TvdbError as error:
                if isinstance(error, RateError) and error.code == codes.REQUEST_EXCEEDS_RATE.code:
                    return error
                if isinstance(error, UnavailableError) and part.may_be_divided(error):
                    return error
                self.halt(error)
                return None
            if self._embedder.learns:
                tokens = self.tokens(part.order)
                self._embedder.add_traits(ServerTraits().passed(len(part.order), tokens))
            return None

    async def is_answering(self) -> bool:
        """Whether the service answers for a short text, so that another text is what it fails at.

        Halts the call where a limit does not allow to ask.
        """
        try:
            await self._embed_short_text()
        except (EmbeddingError, UnavailableError):
            return False
        except TvdbError as error:
            self.halt(error)
            return False
        return True

    def halt(self, error: TvdbError) -> None:
        """Send nothing more; the first error is raised."""
        self._halted = self._halted or error

    async def refuse(self, position: int, error: EmbeddingError, result: ResultCollector) -> None:
        """Record that answers which were paid for have no usable vector of a text."""
        result.refuse(position, error)
        persist = self._persist_errors
        if persist is not None:
            await self._guard.settlement.commit(
                self._embedder.service,
                lambda tx: persist(tx, {position: error}),
                # It may be repeated.
                lambda tx: False,
            )

    @property
    def is_halted(self) -> bool:
        """Whether nothing more is sent."""
        return self._halted is not None

    @property
    def embedder(self) -> PaidEmbedder:
        """The embedder of the call."""
        return self._embedder

    @property
    def guard(self) -> Guard:
        """The guard of the call."""
        return self._guard

    def has_passed(self, order: Sequence[int]) -> bool:
        """Whether this server has answered a request of about as many texts and tokens."""
        traits = self._embedder.traits
        is_larger = self.tokens(order) > _SIMILAR * traits.passed_tokens
        return not is_larger and len(order) <= traits.passed_inputs

    def tokens(self, order: Sequence[int]) -> int:
        """Tokens of these texts, as counted here."""
        return sum(self._texts[position].tokens for position in order)

    async def _request_in_turn(self, part: Part, result: ResultCollector) -> None:
        """As `_request`, but waits until another request has ended, where that may be enough."""
        while self._halted is None:
            self._queued += 1
            is_too_long = False
            try:
                return await self._request(part, result)
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
        await self._read_state()
        return self._ratio.bound(self._bounds[position] for position in order)

    async def _request(self, part: Part, result: ResultCollector) -> None:
        embedder, persist, order = self._embedder, self._persist, part.order
        units: Counter[str] = Counter()
        for position in order:
            units[self._texts[position].document] += self._texts[position].tokens
        call = replace(
            self._call(units, len(order)),
            quantity=await self._bound(order, units.total()),
            most=sum(self._bounds[i].most for i in order) if self._bounds else None,
            likely_quantity=ceil(units.total() * max(1.0, self._ratio.ratio)),
            is_split=part.is_split,
            suspect_failures=part.suspect_failures,
            attempts_made=part.attempts_made,
        )

        unusable: dict[int, str] = {}

        async def send(permit: RequestPermit) -> ServiceResponse[Vectors]:
            answer = await embedder.request([self._texts[i].text for i in order], permit)
            unusable.update(answer.unusable)
            return answer

        def store(tx: Transaction, reservation: Reservation, vectors: Vectors) -> None:
            good = result.add(order, vectors, unusable)
            if persist is not None and good:
                persist(tx, good, result.vectors[good], embedder.produced_by)
            if self._persist_errors is not None and (errors := result.errors_of(order)):
                self._persist_errors(tx, errors)

        await self._guard.call(
            call,
            send,
            store,
            wait_if_open=self._wait_if_open,
            check_claim=self._check_claim,
        )

    async def _embed_short_text(self) -> None:
        """Embed a text that any server accepts; stores nothing.

        It shows the length of the vectors, and that the service answers. Each one is another text,
        so that none is paid for twice.
        """
        text = f"Clause {new_part().hex[:8]}"
        bound = TokenBound.of(text, count_tokens(text))
        is_exact = self._embedder.is_bill_exact
        call = replace(
            self._call(Counter({"": bound.counted}), 1),
            quantity=bound.counted if is_exact else bound.most,
            most=None if is_exact else bound.most,
            likely_quantity=bound.counted,
            # It is neither a question nor a passage.
            price=max(self._embedder.price, self._embedder.query_price, key=lambda p: p.unit_usd),
            suspect_failures=None if self._embedder.is_undiscovered else 1,
        )

        async def send(permit: RequestPermit) -> ServiceResponse[Vectors]:
            answer = await self._embedder.request([text], permit)
            return replace(answer, value=np.zeros(0, np.float32))

        await self._guard.call(
            call,
            send,
            lambda tx, reservation, nothing: None,
            wait_if_open=self._wait_if_open,
            check_claim=None,
        )

    def _call(self, units: Counter[str], inputs: int) -> PaidCall:
        """A call of these tokens by document, which are an exact bound."""
        embedder = self._embedder
        return PaidCall(
            service=embedder.service,
            operation="embed",
            model=embedder.model,
            account=embedder.account,
            price=embedder.query_price if self._is_query else embedder.price,
            quantity=units.total(),
            inputs=inputs,
            documents=list(units),
            quantities=list(units.values()),
            is_count_exact=embedder.is_count_exact,
            stage=Stage.EMBEDDINGS.value,
            traced_as=TracedOperation(
                f"embeddings {embedder.model}",
                {
                    "gen_ai.operation.name": "embeddings",
                    "gen_ai.provider.name": embedder.service,
                    "gen_ai.request.model": embedder.model,
                    "gen_ai.embeddings.dimension.count": embedder.space.dimensions,
                },
            ),
        )

    async def _read_state(self) -> ServiceState:
        """The state of the service; what it says of server and tokenizer is used from now on."""
        embedder = self._embedder
        state, _ = await asyncio.to_thread(self._guard.states.read, embedder.service)
        self._ratio = state.token_ratio(embedder.account)
        if embedder.learns and embedder.server in state.servers:
            embedder.add_traits(ServerTraits.of(state.servers[embedder.server]))
        return state

    async def _share_traits(self, known: ServiceState) -> None:
        """Store what was learned of the server, for all processes."""
        embedder = self._embedder
        name, learned = embedder.server, embedder.traits
        if not embedder.learns or ServerTraits.of(known.servers.get(name)) == learned:
            return

        def transition(state: ServiceState, now: float) -> tuple[ServiceState, None]:
            merged = ServerTraits.of(state.servers.get(name)).merged(learned)
            return replace(state, servers={**state.servers, name: merged.stored}), None

        await asyncio.to_thread(self._guard.states.change, embedder.service, transition)


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
