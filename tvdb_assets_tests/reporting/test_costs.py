"""Costs by run, document and service: every view has the same sum as the ledger."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tvdb_assets.reporting.costs import cost_of_documents, cost_of_runs, cost_report
from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.spend_guard.ledger_rows import DAY, Paying


@pytest.fixture
def paying(database: Database) -> Paying:
    made = Paying(database)
    # Cents: 1.00 for two documents, 0.07 for three that share it unevenly, a search.
    made.pay(100, documents=["a.md", "b.pdf"], quantities=[75, 25])
    made.pay(7, documents=["a.md", "b.pdf", "c"], quantities=[1, 1, 5], run_id="run-2")
    made.pay(2, documents=[""], run_id="")
    made.pay(30, documents=["b.pdf"], service="llamaparse", operation="parse")
    made.pay(11, outcome="lost", documents=["c"])
    made.pay(11, number=2, documents=["c"])
    made.pay(13, outcome="bad_answer", documents=["c"], run_id="run-2")
    made.pay(0, documents=["empty.md"])
    made.ledger.void(made.reservation(500, documents=["a.md"]), outcome="overloaded", status=529)
    made.reservation(40, documents=["d.md"], run_id="run-3")  # its outcome is not known yet
    return made


def rows(database: Database, statement: str) -> list[tuple[object, ...]]:
    with database.transaction() as tx:
        return tx.execute(statement).fetchall()


TOTAL = Decimal("2.14")
"""1.00 + 0.07 + 0.02 + 0.30 + 0.11 + 0.11 + 0.13 + 0.00 + 0.40; voided entries cost nothing."""


@pytest.mark.parametrize("view", ["cost_entries", "cost_by_run", "cost_by_document"])
def test_a_view_has_the_sum_of_the_ledger(paying: Paying, view: str) -> None:
    [(total,)] = rows(paying.database, f"SELECT sum(usd) FROM tvdb.{view}")
    assert isinstance(total, Decimal)
    # Thirds and sevenths of a cent are rounded at the last decimal of numeric.
    assert abs(total - TOTAL) < Decimal("1e-12")


def test_services_have_the_sums_of_the_ledger_and_of_the_budget_window(paying: Paying) -> None:
    found = rows(
        paying.database, "SELECT service, round(sum(usd), 10) FROM tvdb.cost_by_service GROUP BY 1"
    )
    assert dict(found) == {"openai": Decimal("1.84"), "llamaparse": Decimal("0.30")}
    assert paying.ledger.committed("openai").day_usd == TOTAL
    assert paying.ledger.committed("openai").service_day_usd == Decimal("1.84")


def test_lost_and_unusable_responses_are_waste(paying: Paying) -> None:
    found = rows(paying.database, "SELECT reason, requests, usd FROM tvdb.cost_waste ORDER BY 1")
    assert found == [("bad_answer", 1, Decimal("0.13")), ("lost", 1, Decimal("0.11"))]


def test_retries_are_second_attempts(paying: Paying) -> None:
    found = rows(paying.database, "SELECT service, requests, usd FROM tvdb.cost_retries")
    assert found == [("openai", 1, Decimal("0.11"))]


def test_costs_of_runs_and_documents(paying: Paying) -> None:
    assert cost_of_runs(paying.database, ["run-1"]) == Decimal("1.52")
    assert cost_of_runs(paying.database, ["run-1", "run-3"]) == Decimal("1.92")
    made = cost_of_documents(paying.database, "run-1", ["a.md", "b.pdf"])
    assert {key: (c.usd, c.units, c.unit) for key, c in made.items()} == {
        ("embed", "a.md"): (Decimal("0.75"), 75, "token"),
        ("embed", "b.pdf"): (Decimal("0.25"), 25, "token"),
        ("parse", "b.pdf"): (Decimal("0.30"), 30, "token"),
    }


def test_the_report_has_days_file_types_and_the_most_expensive_documents(paying: Paying) -> None:
    made = cost_report(paying.database, DAY)
    assert [(day.day, day.service, round(day.usd, 10)) for day in made.by_day] == [
        ("2026-03-01", "llamaparse", Decimal("0.30")),
        ("2026-03-01", "openai", Decimal("1.84")),
    ]
    assert [kind for kind, _ in made.by_kind] == [".md", ".pdf", "other", "searches"]
    assert made.most_expensive[0][0] == "a.md"
    assert made.wasted_usd == Decimal("0.24")


def test_the_report_of_an_empty_ledger_is_empty(database: Database) -> None:
    made = cost_report(database, DAY)
    assert (made.by_day, made.by_kind, made.most_expensive, made.wasted_usd) == (
        [],
        [],
        [],
        Decimal(0),
    )
