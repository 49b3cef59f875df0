"""How many tokens a service bills for those that are counted here: learned from its answers. Pure.

What belongs here: what an answer teaches, and the upper bound that follows. What does not: counting
(`core.token_counting`), or where the ratio is stored (`service_state_store`).

A server with another tokenizer bills other numbers than are counted here. Until it has
answered, the bound of a text is one that no tokenizer exceeds: its bytes. An answer to a request of
at least `ENOUGH_TOKENS` teaches the ratio. From then on, the bound of a text is the highest ratio
seen, with a margin of a quarter, and in addition all bytes that are neither letters of ASCII nor
spaces, because there tokenizers differ most; but never more than the first bound. A bill above its
bound raises the ratio at once. If all bills are equal to the counts, over `EQUAL_TOKENS` in total,
the tokenizers are the same, and the count is the bound, until a bill differs.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil

ENOUGH_TOKENS = 500
"""Counted tokens of a request from which the ratio is learned; of fewer, it says too little."""
EQUAL_TOKENS = 1_000
"""Counted tokens of answers in a row that billed the count, after which the count is the bound."""
_MARGIN = 1.25
_ADDED_TOKENS = 32
"""Most tokens that a server adds to each text: marks of its beginning and end, an instruction."""
_PLAIN = bytes(range(ord("A"), ord("Z") + 1)) + bytes(range(ord("a"), ord("z") + 1)) + b" "
_DIFFERS = -1


@dataclass(frozen=True, slots=True)
class TokenBound:
    """What is certain about the tokens of one text, whatever the tokenizer."""

    counted: int
    """Tokens as counted here."""
    most: int
    """No tokenizer makes more."""
    irregular: int
    """Bytes that are neither letters of ASCII nor spaces."""

    @classmethod
    def of(cls, text: str, counted: int) -> TokenBound:
        """Of one text."""
        encoded = text.encode()
        size = len(encoded)
        if not text.isascii():
            # Some tokenizers normalize first, and a ligature becomes several letters.
            size = max(size, len(unicodedata.normalize("NFKC", text).encode()))
        return cls(counted, size + _ADDED_TOKENS, len(encoded.translate(None, _PLAIN)))


@dataclass(frozen=True, slots=True)
class TokenRatio:
    """What the answers to one account have taught."""

    ratio: float = 0.0
    """The most tokens billed for one that was counted; 0 is not known."""
    equal: int = 0
    """Counted tokens of the answers that billed exactly the count; below 0 if one did not."""

    @property
    def is_known(self) -> bool:
        """Whether the bound is less than that of any tokenizer."""
        return self.ratio > 0 or self.is_equal

    @property
    def is_equal(self) -> bool:
        """Whether the service counts as it is counted here."""
        return self.equal >= EQUAL_TOKENS

    def bound(self, texts: Iterable[TokenBound]) -> int:
        """Most tokens that are billed for these texts in one request."""
        if self.is_equal:
            return sum(text.counted for text in texts)
        if not self.ratio:
            return sum(text.most for text in texts)
        ratio = _MARGIN * self.ratio
        return sum(
            min(text.most, ceil(ratio * text.counted) + text.irregular + _ADDED_TOKENS)
            for text in texts
        )

    def learn(self, counted: int, billed: int, bound: int) -> TokenRatio:
        """What is known after a request that was billed.

        Args:
            counted: tokens as counted here, at least 1.
            billed: tokens as the service reports.
            bound: tokens that were reserved.
        """
        observed = billed / counted
        equal = _DIFFERS
        if billed == counted and self.equal != _DIFFERS:
            equal = min(EQUAL_TOKENS, self.equal + counted)
        if counted >= ENOUGH_TOKENS or billed > bound:
            return replace(self, equal=equal, ratio=max(1.0, self.ratio, observed))
        return replace(self, equal=equal)
