"""The contract of every paid provider: reserved, posted and refused by the same guard.

What belongs here: each paid embedder and each paid parser, those of the package and those that the
tests declare, on a real ledger. What does not: the results (`test_routed_embedders`,
`test_routed_parsers`), or objects that are not providers (`test_guard_is_the_only_way`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from tvdb_assets import error_codes as codes
from tvdb_assets.embedding.registry import EMBEDDING_PROVIDERS
from tvdb_assets.errors import BudgetError, ConfigurationError, RateError, RefusedError, TvdbError
from tvdb_assets.parsing.registry import PARSING_PROVIDERS
from tvdb_assets.routing.paid_services import paid_services, spend_limits_of
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import load_settings
from tvdb_assets.spend_guard.guard import PaidCall
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets.spend_guard.spend_limits import change
from tvdb_assets_tests.contracts.second_providers import (
    COMPATIBLE,
    EMBEDDER,
    KEY,
    PARSER,
    second_providers,
)
from tvdb_assets_tests.paid_apis import Request
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

PAGE = "<!doctype html><html><body><h1>Policy</h1><p>The insured pays.</p></body></html>"
NOTE = "# Leave\n\nEvery employee has thirty days of vacation a year.\n"
Use = Callable[[ServiceRouter], Coroutine[Any, Any, object]]


@dataclass(frozen=True)
class Provider:
    """A provider, and one use of it that costs money."""

    service: str
    role: str

    @property
    def operation(self) -> str:
        return "embeddings" if self.role == "embedder" else "submit"

    def use(self, router: ServiceRouter) -> Coroutine[Any, Any, object]:
        if self.role == "embedder":
            return router.embed(["Is flood damage covered?", "The insured pays."])
        return router.parse(PAGE.encode(), "a.html")

    def settings(self, **more: object) -> dict[str, object]:
        modes = {"service_mode": "local", f"{self.role}_mode": "real"}
        return {**modes, self.role: self.service, **more}


PROVIDERS = [
    Provider("openai", "embedder"),
    Provider(EMBEDDER, "embedder"),
    Provider(COMPATIBLE, "embedder"),
    Provider("llamaparse", "parser"),
    Provider(PARSER, "parser"),
]


@pytest.fixture(autouse=True)
def _second() -> Iterator[None]:
    with second_providers():
        yield


@pytest.fixture(params=PROVIDERS, ids=lambda provider: provider.service)
def provider(request: pytest.FixtureRequest) -> Provider:
    assert isinstance(request.param, Provider)
    return request.param


def sent(paid: PaidServicesFixture, provider: Provider) -> list[Request]:
    """The requests that cost money."""
    return [each for each in paid.apis.requests if each.operation == provider.operation]


def test_each_is_known_to_ledger_and_limits(provider: Provider) -> None:
    assert provider.service in paid_services()
    assert set(paid_services()) == {each.service for each in PROVIDERS}
    own = spend_limits_of(load_settings(openai_daily_cost_limit=1, llamaparse_daily_cost_limit=2))
    assert own.service_daily_usd[provider.service] == {
        "openai": Decimal(1),
        "llamaparse": Decimal(2),
    }.get(provider.service, Decimal("0.50"))


def test_it_is_reserved_before_it_is_sent_and_posted_with_its_result(
    paid: PaidServicesFixture, provider: Provider
) -> None:
    points: list[tuple[str, int, str]] = []

    class Watching:
        def reached(self, point: str, call: PaidCall, _: Reservation | None) -> None:
            points.append((point, len(sent(paid, provider)), call.service))

    paid.observer = Watching()
    paid.use(provider.use, **provider.settings())

    assert {service for *_, service in points} == {provider.service}
    assert [(point, requests) for point, requests, _ in points[:4]] == [
        ("before_reservation", 0),
        ("reserved", 0),
        ("admitted", 0),
        ("before_send", 0),
    ]
    assert paid.ledger() == [("posted", "answered")]
    assert paid.rows("SELECT DISTINCT service FROM tvdb.cost_ledger") == [(provider.service,)]
    assert paid.spent == paid.apis.dollars > 0


@pytest.mark.parametrize("name", [EMBEDDER, COMPATIBLE, PARSER])
def test_its_key_needs_no_field_of_the_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = next(each for each in PROVIDERS if each.service == name)
    chosen = provider.settings()
    assert KEY not in str(load_settings(**chosen)), "it is a secret"
    monkeypatch.delenv(KEY)
    with pytest.raises(ConfigurationError) as caught:
        ServiceRouter(load_settings(**chosen))
    assert caught.value.code == codes.KEY_MISSING.code
    assert KEY in caught.value.remedy


def test_only_a_setting_that_exists_is_named_in_a_remedy(paid: PaidServicesFixture) -> None:
    for name, setting in (("openai", "TVDB_OPENAI_DAILY_COST_LIMIT"), (EMBEDDER, "")):
        provider = next(each for each in PROVIDERS if each.service == name)
        lower(paid, "daily_usd", "0.00000001", name)
        with pytest.raises(BudgetError) as caught:
            paid.use(provider.use, **provider.settings())
        assert "tvdb limits" in caught.value.remedy
        assert ("TVDB_" in caught.value.remedy) == bool(setting)
        assert setting in caught.value.remedy


REFUSALS: dict[str, Callable[[PaidServicesFixture, str], dict[str, object]]] = {
    "the day's budget": lambda *_: {"daily_cost_limit": "0.00000001"},
    "its own budget": lambda paid, service: lower(paid, "daily_usd", "0.00000001", service),
    "the hour's requests": lambda *_: {"hourly_rate_limit": 0},
    "its own requests": lambda paid, service: lower(paid, "hourly_requests", "0", service),
    "a pause": lambda paid, service: lower(paid, "is_paused", "1", service),
}


def lower(paid: PaidServicesFixture, kind: Any, value: str, service: str) -> dict[str, object]:
    change(paid.database, kind, Decimal(value), scope=service, changed_by="of the test")
    return {}


@pytest.mark.parametrize("limit", REFUSALS)
def test_past_a_limit_nothing_is_sent(
    paid: PaidServicesFixture, provider: Provider, limit: str
) -> None:
    more = REFUSALS[limit](paid, provider.service)
    with pytest.raises((BudgetError, RateError)):
        paid.use(provider.use, **provider.settings(**more))
    assert paid.apis.requests == []
    assert paid.spent == 0


def test_a_key_that_is_refused_stops_the_service_after_one_request(
    paid: PaidServicesFixture, provider: Provider
) -> None:
    paid.apis.faults.script("invalid_key", operation=provider.operation, times=None)
    for _ in range(3):
        with pytest.raises(RefusedError) as caught:
            paid.use(provider.use, **provider.settings())
        assert caught.value.code == codes.KEY_REFUSED.code
    assert len(sent(paid, provider)) == 1
    # A file may be uploaded for free before the request that is refused, and for no other.
    assert len(paid.apis.requests) <= 2
    assert paid.state(provider.service).refusal is not None
    assert paid.spent == 0


def test_it_is_retried_and_its_breaker_opens(paid: PaidServicesFixture, provider: Provider) -> None:
    paid.apis.faults.script("unavailable", operation=provider.operation, times=None)
    for _ in range(2):
        with pytest.raises(TvdbError):
            paid.use(provider.use, **provider.settings())
    assert not paid.state(provider.service).breaker.is_closed
    assert {state for state, _ in paid.ledger()} == {"voided"}
    assert paid.spent == 0


@pytest.mark.parametrize("probe", [False, True])
def test_health_knows_it_and_costs_nothing(
    paid: PaidServicesFixture, provider: Provider, probe: bool
) -> None:
    health = paid.use(lambda router: router.health(probe=probe), **provider.settings())
    [mine] = [each for each in health if each.service == provider.service]
    assert (mine.role, mine.mode, mine.breaker) == (provider.role, "real", "closed")
    assert (mine.status == "unproven") == (not probe)
    assert len(paid.apis.requests) == int(probe)
    assert paid.spent == 0


@pytest.mark.parametrize(("embedder", "parser"), [("openai", "llamaparse"), (EMBEDDER, PARSER)])
def test_an_ingestion_costs_at_most_what_was_estimated(
    paid: PaidServicesFixture, folder: DocumentFolder, embedder: str, parser: str
) -> None:
    folder.write("page.html", PAGE)
    folder.write("note.md", NOTE)
    choice = {"embedder": embedder, "parser": parser}
    estimated = sum(cost.cost_usd for cost in folder.estimate(**choice))

    results = folder.ingest(**choice)

    assert not folder.codes(results)
    assert sorted(folder.passages()) == ["note.md", "page.html"]
    services = paid.rows("SELECT DISTINCT service FROM tvdb.cost_ledger ORDER BY service")
    assert services == [(name,) for name in sorted((embedder, parser))]
    assert paid.spent == paid.apis.dollars
    # An HTML file has no pages: their number is bounded, not counted.
    assert 0 < paid.spent <= estimated
    # Another provider gives another text and other vectors, so documents are due again.
    assert folder.due(**choice) == []
    other = {"embedder": "openai", "parser": "llamaparse"}
    assert (folder.due(**other) == []) == (choice == other)


@pytest.mark.parametrize("setting", ["embedder", "parser"])
@pytest.mark.parametrize("name", ["no-such-provider", "wordllama"])
def test_an_unknown_provider_is_an_error_that_lists_the_known_ones(setting: str, name: str) -> None:
    keys = {"OPENAI_API_KEY": "sk-test", "LLAMA_CLOUD_API_KEY": "llx-test"}
    with pytest.raises(ConfigurationError) as caught:
        ServiceRouter(load_settings(service_mode="real", **keys, **{setting: name}))
    assert caught.value.code == codes.PROVIDER_UNKNOWN.code
    known = EMBEDDING_PROVIDERS.paid() if setting == "embedder" else PARSING_PROVIDERS.paid()
    assert all(provider.name in caught.value.remedy for provider in known)
