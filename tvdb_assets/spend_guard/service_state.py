"""The state of a paid service, and its change by each outcome of a call: pure.

What belongs here: the state, composed of breaker, limiter and refusal, and its transitions.
What does not: where it is stored so that all processes share it (`service_state_store`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import RefusedError
from tvdb_assets.spend_guard import circuit_breaker, rate_limiter
from tvdb_assets.spend_guard.call_failures import CallFailed, FailureKind
from tvdb_assets.spend_guard.circuit_breaker import Breaker
from tvdb_assets.spend_guard.rate_limiter import Limiter, RateLimitHeaders
from tvdb_assets.spend_guard.token_ratio import TokenRatio

REFUSED_SECONDS = 900.0
"""How long a service that refused key, quota or model is not called with the same account."""
_REFUSAL_PROBE_SECONDS = 120.0
_FARTHEST_SECONDS = 3_700.0
"""No Retry-After, opening or lease reaches farther ahead: an hour is the longest."""
_RESTED_SECONDS = 5.0
"""A success is recorded no more often than this, so that a healthy service costs no writes."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The service refuses this account until someone acts."""

    code: str
    message: str
    remedy: str
    account: str
    """Fingerprint of key, server and model: another account is not refused."""
    until: float
    """After this time one caller may try again."""
    probe: str = ""
    """The caller that tries again right now; the others wait for its result."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One paid service as all processes see it; times are seconds since the epoch."""

    breaker: Breaker = field(default_factory=Breaker)
    limiter: Limiter = field(default_factory=Limiter)
    refusal: Refusal | None = None
    answered_at: float = 0.0
    failed_at: float = 0.0
    failed_message: str = ""
    ratios: dict[str, float] = field(default_factory=dict)
    """By account: the most tokens billed for one that was counted here; see `TokenRatio`."""
    equal_tokens: dict[str, int] = field(default_factory=dict)
    """By account: tokens of answers that billed exactly the count; see `TokenRatio`."""
    servers: dict[str, dict[str, int | bool | None]] = field(default_factory=dict)
    """By server and model: what was learned of it; see `embedding.server_traits`."""

    def token_ratio(self, account: str) -> TokenRatio:
        """What the answers to this account have taught about the service's tokenizer."""
        return TokenRatio(self.ratios.get(account, 0.0), self.equal_tokens.get(account, 0))

    def learn(self, account: str, usage: TokenUsage) -> ServiceState:
        """The state after a request that was billed."""
        known = self.token_ratio(account)
        learned = known.learn(usage.counted, usage.billed, usage.bound)
        if learned == known:
            return self
        return replace(
            self,
            ratios={**self.ratios, account: learned.ratio},
            equal_tokens={**self.equal_tokens, account: learned.equal},
        )


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The tokens of one request that was answered."""

    counted: int
    """As counted here."""
    billed: int
    """As the service reports."""
    bound: int
    """As reserved."""


Change: TypeAlias = Callable[[ServiceState, float, str], ServiceState]
"""Of a service's state, the time in seconds since the epoch, and the caller's name."""


def take_rate_slot(
    service: str, account: str, tokens: int, max_wait: float, caller: str
) -> Callable[[ServiceState, float], tuple[ServiceState, float | None]]:
    """Returns the seconds to wait; None while another caller tries a service that refused."""

    def transition(state: ServiceState, now: float) -> tuple[ServiceState, float | None]:
        refusal = state.refusal
        if refusal is not None and refusal.account == account:
            if now < refusal.until:
                if refusal.probe:
                    return state, None
                raise RefusedError.restored(refusal.code, refusal.message, remedy=refusal.remedy)
            later = replace(refusal, until=now + _REFUSAL_PROBE_SECONDS, probe=caller)
            state = replace(state, refusal=later)
        most = state.limiter.limits.tokens_per_minute
        if most and tokens > most:
            raise codes.REQUEST_EXCEEDS_RATE.error(tokens=tokens, service=service, limit=most)
        changed, wait, is_taken = rate_limiter.admit(state.limiter, now, tokens, max_wait)
        if not is_taken:
            raise codes.RATE_LIMIT_WAIT.error(service=service, seconds=wait)
        return replace(state, limiter=changed), wait

    return transition


def pass_breaker(caller: str) -> Callable[[ServiceState, float], tuple[ServiceState, float]]:
    def transition(state: ServiceState, now: float) -> tuple[ServiceState, float]:
        changed, wait = circuit_breaker.admit(state.breaker, now, caller)
        if wait:
            state = _unprobed(state, now, caller)
        return replace(state, breaker=changed), wait

    return transition


def record_success(
    headers: RateLimitHeaders, account: str = "", usage: TokenUsage | None = None
) -> Change:
    def change(state: ServiceState, now: float, caller: str) -> ServiceState:
        if usage is not None:
            state = state.learn(account, usage)
        is_news = now - state.answered_at > _RESTED_SECONDS or state.refusal is not None
        return replace(
            state,
            breaker=circuit_breaker.record_success(state.breaker, caller),
            limiter=rate_limiter.update_from_headers(state.limiter, now, headers),
            refusal=None,
            answered_at=now if is_news else state.answered_at,
        )

    return change


def release_probe(state: ServiceState, now: float, caller: str) -> ServiceState:
    state = _unprobed(state, now, caller)
    return replace(state, breaker=circuit_breaker.release_probe(state.breaker, caller))


def _unprobed(state: ServiceState, now: float, caller: str) -> ServiceState:
    """The caller that tried a service that had refused found nothing out: let another try."""
    refusal = state.refusal
    if refusal is None or refusal.probe != caller:
        return state
    return replace(state, refusal=replace(refusal, until=now, probe=""))


def record_failure(account: str, failure: CallFailed, *, is_part: bool = False) -> Change:
    """The change by a failed request.

    Args:
        account: see `Refusal`.
        failure: of the request.
        is_part: whether a larger request failed, and a short one was answered since: then a
            failure that may be due to an input says nothing about the service.
    """
    error = failure.error

    def change(state: ServiceState, now: float, caller: str) -> ServiceState:
        state = _unprobed(state, now, caller)
        if is_part and failure.may_be_input:
            return replace(state, breaker=circuit_breaker.release_probe(state.breaker, caller))
        if failure.kind in (FailureKind.CONTENT, FailureKind.UNKNOWN, FailureKind.LEARNED):
            return replace(state, breaker=circuit_breaker.record_success(state.breaker, caller))
        state = replace(state, failed_at=now, failed_message=error.message)
        if failure.kind is FailureKind.UNAVAILABLE:
            state = replace(
                state, breaker=circuit_breaker.record_failure(state.breaker, now, caller)
            )
        else:
            state = replace(state, breaker=circuit_breaker.release_probe(state.breaker, caller))
        if failure.kind is FailureKind.REFUSED:
            until = now + REFUSED_SECONDS
            refusal = Refusal(error.code, error.message, error.remedy, account, until)
            state = replace(state, refusal=refusal)
        known = rate_limiter.update_from_headers(state.limiter, now, failure.rate_limit_headers)
        if failure.retry_after is not None:
            known = rate_limiter.block(known, now, failure.retry_after)
        return replace(state, limiter=known)

    return change


def reset_refusal(state: ServiceState, now: float) -> tuple[ServiceState, None]:
    """Somebody acted: earlier refusals and failures do not count any more."""
    return replace(state, refusal=None, breaker=Breaker()), None


def on_this_clock(state: ServiceState, now: float) -> ServiceState:
    """The state without times so far ahead that the clock must have been set back since.

    Otherwise a service would not be called for as long as the clock was ahead.
    """
    limiter, breaker = state.limiter, state.breaker
    ahead = now + _FARTHEST_SECONDS
    if max(limiter.last, limiter.requests_due, limiter.tokens_due, limiter.blocked_until) > ahead:
        state = replace(state, limiter=Limiter(limits=limiter.limits))
    if max(breaker.open_until, breaker.probe_until) > ahead:
        state = replace(state, breaker=replace(breaker, open_until=now, probe="", probe_until=0.0))
    if state.refusal is not None and state.refusal.until > ahead:
        state = replace(state, refusal=replace(state.refusal, until=now))
    return state
