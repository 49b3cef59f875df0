"""Limits and pauses as they are changed at run time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tvdb_assets.errors import BudgetError, RateError
from tvdb_assets.repositories.database import Database
from tvdb_assets.routing.paid_services import spend_limits_of
from tvdb_assets.settings import load_settings
from tvdb_assets.spend_guard.budget import NO_HOURLY_LIMIT
from tvdb_assets.spend_guard.spend_limits import change, changes, limits_now
from tvdb_assets_tests.spend_guard.ledger_rows import Paying


@pytest.fixture
def paying(database: Database) -> Paying:
    return Paying(database, "1.00")


def test_a_raised_limit_holds_for_the_next_reservation_and_default_takes_it_back(
    paying: Paying,
) -> None:
    paying.pay(100)
    with pytest.raises(BudgetError, match="today's budget of"):
        paying.reservation(1)
    change(paying.database, "daily_usd", Decimal("1.01"), changed_by="ada")
    paying.reservation(1)
    with pytest.raises(BudgetError):
        paying.reservation(1)
    change(paying.database, "daily_usd", None, changed_by="ada")
    assert paying.ledger.limits == paying.ledger.settings


def test_a_service_has_limits_of_its_own(paying: Paying) -> None:
    change(paying.database, "daily_usd", Decimal("0.10"), scope="openai", changed_by="ada")
    change(paying.database, "hourly_requests", Decimal(1), scope="llamaparse", changed_by="ada")
    with pytest.raises(BudgetError):
        paying.reservation(11)
    paying.reservation(10)
    paying.reservation(11, service="llamaparse")
    with pytest.raises(RateError):
        paying.reservation(1, service="llamaparse")


@pytest.mark.parametrize("scope", ["", "openai"])
def test_a_pause_refuses_what_it_is_about_until_it_ends(paying: Paying, scope: str) -> None:
    change(paying.database, "is_paused", Decimal(1), scope=scope, changed_by="ada")
    with pytest.raises(BudgetError) as refused:
        paying.reservation(1)
    assert refused.value.code == "paused"
    if scope:
        paying.reservation(1, service="llamaparse")
    change(paying.database, "is_paused", None, scope=scope, changed_by="ada")
    paying.reservation(1)


def test_changes_tell_who_when_and_which_runs(paying: Paying) -> None:
    with paying.database.transaction() as tx:
        before = tx.execute("SELECT tvdb.clock()").fetchone()
    change(
        paying.database, "daily_usd", Decimal("2.50"), changed_by="ada", run_ids=["run-1", "run-2"]
    )
    change(paying.database, "is_paused", Decimal(1), scope="openai", changed_by="grace")
    with paying.database.transaction() as tx:
        after = tx.execute("SELECT tvdb.clock()").fetchone()
    assert before is not None
    assert after is not None
    newest, first = changes(paying.database)
    assert (first.kind, first.value, first.scope) == ("daily_usd", Decimal("2.50"), "")
    assert (first.changed_by, first.run_ids) == ("ada", ["run-1", "run-2"])
    assert (newest.kind, newest.scope, newest.changed_by) == ("is_paused", "openai", "grace")
    assert newest.run_ids == []
    assert before[0] < first.changed_at < newest.changed_at < after[0]
    assert len(changes(paying.database, limit=1)) == 1


@pytest.mark.parametrize(
    ("given", "of_openai"),
    [
        ({"embedding_usd_per_million": "0"}, NO_HOURLY_LIMIT),
        ({"embedding_usd_per_million": "0.0"}, NO_HOURLY_LIMIT),
        ({"embedding_usd_per_million": "0", "hourly_rate_limit": 100}, 100),
        ({"embedding_usd_per_million": "0.02"}, 100),
        ({}, 100),
    ],
)
def test_an_embedder_that_costs_nothing_has_only_a_limit_that_was_set(
    database: Database, given: dict[str, object], of_openai: int
) -> None:
    limits = spend_limits_of(load_settings(**given))
    assert limits.requests_an_hour("openai") == of_openai
    assert limits.requests_an_hour("llamaparse") == 100

    change(database, "hourly_requests", Decimal(7), changed_by="of the test")
    with database.transaction() as tx:
        assert limits_now(tx, limits).requests_an_hour("openai") == 7
