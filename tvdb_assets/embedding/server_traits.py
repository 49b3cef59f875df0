"""What a server of OpenAI's protocol accepts, learned from its refusals: pure.

What belongs here: which refusal teaches what. What does not: the request (`providers.openai`), or
how a batch that was refused is divided (`paid_embedding`).

Most servers that speak the protocol lack a part of it: vectors in base64, shortened vectors, or
requests of as many texts. A refusal that says so changes the next request. So it costs one request
at most for each part, and no setting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_REFUSALS = frozenset({400, 413, 415, 422, 501})
_NOT_SUPPORTED = re.compile(
    r"not (?:currently |yet )?(?:support|permit|allow|implement)|unsupported|unrecognized|"
    r"unknown|unexpected|extra|invalid"
)
_NO_VALUE = re.compile(r"must be (?:less|greater|at|between|an? int|positive)|less than or equal")
"""The server has the parameter, and refuses its value."""
_MANY_INPUTS = re.compile(r"batch[ _]size|batch contains|in one batch|(?:many|number of) inputs")
_LIMIT = re.compile(
    r"(?:max\w*|at most|up to|limit\w*|exceeds?|(?:larger|greater|more) than)\D{0,40}(\d+)"
)


@dataclass(frozen=True, slots=True)
class ServerTraits:
    """What is known of one server by now; the defaults are those of OpenAI."""

    takes_base64: bool = True
    takes_dimensions: bool = True
    max_inputs: int | None = None
    """Most texts in a request; None if no request was refused for their number."""

    def after_refusal(
        self, status: int, message: str, *, inputs: int, sent_dimensions: bool
    ) -> ServerTraits:
        """What is known after a request was refused; the same if the refusal teaches nothing.

        Args:
            status: of HTTP.
            message: of the service, in any case.
            inputs: texts in the request.
            sent_dimensions: whether it asked for shortened vectors.
        """
        if status not in _REFUSALS:
            return self
        message = message.lower()
        if sent_dimensions and re.search("dimension|matryoshka", message):
            if _NOT_SUPPORTED.search(message) and not _NO_VALUE.search(message):
                return replace(self, takes_dimensions=False)
            return self
        if self.takes_base64 and re.search("base64|encoding[ _]?format", message):
            return replace(self, takes_base64=False)
        if inputs > 1 and is_about_inputs(message):
            found = [int(number) for number in _LIMIT.findall(message)]
            lower = [number for number in found if 0 < number < inputs]
            return replace(self, max_inputs=min(lower)) if lower else self
        return self


def is_about_inputs(message: str) -> bool:
    """Whether a message says that a request contains too many texts."""
    message = message.lower()
    return _MANY_INPUTS.search(message) is not None and "token" not in message
