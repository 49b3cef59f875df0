"""What is known of one embedding server: learned from the requests that are made anyway. Pure.

What belongs here: the traits, how they are combined, and how they are stored and shown. What does
not: the meaning of a refusal (`server_refusals`), the request (`providers.openai`), or how a batch
that was refused is divided (`paid_embedding`).

Most servers that speak OpenAI's protocol lack a part of it: vectors in base64, shortened vectors,
numbered vectors, a report of the usage, or requests of as many texts. Nobody has to set this: an
answer or a refusal shows it, and it is stored with the state of the service, so that it is learned
once for all processes. A setting has precedence over what was learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TypeAlias

Stored: TypeAlias = dict[str, int | bool | None]
"""Traits as the state of a service contains them."""


@dataclass(frozen=True, slots=True)
class ServerTraits:
    """What is known of one server and model by now; None is not known."""

    dimensions: int | None = None
    """Length of the vectors that the model makes if no length is asked for."""
    takes_base64: bool | None = None
    takes_dimensions: bool | None = None
    """Whether it shortens vectors."""
    max_inputs: int | None = None
    """Most texts in a request."""
    max_request_tokens: int | None = None
    """Most tokens in a request, as counted here."""
    passed_inputs: int = 0
    """The most texts of a request that was answered."""
    passed_tokens: int = 0
    numbers_vectors: bool | None = None
    """Whether each vector has the number of its text; else its place counts."""
    reports_usage: bool | None = None
    """Whether it reports the tokens that it bills; else the most is recorded."""

    @classmethod
    def of(cls, stored: Mapping[str, int | bool | None] | None) -> ServerTraits:
        """The traits as they were stored; another release may have stored more."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in (stored or {}).items() if name in names})  # type: ignore[arg-type]

    @property
    def stored(self) -> Stored:
        """For the state of the service."""
        return asdict(self)

    def merged(self, other: ServerTraits) -> ServerTraits:
        """What is known from both; of two limits the lower one, else ``other`` is newer."""
        return ServerTraits(
            dimensions=other.dimensions or self.dimensions,
            takes_base64=_newer(self.takes_base64, other.takes_base64),
            takes_dimensions=_newer(self.takes_dimensions, other.takes_dimensions),
            max_inputs=_lower(self.max_inputs, other.max_inputs),
            max_request_tokens=_lower(self.max_request_tokens, other.max_request_tokens),
            passed_inputs=max(self.passed_inputs, other.passed_inputs),
            passed_tokens=max(self.passed_tokens, other.passed_tokens),
            numbers_vectors=_newer(self.numbers_vectors, other.numbers_vectors),
            reports_usage=_newer(self.reports_usage, other.reports_usage),
        )

    def passed(self, inputs: int, tokens: int) -> ServerTraits:
        """After a request of so many texts and tokens was answered."""
        return replace(
            self,
            passed_inputs=max(self.passed_inputs, inputs),
            passed_tokens=max(self.passed_tokens, tokens),
        )

    def limited(self, inputs: int | None, tokens: int | None) -> ServerTraits:
        """After larger requests were refused for their size, and these were answered."""
        return replace(
            self,
            max_inputs=_lower(self.max_inputs, inputs),
            max_request_tokens=_lower(self.max_request_tokens, tokens),
        )

    def described(self) -> list[str]:
        """What differs from OpenAI's own server, in words; for people."""
        words = []
        if self.dimensions:
            words.append(f"vectors of {self.dimensions} numbers")
        if self.takes_base64 is False:
            words.append("no base64")
        if self.takes_dimensions is False:
            words.append("no shortened vectors")
        if self.max_inputs:
            words.append(f"at most {self.max_inputs} texts a request")
        if self.max_request_tokens:
            words.append(f"at most {self.max_request_tokens} tokens a request")
        if self.numbers_vectors is False:
            words.append("vectors without numbers")
        if self.reports_usage is False:
            words.append("no usage")
        return words


def _newer(known: bool | None, learned: bool | None) -> bool | None:
    return known if learned is None else learned


def _lower(known: int | None, learned: int | None) -> int | None:
    return min(filter(None, (known, learned)), default=None)
