"""What the providers would bill, and every request that they saw.

What belongs here: the two logs and the price list that they are written with. The prices are
written out again rather than taken from the package, which is what they check. What does not
belong here: any text. A text is logged by its hash, a file by the hash of its bytes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal

DOLLARS_PER_MILLION_TOKENS = {
    "text-embedding-3-small": Decimal("0.02"),
    "text-embedding-3-large": Decimal("0.13"),
}
DOLLARS_PER_CREDIT = Decimal("1.25") / 1000
CREDITS_PER_PAGE = {"fast": 1, "cost_effective": 3, "agentic": 10, "agentic_plus": 45}


@dataclass(frozen=True, slots=True)
class Charge:
    """One billed piece of work.

    Attributes:
        model: The embedding model, or the parsing tier.
        sha256: Of each text (UTF-8) in the order sent, or of the file.
        answered: False if the answer was lost on purpose, or its reader was gone.
    """

    time: float
    service: str
    operation: str
    client_request_id: str | None
    request_id: str
    model: str
    tokens: int
    credits: int
    dollars: Decimal
    sha256: tuple[str, ...]
    answered: bool
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request, billed or not; ``status`` is 0 if the connection broke before an answer."""

    time: float
    service: str
    operation: str
    client_request_id: str | None
    request_id: str
    status: int
    fault: str | None
    inputs: int


class ChargeRecord:
    """Both logs, in the order of arrival."""

    def __init__(self) -> None:
        self.charges: list[Charge] = []
        self.requests: list[Request] = []
        self._charge_of: dict[str, int] = {}

    def bill(self, charge: Charge) -> None:
        self._charge_of[charge.request_id] = len(self.charges)
        self.charges.append(charge)

    def lose(self, request_id: str) -> None:
        """The answer to this request never reached its reader."""
        place = self._charge_of.get(request_id)
        if place is not None:
            self.charges[place] = replace(self.charges[place], answered=False)

    @property
    def dollars(self) -> Decimal:
        return sum((charge.dollars for charge in self.charges), Decimal(0))

    def counters(self) -> dict[str, object]:
        """Totals, as plain values that JSON can hold."""
        billed = Counter(digest for charge in self.charges for digest in charge.sha256)
        faults = Counter(request.fault for request in self.requests if request.fault)
        return {
            "requests": len(self.requests),
            "operations": dict(Counter(request.operation for request in self.requests)),
            "statuses": dict(Counter(str(request.status) for request in self.requests)),
            "faults": dict(faults),
            "charges": len(self.charges),
            "lost": sum(not charge.answered for charge in self.charges),
            "tokens": sum(charge.tokens for charge in self.charges),
            "credits": sum(charge.credits for charge in self.charges),
            "dollars": str(self.dollars),
            "billed_texts": sum(billed.values()),
            "billed_twice": sum(times - 1 for times in billed.values()),
        }


def embedding_dollars(model: str, tokens: int) -> Decimal:
    return DOLLARS_PER_MILLION_TOKENS[model] * tokens / 1_000_000


def parsing_dollars(credits_used: int) -> Decimal:
    return DOLLARS_PER_CREDIT * credits_used
