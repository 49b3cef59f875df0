"""What can go wrong, and which request it happens to.

What belongs here: the kinds of faults, the queue of scripted ones, and the rates of random
ones. What does not: what a fault does to an answer (`refusals`, `embeddings`, `parsing`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """Every way to misbehave. Those up to ``RESET_BEFORE_WORK`` are never billed."""

    RATE_LIMITED = "rate_limited"
    RATE_LIMITED_SECONDS = "rate_limited_seconds"
    RATE_LIMITED_DATE = "rate_limited_date"
    RATE_LIMITED_MS = "rate_limited_ms"
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    UNAVAILABLE = "unavailable"
    GATEWAY_TIMEOUT = "gateway_timeout"
    OVERLOADED = "overloaded"
    BAD_GATEWAY_HTML = "bad_gateway_html"
    INVALID_KEY = "invalid_key"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    """The model of an embedding request; the job or file of a parsing request."""
    INSUFFICIENT_QUOTA = "insufficient_quota"
    CREDIT_BALANCE_EXHAUSTED = "credit_balance_exhausted"
    PAYMENT_REQUIRED = "payment_required"
    BILLING_HARD_LIMIT_400 = "billing_hard_limit_400"
    BILLING_HARD_LIMIT_429 = "billing_hard_limit_429"
    REFUSED_TEXT = "refused_text"
    """400, with a message that repeats the text, as providers do."""
    UNKNOWN_CODE = "unknown_code"
    TOO_LARGE = "too_large"
    UNPROCESSABLE = "unprocessable"
    REDIRECT = "redirect"
    """To the same address: a client that follows it sends the request again."""
    RESET_BEFORE_WORK = "reset_before_work"

    SLOW = "slow"
    DRIP = "drip"
    """The answer comes in small pieces, each of them in time."""
    OVERSIZED = "oversized"
    GZIP_BOMB = "gzip_bomb"
    """As large, and small on the line."""
    RESET_AFTER_WORK = "reset_after_work"
    RESET_MID_BODY = "reset_mid_body"
    TRUNCATED_JSON = "truncated_json"
    EMPTY_BODY = "empty_body"
    HTML_200 = "html_200"

    SHUFFLED = "shuffled"
    ONE_TOO_FEW = "one_too_few"
    ONE_TOO_MANY = "one_too_many"
    DUPLICATED_INDEX = "duplicated_index"
    MISSING_INDEX = "missing_index"
    WRONG_DIMENSIONS = "wrong_dimensions"
    NOT_A_NUMBER = "not_a_number"
    ZERO_VECTOR = "zero_vector"

    JOB_FAILED = "job_failed"
    JOB_CANCELLED = "job_cancelled"
    JOB_UNKNOWN_STATUS = "job_unknown_status"
    JOB_PARTIAL = "job_partial"
    JOB_NEVER_FINISHES = "job_never_finishes"
    JOB_NEVER_BILLED = "job_never_billed"
    """The pages come and the charge is real, but ``usage`` stays null."""

    BATCH_INVALID = "batch_invalid"
    BATCH_EXPIRED = "batch_expired"
    """Half of the lines are done in time."""
    BATCH_LINES_FAIL = "batch_lines_fail"
    """Every third line."""
    BATCH_SHUFFLED = "batch_shuffled"
    BATCH_DUPLICATES = "batch_duplicates"
    BATCH_UNKNOWN_IDS = "batch_unknown_ids"
    BATCH_LINES_MISSING = "batch_lines_missing"
    """Half of the lines are done and billed, and in no file."""
    BATCH_TRUNCATED = "batch_truncated"
    BATCH_WITHOUT_USAGE = "batch_without_usage"


_KINDS = list(FaultKind)
BEFORE_WORK = frozenset(_KINDS[: _KINDS.index(FaultKind.SLOW)])
OF_EMBEDDINGS = frozenset(
    _KINDS[_KINDS.index(FaultKind.SHUFFLED) : _KINDS.index(FaultKind.JOB_FAILED)]
)
OF_JOBS = frozenset(
    _KINDS[_KINDS.index(FaultKind.JOB_FAILED) : _KINDS.index(FaultKind.BATCH_INVALID)]
)
OF_BATCHES = frozenset(_KINDS[_KINDS.index(FaultKind.BATCH_INVALID) :])

_SECONDS = {FaultKind.SLOW: 60.0, FaultKind.DRIP: 60.0}
"""Longer than any client waits; everything else asks to come back in a second."""

BATCH_OPERATIONS = tuple(
    f"batch_{name}"
    for name in ("upload", "create", "poll", "list", "cancel", "download", "discard", "line")
)
OPERATIONS = ("embeddings", "upload", "submit", "poll", "list", "cancel", "probe")
OPERATIONS += BATCH_OPERATIONS


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it happens.

    Attributes:
        seconds: How long to wait (``RATE_LIMITED_*``) or how late the answer is (``SLOW``,
            and ``DRIP`` for its last piece).
    """

    kind: FaultKind
    seconds: float


