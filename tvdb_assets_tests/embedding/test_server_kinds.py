"""Every kind of server embeds all texts, or one text fails alone, or the reason is said at once.

What belongs here: a case for each kind. What does not: the kinds (`server_kinds`), what is stored
of them (`test_server_traits`), or ingestions with them (`benchmarks/embedding_servers.py`).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tvdb_assets.embedding.response_decoding import decode
from tvdb_assets.errors import TvdbError
from tvdb_assets_tests.embedding.server_kinds import (
    DIMENSIONS,
    KINDS,
    ONE_FAILS,
    POISON,
    PUBLISHED,
    STOPPED,
    Asked,
    Server,
    vector_of,
)
from tvdb_assets_tests.paid_router import PaidServicesFixture
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters

TEXTS = [f"Clause {number} covers damage by water, if {'it ' * 40}rains." for number in range(66)]
MANY = Asked(TEXTS, "base64", None, 9_000, 1)
SETTINGS: dict[str, Any] = {
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "embedding_model": "a-model-of-another-server",
    "embedding_usd_per_million": "0.02",
    "paid_attempts": 6,
}


_QUICK = {
    *("OpenAI", "vLLM: no base64", "TEI: 32 texts", "Gemini: 20 texts, list body"),
    *("gateway: 413 of 8 kB, no body", "20 vectors at most", "index begins again after 16"),
    *("base64 though floats were asked", "Ollama: /api/embed", "loads its model"),
    *("429 with a date", "a page in the middle", "reset in mid-body once"),
    *("Ollama: NaN", "TEI: too long", "NaN in JSON", "a vector of null"),
    *("a login page", "text", "nothing", "405", "LiteLLM: budget", "Azure: 429 of a day"),
    *("always 500", "not compressed as it says"),
}


def kinds(group: Iterable[str]) -> list[Any]:
    """The others are further forms of the same, of which `decode` is tested alone."""
    return [pytest.param(name, marks=() if name in _QUICK else pytest.mark.full) for name in group]


FORMS = [name for name, kind in PUBLISHED.items() if kind.answer and not kind.is_wasted(MANY)]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("count", [1, 3])
def test_the_vectors_of_each_form_are_found(name: str, count: int) -> None:
    asked = replace(MANY, texts=TEXTS[:count])
    answer = KINDS[name].answer
    assert answer is not None
    body = answer(asked)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    content = gzip.decompress(content) if KINDS[name].headers else content

    vectors, tokens, _ = decode(content, count, None, is_strict=False)

    assert np.allclose(vectors, [vector_of(text) for text in asked.texts], atol=1e-6)
    assert tokens is None or tokens == asked.tokens or "usage" in name


@pytest.mark.parametrize("name", kinds(PUBLISHED))
def test_each_text_has_its_vector_without_a_setting(
    paid_in_shared: PaidServicesFixture, name: str
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(KINDS[name])
    given = {"embedding_dimensions": DIMENSIONS} if "shortened" in name else {}

    result = paid.use(lambda router: router.embed(TEXTS), **SETTINGS, **given)

    assert not result.errors
    assert np.allclose(result.vectors, [vector_of(text) for text in TEXTS], atol=1e-6)
    assert server.wasted <= KINDS[name].wasted <= 5
    assert paid.state("openai").breaker.is_closed
    check_counters(paid.database)


@pytest.mark.parametrize("name", kinds(ONE_FAILS))
def test_one_text_fails_alone(paid_in_shared: PaidServicesFixture, name: str) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(KINDS[name])
    texts = [*TEXTS[:33], f"{TEXTS[33]} {POISON}", *TEXTS[34:]]

    result = paid.use(lambda router: router.embed(texts), **SETTINGS)

    assert {at: error.code for at, error in result.errors.items()} == {33: KINDS[name].failed}
    good = [at for at in range(len(texts)) if at != 33]
    expected = [vector_of(texts[at]) for at in good]
    assert np.allclose(result.vectors[good], expected, atol=1e-6)
    assert server.wasted <= KINDS[name].wasted <= 5
    assert paid.state("openai").breaker.is_closed
    check_counters(paid.database)


@pytest.mark.parametrize("name", kinds(STOPPED))
def test_what_no_text_can_pass_is_told_after_few_requests(
    paid_in_shared: PaidServicesFixture, name: str
) -> None:
    paid = paid_in_shared
    paid.transport = server = Server(KINDS[name])

    with pytest.raises(TvdbError) as caught:
        paid.use(lambda router: router.embed(TEXTS), **SETTINGS)

    assert caught.value.code in (KINDS[name].stopped, "breaker_open")
    assert (caught.value.code == "breaker_open") <= (KINDS[name].stopped == "service_unavailable")
    assert server.wasted == len(server.asked) <= KINDS[name].wasted <= 5
    assert paid.ledger()
    check_counters(paid.database)
