"""Servers that speak a part of OpenAI's protocol are used without a setting.

What belongs here: what such servers refuse or leave out, and how many requests it costs. What does
not: failures of the service as a whole (`test_paid_failures`), or bills (`test_reported_usage`).
"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tvdb_assets.errors import RefusedError
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets_tests.embedding.server_kinds import (
    DIMENSIONS,
    KINDS,
    NO_BASE64,
    Asked,
    Kind,
    Refused,
    Server,
    error,
    vector_of,
)
from tvdb_assets_tests.paid_router import PaidServicesFixture
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters

TEXTS = [f"Clause {number} covers damage by water." for number in range(90)]
SETTINGS = {
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "embedding_model": "a-model-of-another-server",
    "embedding_dimensions": DIMENSIONS,
    "embedding_usd_per_million": "0.02",
}
NO_LENGTHS = KINDS["vLLM: no shortened vectors"]
_EXTRA = {"detail": [{"type": "extra_forbidden", "loc": ["body", "dimensions"]}]}
UNKNOWN_PARAMETER = Kind(lambda asked: Refused(422, _EXTRA) if asked.dimensions else None)


def neither(asked: Asked) -> Refused | None:
    """Neither shortened vectors nor base64, one after the other."""
    if asked.dimensions:
        return Refused(400, error("Unsupported parameter: dimensions"))
    return Refused(400, {"error": NO_BASE64}) if asked.encoding == "base64" else None


def unnamed_limit(most: int, status: int = 400) -> Kind:
    body = error("input is too large to process. increase the physical batch size")
    return Kind(lambda asked: Refused(status, body) if len(asked.texts) > most else None)


@pytest.mark.parametrize(
    ("kind", "wasted"),
    [(NO_LENGTHS, 1), (UNKNOWN_PARAMETER, 1), (Kind(neither), 2)],
    ids=["no shortened vectors", "unknown parameter", "neither"],
)
def test_a_part_of_the_protocol_that_a_server_lacks_is_left_out(
    paid_in_shared: PaidServicesFixture, kind: Kind, wasted: int
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(kind)

    result = paid.use(lambda router: router.embed(TEXTS), **SETTINGS)

    assert np.allclose(result.vectors, [vector_of(text) for text in TEXTS], atol=1e-6)
    assert server.wasted <= wasted
    check_counters(paid.database)


def test_no_length_of_vectors_has_to_be_set(paid_in_shared: PaidServicesFixture) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(Kind())
    given = {**SETTINGS, "embedding_dimensions": None}

    result = paid.use(lambda router: router.embed(TEXTS), **given)

    assert np.allclose(result.vectors, [vector_of(text) for text in TEXTS], atol=1e-6)
    assert result.space.dimensions == DIMENSIONS
    assert server.asked[0] == 1
    # Another process knows it.
    before = len(server.asked)
    paid.use(lambda router: router.embed(TEXTS[:3]), **given)
    assert server.asked[before:] == [3]
    check_counters(paid.database)


def test_first_calls_at_the_same_time_discover_a_server_once(
    paid_in_shared: PaidServicesFixture,
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(Kind())

    async def embed_all(router: ServiceRouter) -> None:
        # A search has a separate embedder.
        others = [paid.router(**given) for _ in range(2)]
        calls = [r.embed(TEXTS[at : at + 1]) for at, r in enumerate([router, router, *others])]
        await asyncio.gather(*calls)
        for other in others:
            await other.disconnect()

    given = {**SETTINGS, "embedding_dimensions": None}
    paid.use(embed_all, **given)

    assert len(server.asked) == 5


def test_a_length_that_the_model_has_anyway_is_not_asked_for(
    paid_in_shared: PaidServicesFixture,
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(NO_LENGTHS)
    paid.use(lambda router: router.embed(TEXTS), **SETTINGS)
    assert server.wasted == 0


def test_a_length_that_the_model_can_not_make_is_reported_with_its_own(
    paid_in_shared: PaidServicesFixture,
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(NO_LENGTHS)
    with pytest.raises(RefusedError, match="8 numbers") as caught:
        paid.use(lambda router: router.embed(TEXTS), **{**SETTINGS, "embedding_dimensions": 4})
    assert caught.value.code == "dimensions_refused"
    assert server.wasted == 1


@pytest.mark.parametrize(("most", "status"), [(2, 500), (5, 422), (12, 413), (40, 400)])
def test_a_limit_that_no_refusal_names_is_found_and_shared(
    paid_in_shared: PaidServicesFixture, most: int, status: int
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(unnamed_limit(most, status))

    result = paid.use(lambda router: router.embed(TEXTS), **SETTINGS)

    assert np.allclose(result.vectors, [vector_of(text) for text in TEXTS], atol=1e-6)
    assert not result.errors
    assert server.wasted <= 5
    before = server.wasted
    paid.use(lambda router: router.embed([f"More {text}" for text in TEXTS]), **SETTINGS)
    assert server.wasted == before
    check_counters(paid.database)


def test_what_a_setting_says_is_not_tried(paid_in_shared: PaidServicesFixture) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(unnamed_limit(7))
    given = {"embedding_max_inputs": 7, "embedding_encoding": "float"}
    paid.use(lambda router: router.embed(TEXTS), **SETTINGS, **given)
    assert server.wasted == 0
    assert server.encodings == {"float"}
