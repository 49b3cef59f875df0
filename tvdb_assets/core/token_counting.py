"""Exact token counts in OpenAI's ``cl100k_base``, without a download of its vocabulary.

What belongs here: counting tokens, and truncating a text to a number of tokens. What does not:
good places to split a text (`core.chunking`), and prices (`spend_guard`).
"""

from __future__ import annotations

from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import version
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from typing import Protocol

from tvdb_assets import error_codes as codes

ENCODING = "cl100k_base"
LONGEST_TOKEN = 128
"""Code points of the longest token, a run of spaces. A text longer than n times this has more than
n tokens."""


class _Tokenizer(Protocol):
    def count(self, text: str) -> int: ...

    def count_till_limit(self, text: str, limit: int) -> int | None: ...

    def encode(self, text: str) -> list[int]: ...


@cache
def tokenizer() -> _Tokenizer:
    """The Rust tokenizer, which takes about 30 MB and loads in 40 ms.

    The import skips the package's own ``__init__``, which reads the vocabulary again in Python and
    costs 1.2 s and 67 MB in every process that counts.
    """
    package = find_spec("bpe_openai")
    found = package and PathFinder.find_spec("_bindings", package.submodule_search_locations)
    if not found or not found.origin:
        raise codes.PACKAGE_MISSING.error(package="bpe-openai")
    spec = spec_from_file_location("bpe_openai._bindings", found.origin)
    assert spec is not None and spec.loader is not None
    bindings = module_from_spec(spec)
    spec.loader.exec_module(bindings)
    loaded: _Tokenizer = bindings.tokenizer_for_encoding(ENCODING)
    return loaded


def count_tokens(text: str) -> int:
    """Number of tokens of ``text``; the time is linear in its length for any content."""
    return tokenizer().count(text)


def count_up_to(text: str, limit: int) -> int | None:
    """Number of tokens of ``text``, or None if it exceeds ``limit``; stops counting there."""
    if len(text) > 8 * limit:  # for a shorter text, the limit costs more than it saves
        return tokenizer().count_till_limit(text, limit)
    tokens = tokenizer().count(text)
    return tokens if tokens <= limit else None


def prefix_within(text: str, start: int, end: int, limit: int) -> int:
    """The end of the longest prefix of ``text[start:end]`` with at most ``limit`` tokens.

    Reads little more of the text than that prefix. The result may be a few code points shorter
    than the longest possible prefix, and is at least one code point long.

    Returns:
        An offset into ``text``, in code points.
    """
    width = 2 * limit
    while True:
        window = text[start : min(end, start + width)]
        tokens = tokenizer().encode(window)
        if len(tokens) > limit or start + width >= end:
            break
        width *= 2
    length = len(window)
    while len(tokens) > limit:
        # The tokens of a prefix are not always a prefix of the tokens, so they are counted again.
        length = max(1, min(length * limit // len(tokens), length - 1))
        tokens = tokenizer().encode(window[:length])
        if length == 1:
            break
    return start + length


@cache
def tokenizer_fingerprint() -> str:
    """Changes whenever the same text may have another number of tokens."""
    return f"{ENCODING}/bpe-openai-{version('bpe-openai')}"
