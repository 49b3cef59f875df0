"""No object with a price can be called without the guard, even if it is wrapped.

What belongs here: priced objects on the free path, and paid clients without a permit. What does
not: the guard's handling of a call (`test_paid_providers`, the tests of `spend_guard`).
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tvdb_assets
from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.embedder_protocol import EmbeddingProvider, Vectors, paid_embedder
from tvdb_assets.embedding.embedding_result import TextToEmbed
from tvdb_assets.embedding.fallback import FallbackEmbedder
from tvdb_assets.embedding.free_embedding import embed_free
from tvdb_assets.embedding.paid_embedding import PaidEmbedding
from tvdb_assets.embedding.providers.local import LocalEmbedder
from tvdb_assets.embedding.providers.mock import MockEmbedder
from tvdb_assets.embedding.registry import EMBEDDING_PROVIDERS
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.models import Provenance, VectorSpace
from tvdb_assets.parsing.format_registry import all_parsers
from tvdb_assets.parsing.paid_parser import ParsingProvider
from tvdb_assets.parsing.paid_parsing import PaidParsing
from tvdb_assets.parsing.registry import PARSING_PROVIDERS
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import load_settings
from tvdb_assets.spend_guard.guard import ServiceResponse
from tvdb_assets.spend_guard.paid_service import PaidService, RequestPermit, ensure_free
from tvdb_assets.spend_guard.prices import Price
from tvdb_assets_tests.contracts.second_providers import KEY, SecondEmbedder, SecondParser


class Undeclared:
    """Has all attributes of a paid embedder and bypasses the guard, but has another type."""

    service, max_inputs, max_request_tokens, max_tokens = "undeclared", 128, 100_000, 8_000
    space = VectorSpace("undeclared", "v", 4, "1")
    produced_by = Provenance("undeclared", "real", "v", "1")
    price = Price("token", Decimal("0.00001"), "of the test")
    model, account, sent = "v", "an account", 0

    async def request(self, texts: Sequence[str], _: object) -> ServiceResponse[Vectors]:
        type(self).sent += 1
        return ServiceResponse(np.ones((len(texts), 4), np.float32), quantity=3)

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return (await self.request(texts, "no id")).value

    async def close(self) -> None: ...


class WithoutPrice(Undeclared):
    """Hides its price, but sends requests."""

    def __getattribute__(self, name: str) -> Any:
        if name == "price":
            raise AttributeError(name)
        return super().__getattribute__(name)


class JustRequests:
    """An embedder that sends requests and states no price."""

    space, produced_by, max_tokens = MockEmbedder.space, MockEmbedder.produced_by, None

    async def request(self, texts: Sequence[str]) -> Vectors:
        raise AssertionError("called")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        return await self.request(texts)


class PriceUnknown(Undeclared):
    @property
    def price(self) -> Price:  # type: ignore[override]
        raise codes.PRICE_UNKNOWN.error(model="v")


class Wrapping:
    """Has the attributes of a free embedder, and contains another embedder."""

    space, produced_by, max_tokens = MockEmbedder.space, MockEmbedder.produced_by, None

    def __init__(self, inner: object) -> None:
        self.inner = inner

    async def embed(self, texts: Sequence[str]) -> Vectors:
        raise AssertionError("called")


class InSlots(Wrapping):
    __slots__ = ("slot",)

    def __init__(self, inner: object) -> None:
        self.slot = inner


class Delegating(Wrapping):
    """Delegates every attribute to the embedder that it contains."""

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "inner"), name)


class OfAClass(Wrapping):
    inner = Undeclared()

    def __init__(self) -> None:
        """The object itself contains nothing."""


class AlsoFree(SecondEmbedder):
    """A paid embedder with the additional method of a free one."""

    async def embed(self, texts: Sequence[str]) -> Vectors:
        raise AssertionError("called")


class Ledgerless:
    """A database that must not be used."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"database asked: {name}")


def second() -> SecondEmbedder:
    return SecondEmbedder(load_settings(), None)


def closing_over(inner: object) -> Callable[[], object]:
    return lambda: inner


PRICED: dict[str, Callable[[], Any]] = {
    "undeclared": Undeclared,
    "without a price": WithoutPrice,
    "price unknown": PriceUnknown,
    "just requests": JustRequests,
    "declared": second,
    "declared, with embed": lambda: AlsoFree(load_settings(), None),
    "in an attribute": lambda: Wrapping(Undeclared()),
    "in an attribute, declared": lambda: Wrapping(second()),
    "wrapped twice": lambda: Wrapping(Wrapping(Undeclared())),
    "in a slot": lambda: InSlots(Undeclared()),
    "in a list": lambda: Wrapping([{"a": (Undeclared(),)}]),
    "in a namespace": lambda: Wrapping(SimpleNamespace(client=Undeclared())),
    "bound method": lambda: Wrapping(Undeclared().embed),
    "partial": lambda: Wrapping(partial(Undeclared.embed, Undeclared())),
    "closure": lambda: Wrapping(closing_over(Undeclared())),
    "delegated": lambda: Delegating(Undeclared()),
    "of its class": OfAClass,
    "a parser": lambda: Wrapping(SecondParser(load_settings(), None)),
}


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "second-key-of-the-tests")


@pytest.fixture(params=PRICED)
def priced(request: pytest.FixtureRequest) -> Any:
    Undeclared.sent = 0
    return PRICED[request.param]()


