"""A batch that a service refuses or fails at, divided until the cause is found.

What belongs here: into which parts a batch is divided, what the parts show, and the text that fails
alone. What does not: one request (`paid_embedding`), or which refusals there are
(`server_refusals`).

- *Too large*: the parts are halved, one after the other, until one is answered. If another one of
  more texts is refused again, the others are sent in that size. It is remembered if no text was
  refused alone.
- *A text is refused*: four parts, level by level: each is sent before the parts of another. So a
  single text is found in few requests, and is not mistaken for a reason that concerns all texts.
- *The service fails* (no usable answer, or an error that is its own), twice in the same way: it is
  asked for a short text. If it fails at that too, this is an outage, and the batch is retried like
  any other. If it answers, a text is the cause, and is looked for like one that is refused. A text
  fails alone only if the service answered others after it.
- *No vector of an answer is usable*, twice, and a short text gets one: a text that has none alone
  is not sent again.
- *Over the budget*: halved at once, so that the budget is used up to the last text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.embedder_protocol import PaidEmbedder
from tvdb_assets.embedding.embedding_result import ResultCollector
from tvdb_assets.embedding.server_traits import ServerTraits
from tvdb_assets.errors import (
    BudgetError,
    EmbeddingError,
    RateError,
    RefusedError,
    TvdbError,
    UnavailableError,
)
from tvdb_assets.spend_guard.call_failures import CallFailed
from tvdb_assets.spend_guard.call_log import ServiceEvent
from tvdb_assets.spend_guard.guard import Guard

_PARTS = 4
_SAME_REFUSAL = 4
"""If so many parts of one call, which share no text, are refused for an unknown reason and none is
accepted, the reason is not in the texts."""
_SUSPECT_FAILURES = 2
"""Equal failures of one request until the service is asked for a short text."""
_FAILURES_OF_A_TEXT = 4
"""Failed requests with a text until it fails alone."""


@dataclass(frozen=True, slots=True)
class Part:
    """Texts of one request."""

    order: list[int]
    is_split: bool = False
    """Its batch was refused as a whole."""
    replaces_unknown: bool = False
    """This part and the next ones replace a part that was refused for an unknown reason."""
    failures: int = 0
    """Requests with these texts that the service failed at, though it answers for others."""
    is_outage: bool = False
    """Retried as a whole, whatever the service fails at."""
    attempts_made: int = 0
    """Attempts that count for this part and were made before: at it, and at a short text."""

    @property
    def suspect_failures(self) -> int | None:
        """See `RetryPolicy`: equal failures that may be due to a text, before it is divided."""
        if self.is_outage:
            return None
        return 1 if self.failures or self.is_split else _SUSPECT_FAILURES

    def may_be_divided(self, error: TvdbError) -> bool:
        """Whether a text may be what the service failed at."""
        cause = error.__cause__
        return isinstance(cause, CallFailed) and cause.may_be_input and not self.is_outage


class DividedCall(Protocol):
    """The call whose batches are divided; see `paid_embedding.PaidEmbedding`."""

    @property
    def embedder(self) -> PaidEmbedder:
        """The embedder of the call."""

    @property
    def guard(self) -> Guard:
        """The guard of the call."""

    @property
    def is_halted(self) -> bool:
        """Whether nothing more is sent."""

    async def attempt(
        self, part: Part, result: ResultCollector
    ) -> EmbeddingError | BudgetError | RateError | UnavailableError | None:
        """One request; returns why it was refused or not made, if a part of it may succeed."""

    async def is_answering(self) -> bool:
        """Whether the service answers for a short text."""

    async def refuse(self, position: int, error: EmbeddingError, result: ResultCollector) -> None:
        """Record that answers which were paid for have no usable vector of a text."""

    def halt(self, error: TvdbError) -> None:
        """Send nothing more; the first error is raised."""

    def has_passed(self, order: Sequence[int]) -> bool:
        """Whether this server has answered a request of about as many texts and tokens."""

    def tokens(self, order: Sequence[int]) -> int:
        """Tokens of these texts, as counted here."""


class BatchDivision:
    """Sends the batches of one call, and divides those that fail."""

    def __init__(self, call: DividedCall, result: ResultCollector) -> None:
        """Nothing is sent yet."""
        self._call = call
        self._result = result
        self._accepted = 0
        self._unknown = 0

    async def send(self, part: Part) -> None:
        """Send one batch; what of it is refused ends up as errors in the result."""
        parts = deque([part])
        suspects: list[tuple[Part, UnavailableError, int]] = []
        passed: list[Part] = []
        most: int | None = None
        """Most texts of a part, once two that share no text were refused for their size."""
        passes: int | None = None
        """Texts of a part that was answered after a larger one was refused for its size."""
        was_large, was_refused = False, False
        while parts and not self._call.is_halted:
            part = parts.popleft()
            if most is not None and len(part.order) > most:
                parts.extendleft(reversed(_in_size(part, most)))
                continue
            self._unknown -= part.replaces_unknown
            stopped = await self._call.attempt(part, self._result)
            if self._call.is_halted and stopped is None:
                break
            if stopped is None:
                self._accepted += 1
                passed.append(part)
                passes = max(passes or 0, len(part.order)) if was_large else None
                continue
            if isinstance(stopped, UnavailableError):
                smaller = await self._after_failure(part, stopped, suspects)
                was_refused = True
                await self._note(part, smaller, stopped)
                if len(part.order) > 1 and len(smaller) > 1:
                    parts.extend(smaller)
                else:
                    parts.extendleft(smaller)
                continue
            is_refused = isinstance(stopped, EmbeddingError)
            is_unknown = is_refused and stopped.code == codes.REQUEST_REFUSED.code
            # A request as large was answered before: then a text is the reason.
            is_large = _is_about_size(stopped) and not self._call.has_passed(part.order)
            self._unknown += is_unknown
            if isinstance(stopped, EmbeddingError):
                was_large |= is_large
                was_refused |= not is_large
                if is_large and passes is not None and len(part.order) > passes:
                    most = passes
                if not self._accepted and self._unknown >= _SAME_REFUSAL:
                    self._call.halt(_refuses_all(stopped))
                elif len(part.order) == 1:
                    was_refused = True
                    self._result.refuse(part.order[0], stopped)
            elif len(part.order) == 1:
                self._call.halt(stopped)
            if len(part.order) == 1:
                continue
            smaller = [
                Part(order, part.is_split or is_refused, is_unknown and not number, part.failures)
                for number, order in enumerate(
                    self._divided(part.order, 2 if is_large or not is_refused else _PARTS)
                )
            ]
            await self._note(part, smaller, stopped)
            if is_refused and not is_large:
                parts.extend(smaller)
            else:
                parts.extendleft(reversed(smaller))
        await self._judge(suspects)
        if was_large and not was_refused and passed and not self._call.is_halted:
            largest = max(len(part.order) for part in passed)
            tokens = max(self._call.tokens(part.order) for part in passed)
            self._call.embedder.add_traits(ServerTraits().limited(largest, tokens))

    async def _after_failure(
        self,
        part: Part,
        error: UnavailableError,
        suspects: list[tuple[Part, UnavailableError, int]],
    ) -> list[Part]:
        """The parts to send instead of one that the service failed at."""
        if not part.failures:
            if not await self._call.is_answering():
                return [replace(part, is_outage=True, attempts_made=_SUSPECT_FAILURES + 1)]
            part = replace(part, failures=_SUSPECT_FAILURES - 1)
        failures = part.failures + 1
        if len(part.order) == 1:
            if (why := _unusable(error)) is not None:
                refused = codes.VECTOR_UNUSABLE.error(why=why)
                refused.__cause__ = error
                await self._call.refuse(part.order[0], refused, self._result)
                return []
            if failures >= _FAILURES_OF_A_TEXT:
                suspects.append((part, error, self._accepted))
                return []
            return [replace(part, failures=failures)]
        return [
            Part(order, is_split=True, failures=failures)
            for order in self._divided(part.order, _PARTS)
        ]

    async def _judge(self, suspects: Sequence[tuple[Part, UnavailableError, int]]) -> None:
        """Refuse the texts that the service failed at, if it has answered for others since."""
        for part, error, accepted in suspects:
            if self._call.is_halted:
                return
            if self._accepted == accepted and not await self._call.is_answering():
                self._call.halt(error)
                return
            failure = error.__cause__
            status = failure.status if isinstance(failure, CallFailed) else None
            why = f"status {status}" if status is not None else "no answer"
            refused = codes.TEXT_BREAKS_SERVICE.error(service=self._call.embedder.service, why=why)
            refused.__cause__ = error
            self._result.refuse(part.order[0], refused)

    def _divided(self, order: list[int], parts: int) -> list[list[int]]:
        """Equal parts; smaller ones if the service takes fewer texts, as its refusal may say."""
        size = min(-(-len(order) // parts), self._call.embedder.max_inputs)
        return [order[start : start + size] for start in range(0, len(order), size)]

    async def _note(self, part: Part, smaller: Sequence[Part], error: TvdbError) -> None:
        if len(smaller) < 2:
            return
        sizes = " and ".join(str(len(one.order)) for one in smaller[:2])
        await self._call.guard.event_log.record(
            ServiceEvent.BATCH_HALVED,
            self._call.embedder.service,
            f"{len(part.order)} texts are sent as {sizes}{' and so on' * (len(smaller) > 2)}.",
            code=error.code,
        )


def _is_about_size(error: TvdbError) -> bool:
    cause = error.__cause__
    return isinstance(cause, CallFailed) and cause.is_about_size


def _unusable(error: TvdbError) -> str | None:
    cause = error.__cause__
    return cause.unusable if isinstance(cause, CallFailed) else None


def _in_size(part: Part, most: int) -> list[Part]:
    """The texts of a part in parts of a size that the service takes."""
    return [
        replace(part, order=part.order[start : start + most], replaces_unknown=False)
        for start in range(0, len(part.order), most)
    ]


def _refuses_all(cause: EmbeddingError) -> RefusedError:
    error = codes.ALL_REQUESTS_REFUSED.error(count=_SAME_REFUSAL)
    error.__cause__ = cause
    return error
