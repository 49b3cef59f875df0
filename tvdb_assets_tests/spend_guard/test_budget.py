"""What fits a budget: every bound, and one unit of money past it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvdb_assets.errors import BudgetError, Disposition, RateError
from tvdb_assets.spend_guard.budget import CommittedSpend, SpendLimits, check_fits, usd

DAY, HOUR = datetime(2026, 3, 14, tzinfo=UTC), datetime(2026, 3, 14, 15, tzinfo=UTC)
MONEY = st.decimals(0, 100, places=10)


def limits(daily: Decimal, service: Decimal | None = None, requests: int = 10) -> SpendLimits:
    return SpendLimits(daily, requests, {} if service is None else {"openai": service})


def committed(day: Decimal, service: Decimal = Decimal(0), requests: int = 0) -> CommittedSpend:
    return CommittedSpend(DAY, HOUR, day, service, requests)


@given(MONEY, MONEY, MONEY, MONEY, MONEY)
def test_it_fits_exactly_where_no_limit_is_exceeded(
    amount: Decimal, daily: Decimal, service: Decimal, spent: Decimal, service_spent: Decimal
) -> None:
    fits = spent + amount <= daily and service_spent + amount <= service
    try:
        check_fits("openai", amount, limits(daily, service), committed(spent, service_spent))
    except BudgetError:
        assert not fits
    else:
        assert fits


@given(st.lists(MONEY, max_size=60), MONEY)
def test_what_was_admitted_never_exceeds_the_limit(amounts: list[Decimal], daily: Decimal) -> None:
    spent = Decimal(0)
    for amount in amounts:
        try:
            check_fits("openai", amount, limits(daily), committed(spent))
        except BudgetError:
            continue
        spent += amount
    assert spent <= daily


def test_the_last_unit_of_money_is_usable_and_one_more_is_not() -> None:
    smallest = Decimal("0.0000000001")
    check_fits("openai", Decimal("0.1"), limits(Decimal("5")), committed(Decimal("4.9")))
    with pytest.raises(BudgetError) as caught:
        check_fits(
            "openai", Decimal("0.1") + smallest, limits(Decimal("5")), committed(Decimal("4.9"))
        )
    assert caught.value.code == "budget_exhausted"
    assert caught.value.disposition is Disposition.DEFERRED
    assert "2026-03-15 00:00 UTC" in caught.value.remedy
    assert "TVDB_DAILY_COST_LIMIT" in caught.value.remedy


def test_the_requests_of_an_hour() -> None:
    check_fits("openai", Decimal(0), limits(Decimal(1)), committed(Decimal(0), requests=9))
    with pytest.raises(RateError) as caught:
        check_fits("openai", Decimal(0), limits(Decimal(1)), committed(Decimal(0), requests=10))
    assert caught.value.code == "hourly_requests_exhausted"
    assert "16:00 UTC" in caught.value.remedy


def test_another_services_limit_does_not_count() -> None:
    check_fits("llamaparse", Decimal(1), limits(Decimal(5), Decimal(0)), committed(Decimal(0)))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("5", "5.00"), ("0.1", "0.10"), ("0.00000002", "0.00000002"), ("100", "100.00")],
)
def test_money_for_people(amount: str, shown: str) -> None:
    assert usd(Decimal(amount)) == shown