def refused() -> Any:
    return pytest.raises(ConfigurationError, match="spend guard")


def test_the_free_path_refuses_objects_with_a_price(priced: Any) -> None:
    with refused() as caught:
        asyncio.run(embed_free(priced, [TextToEmbed.of("flood damage")], None))
    assert caught.value.code == codes.GUARD_BYPASSED.code
    assert Undeclared.sent == 0


def test_a_fallback_is_free(priced: Any) -> None:
    with refused():
        FallbackEmbedder(priced)


def test_a_router_calls_priced_embedders_only_through_the_guard(priced: Any) -> None:
    async def embed() -> None:
        async with ServiceRouter(load_settings(), database=Ledgerless()) as router:  # type: ignore[arg-type]
            await router.embed_by(priced, ["flood damage"])

    # A declared paid service reaches the ledger, which does not exist here.
    error = AssertionError if isinstance(priced, PaidService) else ConfigurationError
    with pytest.raises(error, match=r"spend guard|database asked"):
        asyncio.run(embed())
    assert Undeclared.sent == 0


def test_an_estimate_never_treats_a_priced_embedder_as_free(priced: Any) -> None:
    if isinstance(priced, PaidService):
        assert paid_embedder(priced) is priced  # type: ignore[arg-type]
    else:
        with refused():
            paid_embedder(priced)


@pytest.mark.parametrize("is_paid", [True, False])
def test_a_provider_cannot_return_a_client_that_bypasses_the_guard(is_paid: bool) -> None:
    embedder = Undeclared()
    provider = EmbeddingProvider(
        "undeclared",
        lambda *_: embedder,  # type: ignore[arg-type, return-value]
        lambda *_: embedder,  # type: ignore[arg-type, return-value]
        is_paid=is_paid,
    )
    keys = {"OPENAI_API_KEY": "sk-test", "embedder_mode": "real"}
    with EMBEDDING_PROVIDERS.adding(provider):
        if is_paid:
            with refused():
                ServiceRouter(load_settings(**keys, embedder="undeclared"))
        router = ServiceRouter(load_settings(**keys))
        with refused():
            router.clients.embedder_in(Undeclared.space)
    assert Undeclared.sent == 0


def test_a_provider_that_declares_a_paid_embedder_as_free_is_refused() -> None:
    provider = EmbeddingProvider("second-embedder", SecondEmbedder, lambda *_: second())
    router = ServiceRouter(load_settings())
    with EMBEDDING_PROVIDERS.adding(provider), refused():
        router.clients.embedder_in(SecondEmbedder.space)


def test_a_parser_without_the_type_is_refused() -> None:
    parser = SimpleNamespace(**{n: getattr(SecondParser, n) for n in ("media_types", "price")})
    provider = ParsingProvider("undeclared", lambda *_: parser)  # type: ignore[arg-type, return-value]
    with PARSING_PROVIDERS.adding(provider), refused():
        ServiceRouter(load_settings(parser_mode="real", parser="undeclared"))
    with refused():
        PaidParsing(None, parser, None, deadline_seconds=1)  # type: ignore[arg-type]


def test_paid_embedding_refuses_an_embedder_that_needs_no_permit() -> None:
    with refused():
        PaidEmbedding(None, Undeclared(), None, wait_if_open=True, persist=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "permit",
    [
        "no id",
        None,
        RequestPermit("another service", "id", is_paid=True),
        RequestPermit("second-embedder", "id", is_paid=False),
    ],
)
def test_a_paid_client_sends_nothing_without_a_permit_for_it(permit: Any) -> None:
    with refused():
        asyncio.run(second().request(["flood damage"], permit))


def test_a_permit_is_good_for_one_request() -> None:
    permit = RequestPermit("second-parser", "id", is_paid=True)
    assert permit.use("second-parser", is_paid=True) == "id"
    parser = SecondParser(load_settings(), None)
    for send in (
        parser.submit(b"", "a.pdf", 1, permit),
        parser.fetch("job", "application/pdf", permit),
        parser.probe(permit),
    ):
        with refused():
            asyncio.run(send)


@pytest.mark.parametrize("name", ["request", "probe"])
def test_a_client_cannot_replace_the_method_that_checks_the_permit(name: str) -> None:
    with pytest.raises(TypeError, match="spend guard"):
        type("Sly", (SecondEmbedder,), {name: lambda *_: None})


def test_free_embedders_are_called() -> None:
    for embedder in (MockEmbedder(), LocalEmbedder(), FallbackEmbedder(LocalEmbedder())):
        result = asyncio.run(embed_free(embedder, [TextToEmbed.of("flood damage")], None))
        assert not result.errors
        # The check also passes after its weights have been loaded.
        ensure_free(embedder)


def test_no_parser_on_this_machine_has_a_price() -> None:
    for parser in all_parsers():
        ensure_free(parser)


def test_only_the_guard_issues_permits() -> None:
    root = Path(tvdb_assets.__file__).parent
    makers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("RequestPermit")
    }
    assert makers == {"spend_guard/guard.py"}


def test_no_module_names_a_concrete_client() -> None:
    root = Path(tvdb_assets.__file__).parent
    clients = {"OpenAIEmbedder", "LlamaParse", "LocalEmbedder", "MockEmbedder"}
    found = {
        f"{path.relative_to(root).as_posix()}: {ast.unparse(node)}"
        for path in root.rglob("*.py")
        if path.parent.name != "providers"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and node.id in clients
    }
    assert found == set()
