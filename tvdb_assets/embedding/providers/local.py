"""Semantic vectors, computed on this machine from weights in a wheel; no key, no network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.embedder_protocol import EmbeddingProvider, Transport
from tvdb_assets.models import Provenance, VectorSpace
from tvdb_assets.settings import Settings

NAME = "wordllama"
MODEL = "l2_supercat_256"
DIMENSIONS = 256
_BATCH = 64
"""Texts whose token vectors are in memory at once: 512 tokens of 256 floats each, 32 MB."""


class LocalEmbedder:
    """wordllama: averaged token vectors, loaded from the wheel's own folder."""

    max_tokens: int | None = None

    @cached_property
    def space(self) -> VectorSpace:
        """Its version is that of the wheel, which contains the weights."""
        return VectorSpace(NAME, MODEL, DIMENSIONS, version("wordllama"))

    @cached_property
    def produced_by(self) -> Provenance:
        """wordllama, in the mode local."""
        return Provenance(NAME, "local", MODEL, version("wordllama"))

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        from safetensors.numpy import load_file

        weights = load_file(_folder() / "weights" / f"{MODEL}.safetensors")
        return np.ascontiguousarray(weights["embedding.weight"], np.float32)

    @cached_property
    def _tokenizer(self) -> object:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(
            str(_folder() / "tokenizers" / "l2_supercat_tokenizer_config.json")
        )
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Shape (len(texts), 256), each of length 1; NaN for a text without a known token."""
        return await asyncio.to_thread(self._embed, texts)

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = np.full((len(texts), DIMENSIONS), np.nan, np.float32)
        weights = self._weights
        for start in range(0, len(texts), _BATCH):
            batch = list(texts[start : start + _BATCH])
            encoded = self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)  # type: ignore[attr-defined]
            for row, tokens in enumerate(encoded, start):
                ids = np.asarray(tokens.ids)
                if len(ids):
                    mean = weights[ids].mean(axis=0)
                    norm = np.linalg.norm(mean)
                    vectors[row] = mean / norm if norm else 0
        return vectors


def _folder() -> Path:
    """The wheel's folder, without importing it: its import reconfigures the root logger."""
    spec = find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise codes.PACKAGE_MISSING.error(package=NAME)
    return Path(spec.origin).parent


def _make(_: Settings, __: Transport) -> LocalEmbedder:
    return LocalEmbedder()


def _make_for_space(_: VectorSpace, __: Settings, ___: Transport) -> LocalEmbedder:
    return LocalEmbedder()


PROVIDERS = (EmbeddingProvider(NAME, _make, _make_for_space),)
