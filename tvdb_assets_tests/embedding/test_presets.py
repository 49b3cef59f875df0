"""Servers by name, with the address, the key, the price and the prefixes that they have.

What belongs here: the choice of a server by one setting. What does not: what a server answers
(`test_server_traits`), or addresses (`test_server_refusals`).
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from decimal import Decimal

import httpx2
import pytest
from pydantic import SecretStr

from tvdb_assets.embedding.embedder_protocol import PaidEmbedder
from tvdb_assets.embedding.model_prefixes import prefixes_of
from tvdb_assets.embedding.registry import embedder_in_space, make_embedder
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.models import VectorSpace
from tvdb_assets.redaction import MARK, redact
from tvdb_assets.routing.paid_services import spend_limits_of
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import ServiceMode, Settings, load_settings
from tvdb_assets.spend_guard.budget import NO_HOURLY_LIMIT
from tvdb_assets.spend_guard.call_failures import CallFailed
from tvdb_assets.spend_guard.paid_service import RequestPermit
from tvdb_assets_tests.paid_router import PaidServicesFixture


class Recorder(httpx2.AsyncBaseTransport):
    """Answers every request; keeps them."""

    def __init__(self) -> None:
        self.requests: list[httpx2.Request] = []
        self.texts: list[str] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        texts = json.loads(await request.aread())["input"]
        self.requests.append(request)
        self.texts += texts
        data = [{"index": at, "embedding": [1.0, 2.0]} for at in range(len(texts))]
        usage = {"total_tokens": 9 * len(texts)}
        return httpx2.Response(200, json={"data": data, "usage": usage}, request=request)


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings(service_mode="real")


def send(chosen: Settings) -> httpx2.Request:
    """The request that this embedder makes."""
    recorder = Recorder()
    embedder = make_embedder(ServiceMode.REAL, chosen, recorder)
    permit = RequestPermit(embedder.service, "id", is_paid=True)
    with suppress(CallFailed):  # The vectors are short.
        asyncio.run(embedder.request(["text"], permit))
    return recorder.requests[0]


@pytest.mark.parametrize(
    ("embedder", "variables", "url", "model"),
    [
        ("ollama:nomic-embed-text", {}, "http://127.0.0.1:11434/v1/embeddings", "nomic-embed-text"),
        (
            "ollama:nomic-embed-text:v1.5",
            {"OLLAMA_BASE_URL": "http://gpu:11434"},
            "http://gpu:11434/v1/embeddings",
            "nomic-embed-text:v1.5",
        ),
        ("tei:http://127.0.0.1:8081/", {}, "http://127.0.0.1:8081/v1/embeddings", "127.0.0.1:8081"),
        (
            "voyage:voyage-3.5",
            {"VOYAGE_API_KEY": "pa-key"},
            "https://api.voyageai.com/v1/embeddings",
            "voyage-3.5",
        ),
        (
            "azure:text-embedding-3-small",
            {
                "AZURE_OPENAI_API_KEY": "az-key",
                "AZURE_OPENAI_BASE_URL": "https://a.openai.azure.com/",
                "TVDB_AZURE_API_VERSION": "2024-02-01",
            },
            "https://a.openai.azure.com/openai/deployments/text-embedding-3-small/embeddings"
            "?api-version=2024-02-01",
            "text-embedding-3-small",
        ),
    ],
)
def test_one_setting_chooses_server_and_model(
    monkeypatch: pytest.MonkeyPatch,
    embedder: str,
    variables: dict[str, str],
    url: str,
    model: str,
) -> None:
    request = send(settings(monkeypatch, TVDB_EMBEDDER=embedder, **variables))
    assert str(request.url) == url
    assert json.loads(request.content)["model"] == model
    key = next((value for name, value in variables.items() if name.endswith("_API_KEY")), None)
    is_azure = embedder.startswith("azure")
    assert request.headers.get("api-key") == (key if is_azure else None)
    assert request.headers.get("authorization") == (
        f"Bearer {key}" if key and not is_azure else None
    )


def test_a_password_in_the_address_is_not_in_the_name_of_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = settings(monkeypatch, TVDB_EMBEDDER="tei:http://user:hunter2@127.0.0.1:8081/e")
    assert chosen.embedding_model == "127.0.0.1:8081/e"
    assert chosen.embedding_base_url == "http://user:hunter2@127.0.0.1:8081/e"


def test_a_key_in_a_header_of_the_settings_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, TVDB_EMBEDDING_HEADERS="X-Team: search; X-Portal: 0a1b2c3d4e5f6a7b")
    assert redact("search with 0a1b2c3d4e5f6a7b") == f"search with {MARK}"


OPENAI_SPACE = VectorSpace("openai", "text-embedding-3-large", 3_072, "v1")


def test_the_server_that_is_chosen_gets_no_key_of_the_one_of_an_older_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = settings(
        monkeypatch,
        TVDB_EMBEDDER="tei:http://127.0.0.1:8081",
        TVDB_EMBEDDING_HEADERS="X-Key: of-the-chosen",
    )
    chosen = chosen.model_copy(update={"openai_api_key": SecretStr("sk-of-openai")})
    recorder = Recorder()
    embedder = embedder_in_space(OPENAI_SPACE, chosen, recorder, may_pay=True)
    assert isinstance(embedder, PaidEmbedder)
    permit = RequestPermit("openai", "id", is_paid=True)
    with suppress(CallFailed):  # The vectors are short.
        asyncio.run(embedder.request(["text"], permit))
    [request] = recorder.requests
    assert request.url.host == "api.openai.com"
    assert "x-key" not in request.headers


def test_a_batch_job_of_another_model_has_the_price_of_that_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = settings(monkeypatch, TVDB_BATCH_USD_PER_MILLION="0.01")
    chosen = chosen.model_copy(update={"openai_api_key": SecretStr("sk-of-openai")})
    embedder = embedder_in_space(OPENAI_SPACE, chosen, Recorder(), may_pay=True)
    assert isinstance(embedder, PaidEmbedder)
    assert embedder.batches is not None
    assert embedder.batches.price.of(1_000_000) == Decimal("0.065")


def test_an_own_server_costs_nothing_and_has_no_limit_of_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = settings(monkeypatch, TVDB_EMBEDDER="ollama:bge-m3")
    assert make_embedder(ServiceMode.REAL, chosen, None).price.unit_usd == 0
    assert spend_limits_of(chosen).requests_an_hour("ollama") == NO_HOURLY_LIMIT
    limited = settings(monkeypatch, TVDB_HOURLY_RATE_LIMIT="7")
    assert spend_limits_of(limited).requests_an_hour("ollama") == 7


def test_questions_can_have_another_price_than_documents(
    paid_in_shared: PaidServicesFixture,
) -> None:
    paid = paid_in_shared
    given = {"embedding_usd_per_million": 0, "embedding_query_usd_per_million": "3"}

    async def embed_both(router: ServiceRouter) -> None:
        for is_query in (False, True):
            embedder = router.clients.embedder
            await router.embed_by(embedder, ["Who pays?"], is_query=is_query)

    paid.use(embed_both, **given)

    rows = paid.rows("SELECT unit_usd, price_version FROM tvdb.cost_ledger ORDER BY reserved_at")
    assert rows == [(0, "setting 0"), (Decimal("0.000003"), "setting 3")]
    # It is paid for, so its requests are limited.
    assert spend_limits_of(load_settings(**given)).free_services == frozenset()


def test_a_provider_has_its_list_price_or_the_line_to_add_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = settings(monkeypatch, TVDB_EMBEDDER="voyage:voyage-3.5", VOYAGE_API_KEY="pa-key")
    price = make_embedder(ServiceMode.REAL, chosen, None).price
    assert price.unit_usd == Decimal("0.06") / 1_000_000
    unknown = settings(monkeypatch, TVDB_EMBEDDER="voyage:voyage-99")
    with pytest.raises(ConfigurationError, match="TVDB_EMBEDDING_USD_PER_MILLION=N"):
        make_embedder(ServiceMode.REAL, unknown, None)


@pytest.mark.parametrize("embedder", ["azure:m", "voyage:voyage-3.5"])
def test_a_missing_key_or_address_is_named(monkeypatch: pytest.MonkeyPatch, embedder: str) -> None:
    with pytest.raises(ConfigurationError, match=embedder.split(":")[0].upper()):
        make_embedder(ServiceMode.REAL, settings(monkeypatch, TVDB_EMBEDDER=embedder), None)


@pytest.mark.parametrize(
    "variables",
    [
        {"TVDB_EMBEDDER": "ollama:"},
        {"TVDB_EMBEDDER": "ollama:a", "TVDB_EMBEDDING_MODEL": "b"},
        {"TVDB_EMBEDDING_HEADERS": "no header"},
    ],
)
def test_a_setting_that_contradicts_itself_is_refused(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError):
        settings(monkeypatch, **variables)


def test_headers_are_sent_along(monkeypatch: pytest.MonkeyPatch) -> None:
    request = send(
        settings(
            monkeypatch,
            TVDB_EMBEDDER="ollama:bge-m3",
            TVDB_EMBEDDING_HEADERS="X-Team: search; OpenAI-Project: 7",
        )
    )
    assert (request.headers["x-team"], request.headers["openai-project"]) == ("search", "7")


@pytest.mark.parametrize(
    ("model", "query", "document"),
    [
        ("nomic-embed-text", "search_query: ", "search_document: "),
        ("intfloat/multilingual-e5-large", "query: ", "passage: "),
        ("BAAI/bge-m3", "", ""),
        ("text-embedding-3-small", "", ""),
    ],
)
def test_models_have_the_prefixes_of_their_cards(model: str, query: str, document: str) -> None:
    assert prefixes_of(model) == (query, document)


def test_prefixes_are_sent_and_reserved_and_name_another_space(
    paid_in_shared: PaidServicesFixture,
) -> None:
    paid = paid_in_shared
    paid.transport = recorder = Recorder()

    async def use(router: object) -> str:
        clients = router.clients  # type: ignore[attr-defined]
        await router.embed_by(clients.embedder, ["flood"])  # type: ignore[attr-defined]
        await router.embed_by(clients.embedder, ["flood"], is_query=True)  # type: ignore[attr-defined]
        return str(clients.embedder.space.label)

    label = paid.use(use, embedder="ollama:nomic-embed-text")
    assert recorder.texts[1:] == ["search_document: flood", "search_query: flood"]
    assert "#v1+" in label
    rows = paid.rows("SELECT service, state FROM tvdb.cost_ledger")
    assert rows == [("ollama", "posted")] * 3