@dataclass(slots=True)
class _Scripted:
    fault: Fault
    operation: str
    skip: int
    left: int | None
    marker: str | None


class FaultPlan:
    """Chooses the fault of each request: scripted ones first, in order, then by chance."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._scripted: list[_Scripted] = []
        self._rates: dict[str, list[tuple[float, Fault]]] = {}

    def script(
        self,
        kind: FaultKind | str,
        *,
        operation: str = "embeddings",
        times: int | None = 1,
        after: int = 0,
        marker: str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Give the next ``times`` requests of this operation a fault; None means all of them.

        With a ``marker``, only requests with a text (or a file) that contains it. The first
        ``after`` of those requests are spared. ``seconds`` is what a rate limit asks to wait,
        or how late a slow answer is.
        """
        _check_operation(operation)
        if times is not None and times < 1:
            raise ValueError(f"a fault happens at least once, not {times} times")
        fault = _fault(kind, operation, seconds)
        self._scripted.append(_Scripted(fault, operation, after, times, marker))

    def set_rates(
        self,
        rates: Mapping[FaultKind, float] | Mapping[str, float],
        *,
        operation: str = "embeddings",
        seconds: float | None = None,
    ) -> None:
        """Give each request of this operation a fault with these probabilities.

        They replace the operation's earlier ones. ``seconds`` is as in `script`.
        """
        _check_operation(operation)
        if sum(rates.values()) > 1 or any(rate < 0 for rate in rates.values()):
            raise ValueError("rates are probabilities and add up to at most 1")
        self._rates[operation] = [
            (rate, _fault(kind, operation, seconds)) for kind, rate in rates.items()
        ]

    def clear(self) -> None:
        self._scripted.clear()
        self._rates.clear()

    def choose(self, operation: str, texts: Sequence[str]) -> Fault | None:
        for entry in self._scripted:
            if entry.operation != operation:
                continue
            if entry.marker is not None and not any(entry.marker in text for text in texts):
                continue
            if entry.skip:
                entry.skip -= 1
                continue
            if entry.left is not None:
                entry.left -= 1
                if not entry.left:
                    self._scripted.remove(entry)
            return entry.fault
        rates = self._rates.get(operation)
        if not rates:
            return None
        drawn = self._random.random()
        for rate, fault in rates:
            if drawn < rate:
                return fault
            drawn -= rate
        return None


def _check_operation(operation: str) -> None:
    if operation not in OPERATIONS:
        raise ValueError(f"no operation {operation!r}; there are {', '.join(OPERATIONS)}")


def _fault(name: FaultKind | str, operation: str, seconds: float | None) -> Fault:
    kind = FaultKind(name)
    if (kind in OF_EMBEDDINGS and operation != "embeddings") or (
        (kind in OF_JOBS and operation != "submit")
        or (kind in OF_BATCHES and operation != "batch_create")
    ):
        raise ValueError(f"{kind} can't happen to {operation!r}")
    return Fault(kind, _SECONDS.get(kind, 1.0) if seconds is None else seconds)
