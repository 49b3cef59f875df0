"""What the answers of an embedding server mean, and teach about it.

What belongs here: answers and refusals as failures, and what is remembered of them. What does not:
the request (`providers`), the reasons of refusals (`server_refusals`), or how what was learned is
shared (`paid_embedding`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.embedder_protocol import PaidEmbedder
from tvdb_assets.embedding.refused_requests import failure_of
from tvdb_assets.embedding.response_decoding import (
    NoUsableVectorError,
    OtherCountError,
    numbers_vectors,
)
from tvdb_assets.embedding.server_refusals import Reason, read_refusal
from tvdb_assets.embedding.server_traits import ServerTraits
from tvdb_assets.embedding.unusable_answers import UnusableAnswers, unusable_answer
from tvdb_assets.spend_guard.call_failures import CallFailed, FailureKind
from tvdb_assets.spend_guard.http_failures import connection_failure
from tvdb_assets.spend_guard.paid_http_client import UnusableAnswerError
from tvdb_assets.spend_guard.rate_limiter import RateLimitHeaders, RateLimits


class LearningEmbedder(PaidEmbedder):
    """An embedder of OpenAI's protocol that learns what its server takes."""

    display_name: str
    """For messages."""

    @property
    @abstractmethod
    def _shortened(self) -> int | None:
        """The length of vectors to ask for; None where the model makes it anyway."""

    @cached_property
    def _unusable_answers(self) -> UnusableAnswers:
        return UnusableAnswers(self.display_name)

    def _unusable(self, error: ValueError, raw: Any, inputs: int) -> CallFailed:
        """The meaning of an answer without usable vectors; what it teaches is remembered."""
        if self._is_unknown:
            other = self._unusable_answers.other_server(raw.status_code, error)
            if other is not None:
                return other
        may_take_fewer = self.learns and inputs > self.traits.passed_inputs
        failure = unusable_answer(
            self.display_name,
            error,
            raw.status_code,
            raw.headers.get("x-request-id"),
            too_many=inputs if may_take_fewer else None,
        )
        received = error.received if isinstance(error, OtherCountError) else None
        if failure.is_about_size and received is not None and 0 < received < inputs:
            self.add_traits(ServerTraits(max_inputs=received))
        failure.may_be_input = self.learns and not failure.is_about_size
        if isinstance(error, NoUsableVectorError):
            failure.may_be_input = True
            failure.unusable = str(error)
        return failure

    @property
    def _is_unknown(self) -> bool:
        """Whether it has never given an answer with vectors."""
        return self.learns and self.traits.reports_usage is None

    def _broken(self, cause: BaseException | None) -> CallFailed:
        if self._is_unknown and isinstance(cause, UnusableAnswerError):
            other = self._unusable_answers.other_server(200, None)
            if other is not None:
                return other
        failure = connection_failure(self.display_name, cause)
        failure.may_be_input = failure.was_sent
        return failure

    def _refused(
        self, status: int, body: bytes, headers: Mapping[str, str], inputs: int
    ) -> CallFailed:
        """The meaning of a refusal; what it teaches is remembered."""
        refusal = read_refusal(
            status, body, inputs=inputs, sent_dimensions=self._shortened is not None
        )
        if refusal.message:
            self._unusable_answers.refused()
        failure = failure_of(self.display_name, refusal, headers, refusal.message)
        failure.rate_limit_headers = rate_limit_headers(headers)
        if self.is_bill_exact:
            return failure
        if refusal.reason is Reason.ENCODING and self.traits.takes_base64 is not False:
            self.add_traits(ServerTraits(takes_base64=False))
        elif refusal.reason is Reason.DIMENSIONS and self.traits.takes_dimensions is not False:
            self.add_traits(ServerTraits(takes_dimensions=False))
            own = self.traits.dimensions
            if own is not None:
                error = codes.DIMENSIONS_REFUSED.error(
                    service=self.display_name, dimensions=own, wanted=self._shortened
                )
                return CallFailed(FailureKind.REFUSED, error, status=status)
        else:
            if refusal.most_inputs is not None:
                self.add_traits(ServerTraits(max_inputs=refusal.most_inputs))
            return failure
        return CallFailed(
            FailureKind.LEARNED,
            failure.error,
            retry_after=0.0,
            status=status,
            request_id=failure.request_id,
        )

    def _learn_from_answer(
        self, body: bytes, vectors: NDArray[np.float32], tokens: int | None
    ) -> None:
        traits = ServerTraits(reports_usage=bool(tokens))
        if len(vectors) > 1 and self.traits.numbers_vectors is None:
            traits = replace(traits, numbers_vectors=numbers_vectors(body, len(vectors)))
        if self._shortened is None:
            traits = replace(traits, dimensions=vectors.shape[1])
        elif self.traits.takes_dimensions is None:
            traits = replace(traits, takes_dimensions=True)
        self.add_traits(traits)


def rate_limit_headers(headers: Any) -> RateLimitHeaders:
    """The limits in the headers of an answer; those that are no numbers are left out."""

    def number(name: str) -> float | None:
        try:
            value = float(headers[f"x-ratelimit-{name}"])
        except (KeyError, ValueError):
            return None
        return max(0.0, value) if isfinite(value) else None

    limits = RateLimits(number("limit-requests") or 0.0, number("limit-tokens") or 0.0)
    return RateLimitHeaders(limits, number("remaining-requests"), number("remaining-tokens"))
