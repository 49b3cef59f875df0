"""The contract of ``await router.embed(texts)`` in every mode and of every paid provider."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from tvdb_assets.core.vector_validation import check_vectors
from tvdb_assets.embedding.embedder_protocol import Vectors
from tvdb_assets.embedding.embedding_result import EmbeddingResult
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.models import Provenance
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import ServiceMode, load_settings
from tvdb_assets.spend_guard.guard import Transaction
from tvdb_assets_tests.contracts.second_providers import COMPATIBLE, EMBEDDER, second_providers
from tvdb_assets_tests.paid_apis import Behaviour, expected_vectors, running_server
from tvdb_assets_tests.paid_router import PaidServicesFixture

TEXTS = ["The insured pays.", "保险合同", "👩‍👩‍👧‍👦", "x", "a line\nand another", "word " * 700]
PROVIDERS = {
    **{"real": "openai", "hybrid": "openai", "real 2": EMBEDDER, "hybrid 2": EMBEDDER},
    "real 3": COMPATIBLE,
}
"""The provider of each mode. All except OpenAI exist in the tests only."""
SPACES = {
    "mock": "mock/md5-uniform@1536",
    "local": "wordllama/l2_supercat_256@256",
    **{mode: f"{name}/text-embedding-3-small@1536" for mode, name in PROVIDERS.items()},
}
RECORDED = {"mock": "mock", "local": "local", **dict.fromkeys(PROVIDERS, "real")}


@pytest.fixture
def paid(paid_in_shared: PaidServicesFixture) -> Iterator[PaidServicesFixture]:
    with second_providers():
        yield paid_in_shared


@pytest.fixture(params=SPACES)
def mode(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


def embed(paid: PaidServicesFixture, mode: str, texts: Sequence[str]) -> EmbeddingResult:
    return paid.use(lambda router: router.embed(texts), service_mode="local", **choice(mode))


def choice(mode: str) -> dict[str, object]:
    """The settings that choose a mode and its provider."""
    return {"embedder_mode": mode.split()[0], "embedder": PROVIDERS.get(mode, "openai")}


def test_each_text_gets_one_finite_vector(paid: PaidServicesFixture, mode: str) -> None:
    done = embed(paid, mode, TEXTS)
    assert done.vectors.dtype == np.float32
    assert not done.errors
    assert check_vectors(done.vectors, len(TEXTS), done.space.dimensions) == []
    assert len(done) == len(list(done)) == len(TEXTS)
    np.testing.assert_array_equal(done[2], list(done)[2])


def test_no_texts_give_no_vectors(paid: PaidServicesFixture, mode: str) -> None:
    done = embed(paid, mode, [])
    assert done.vectors.shape == (0, done.space.dimensions)
    assert paid.apis.requests == []


def test_a_vector_depends_on_its_text_alone(paid: PaidServicesFixture, mode: str) -> None:
    together = embed(paid, mode, TEXTS).vectors
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(embed(paid, mode, [text])[0], vector, atol=1e-6)
    reverse = embed(paid, mode, TEXTS[::-1]).vectors
    np.testing.assert_allclose(reverse[::-1], together, atol=1e-6)


def test_different_texts_have_different_vectors(paid: PaidServicesFixture, mode: str) -> None:
    assert len({vector.tobytes() for vector in embed(paid, mode, TEXTS)}) == len(TEXTS)


def test_equal_texts_have_equal_vectors(paid: PaidServicesFixture, mode: str) -> None:
    done = embed(paid, mode, ["a", "b", "a"])
    np.testing.assert_array_equal(done[0], done[2])


def test_a_large_batch_keeps_its_order(paid: PaidServicesFixture, mode: str) -> None:
    texts = [f"Clause {number} of the policy." for number in range(512)]
    paid.apis.faults.script("shuffled")
    vectors = embed(paid, mode, texts).vectors
    for number in (0, 63, 64, 300, 511):
        np.testing.assert_allclose(
            vectors[number], embed(paid, mode, [texts[number]])[0], atol=1e-6
        )


def test_the_end_of_a_long_text_counts(paid: PaidServicesFixture, mode: str) -> None:
    long = "The roof is made of slate. " * 1_000
    one, other = embed(paid, mode, [long + "Whales " * 50, long + "Taxes " * 50])
    assert not np.allclose(one, other, atol=1e-6)


def test_a_text_without_a_vector_fails_alone(paid: PaidServicesFixture, mode: str) -> None:
    done = embed(paid, mode, ["good", "half \ud83d of a face", "also good"])
    assert list(done.errors) == [1]
    assert done.errors[1].remedy
    assert np.isnan(done[1]).all()
    assert check_vectors(done.vectors[[0, 2]], 2, done.space.dimensions) == []


def test_the_mode_that_was_resolved_is_recorded(paid: PaidServicesFixture, mode: str) -> None:
    done = embed(paid, mode, TEXTS)
    assert done.produced_by.mode == RECORDED[mode]
    assert not done.produced_by.is_degraded
    assert done.space.label.startswith(SPACES[mode])
    assert (done.produced_by.service, done.produced_by.model) == (
        done.space.provider,
        done.space.model,
    )


def test_only_paid_modes_send_and_pay(paid: PaidServicesFixture, mode: str) -> None:
    embed(paid, mode, TEXTS)
    is_paid = mode in PROVIDERS
    assert len(paid.apis.requests) == len(paid.ledger()) == int(is_paid)
    assert paid.spent == paid.apis.dollars
    services = paid.rows("SELECT DISTINCT service FROM tvdb.cost_ledger")
    assert services == [(PROVIDERS.get(mode),)] * is_paid


def test_persisted_vectors_equal_the_returned_ones(paid: PaidServicesFixture, mode: str) -> None:
    persisted: dict[int, Vectors] = {}
    transactions = []

    def persist(
        tx: Transaction | None, at: Sequence[int], vectors: Vectors, produced_by: Provenance
    ) -> None:
        transactions.append(tx)
        assert produced_by.mode == RECORDED[mode]
        persisted.update(zip(at, vectors, strict=True))

    texts = [*TEXTS, TEXTS[0], "half \ud83d"]
    done = paid.use(lambda router: router.embed(texts, persist=persist), **choice(mode))

    assert sorted(persisted) == list(range(len(TEXTS)))
    for at, vector in persisted.items():
        np.testing.assert_array_equal(vector, done[at])
    assert all((tx is not None) == (mode in PROVIDERS) for tx in transactions)


@pytest.mark.parametrize("mode", ["hybrid", "hybrid 2"])
def test_hybrid_degrades_all_texts_of_an_answer_or_none(
    paid: PaidServicesFixture, mode: str
) -> None:
    paid.apis.faults.script("unavailable", times=None)
    done = embed(paid, mode, TEXTS)
    assert done.produced_by.is_degraded
    assert done.produced_by.mode == "local"
    assert done.space.label != embed(paid, "local", TEXTS).space.label
    np.testing.assert_array_equal(done.vectors, embed(paid, "local", TEXTS).vectors)
    assert paid.spent == 0


@pytest.mark.parametrize(
    ("model", "dimensions"),
    [("text-embedding-3-small", 256), ("text-embedding-3-large", None)],
)
def test_models_and_shortened_dimensions(
    paid: PaidServicesFixture, model: str, dimensions: int | None
) -> None:
    done = paid.use(
        lambda router: router.embed(TEXTS),
        **{"embedding_model": model, "embedding_dimensions": dimensions},
    )
    np.testing.assert_array_equal(done.vectors, expected_vectors(TEXTS, model, dimensions))
    assert done.space.dimensions == (dimensions or 3_072)


@pytest.mark.parametrize("setting", ["service_mode", "parser_mode", "embedder_mode"])
@pytest.mark.parametrize("given", ["reel", "REAL", "", " real", "mock,real", 1])
def test_an_invalid_mode_is_an_error_and_never_a_default(setting: str, given: object) -> None:
    with pytest.raises(ConfigurationError, match=f"TVDB_{setting.upper()}"):
        load_settings(**{setting: given})


@pytest.mark.parametrize("mode", ["real", "hybrid"])
@pytest.mark.parametrize(
    ("service", "key"), [("embedder", "OPENAI_API_KEY"), ("parser", "LLAMA_CLOUD_API_KEY")]
)
def test_a_paid_mode_without_a_key_says_so_at_once(
    mode: str, service: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(key, raising=False)
    with pytest.raises(ConfigurationError, match="key_missing") as caught:
        ServiceRouter(load_settings(**{f"{service}_mode": mode}))
    assert key in caught.value.remedy


@pytest.mark.parametrize("mode", list(ServiceMode))
def test_a_plain_class_over_a_real_connection_that_opens_its_own_database(
    server_url: str, empty_url: str, mode: ServiceMode
) -> None:
    async def use(url: str) -> EmbeddingResult:
        settings = load_settings(
            embedder_mode=mode,
            database_url=empty_url,
            OPENAI_API_KEY="sk-test",
            OPENAI_BASE_URL=f"{url}/v1",
        )
        async with ServiceRouter(settings) as router:
            return await router.embed(TEXTS)

    with running_server(Behaviour(keys=frozenset({"sk-test"}))) as server:
        done = asyncio.run(use(server.url))
        assert len(server.apis.charges) == int(mode in ("real", "hybrid"))
    assert done.produced_by.mode == RECORDED[mode]
    assert not done.errors
