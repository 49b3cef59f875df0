"""The contract of every free embedder, and properties of the mock and the local embedder."""

from __future__ import annotations

import asyncio
import logging
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5

import numpy as np
import pytest

from tvdb_assets.core.vector_validation import check_vectors
from tvdb_assets.embedding.embedder_protocol import Embedder
from tvdb_assets.embedding.providers.local import LocalEmbedder
from tvdb_assets.embedding.providers.mock import MockEmbedder
from tvdb_assets.errors import ServiceError

TEXTS = ["The insured pays.", "保险合同", "👩‍👩‍👧‍👦", "x", "a line\nand another", "word " * 700]


@pytest.fixture(params=[MockEmbedder, LocalEmbedder], scope="module")
def embedder(request: pytest.FixtureRequest) -> Embedder:
    embedder: Embedder = request.param()
    return embedder


def embed(embedder: Embedder, texts: list[str]) -> np.ndarray:
    return asyncio.run(embedder.embed(texts))


def test_each_text_gets_one_finite_vector(embedder: Embedder) -> None:
    vectors = embed(embedder, TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embedder.space.dimensions)
    assert check_vectors(vectors, len(TEXTS), embedder.space.dimensions) == []


def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert embed(embedder, []).shape == (0, embedder.space.dimensions)


def test_a_vector_depends_on_its_text_alone(embedder: Embedder) -> None:
    together = embed(embedder, TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(embed(embedder, [text])[0], vector, atol=1e-6)
    np.testing.assert_allclose(embed(embedder, TEXTS[::-1])[::-1], together, atol=1e-6)


def test_different_texts_have_different_vectors(embedder: Embedder) -> None:
    vectors = embed(embedder, TEXTS)
    assert len({vector.tobytes() for vector in vectors}) == len(TEXTS)


def test_a_large_batch_keeps_its_order(embedder: Embedder) -> None:
    texts = [f"Clause {number} of the policy." for number in range(512)]
    vectors = embed(embedder, texts)
    for number in (0, 63, 64, 300, 511):
        np.testing.assert_allclose(vectors[number], embed(embedder, [texts[number]])[0], atol=1e-6)


def test_the_end_of_a_long_text_counts(embedder: Embedder) -> None:
    long = "The roof is made of slate. " * 1_500
    one, other = embed(embedder, [long + "Whales " * 50, long + "Taxes " * 50])
    assert not np.allclose(one, other, atol=1e-6)


def test_threads_get_the_same_vectors(embedder: Embedder) -> None:
    expected = embed(embedder, TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(lambda _: embed(embedder, TEXTS), range(16)):
            np.testing.assert_allclose(vectors, expected, atol=1e-6)


def test_provenance_and_vector_space_are_stated(embedder: Embedder) -> None:
    assert embedder.produced_by.mode in ("mock", "local")
    assert not embedder.produced_by.is_degraded
    assert str(embedder.space.dimensions) in embedder.space.label


@pytest.mark.parametrize("text", ["", "a", "The insured pays.", "保险", "x" * 5_000])
def test_the_mock_is_pythons_mersenne_twister_seeded_by_md5(text: str) -> None:
    seed = int(md5(text.encode(), usedforsecurity=False).hexdigest()[:8], 16)
    stream = random.Random(seed)
    expected = np.array([stream.uniform(-1, 1) for _ in range(1_536)], np.float32)
    np.testing.assert_array_equal(embed(MockEmbedder(), [text])[0], expected)


def test_the_mock_leaves_the_global_generators_alone() -> None:
    random.seed(7)
    np.random.seed(7)
    expected = (random.random(), np.random.random_sample())
    random.seed(7)
    np.random.seed(7)
    embed(MockEmbedder(), TEXTS)
    assert (random.random(), np.random.random_sample()) == expected


def test_local_vectors_have_length_one_and_meaning() -> None:
    vectors = embed(
        LocalEmbedder(),
        ["How do I report storm damage?", "Claims after a hurricane", "A recipe for apple pie"],
    )
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_a_text_without_a_token_fails_alone() -> None:
    vectors = embed(LocalEmbedder(), ["good", "", "also good"])
    ((row, error),) = check_vectors(vectors, 3, 256)
    assert (row, error.code) == (1, "vector_not_finite")


def test_a_zero_vector_fails_alone() -> None:
    vectors = np.ones((3, 4), np.float32)
    vectors[2] = 0
    ((row, error),) = check_vectors(vectors, 3, 4)
    assert (row, error.code) == (2, "vector_zero")


@pytest.mark.parametrize("shape", [(2, 4), (3, 5), (12,)])
def test_an_answer_of_the_wrong_shape_is_the_services_fault(shape: tuple[int, ...]) -> None:
    with pytest.raises(ServiceError) as caught:
        check_vectors(np.ones(shape, np.float32), 3, 4)
    assert caught.value.code == "bad_answer"


def test_the_local_embedder_leaves_logging_and_the_network_alone() -> None:
    program = (
        "import asyncio, logging, socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "from tvdb_assets.embedding.providers.local import LocalEmbedder\n"
        "vectors = asyncio.run(LocalEmbedder().embed(['a text']))\n"
        "assert vectors.shape == (1, 256)\n"
        "assert logging.getLogger().handlers == []\n"
        "assert 'huggingface_hub' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert logging.getLogger("wordllama").handlers == []
