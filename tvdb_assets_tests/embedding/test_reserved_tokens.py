"""What is reserved covers what is billed, whatever tokenizer the server has.

What belongs here: real processes that share a budget and a server. What does not: the rule itself
(`spend_guard.test_token_ratio`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tvdb_assets.embedding.providers.openai import OpenAIEmbedder
from tvdb_assets.errors import BudgetError
from tvdb_assets.repositories.database import Database
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import load_settings
from tvdb_assets_tests.paid_apis import Behaviour, running_server
from tvdb_assets_tests.spend_guard.ledger_invariants import check_counters, rows
from tvdb_assets_tests.spend_guard.processes import Crew
from tvdb_assets_tests.spend_guard.reservations import opened

PROCESSES = 4
LIMIT = Decimal("0.003")
PROSE = "Clause {0} of part {1} covers damage by water if reported within {2} days. " * 6


@dataclass(frozen=True)
class Work:
    """Texts that one process embeds until the budget is exhausted."""

    url: str
    server: str
    number: int
    texts: int
    inputs: int


def embed(work: Work) -> str:
    """``done``, or the code of the error."""

    async def use() -> str:
        OpenAIEmbedder.max_inputs = work.inputs
        settings = load_settings(
            service_mode="real",
            parser_mode="local",
            OPENAI_API_KEY="sk-test",
            OPENAI_BASE_URL=f"{work.server}/v1",
            daily_cost_limit=LIMIT,
            hourly_rate_limit=100_000,
        )
        async with ServiceRouter(settings, database=opened(work.url)) as router:
            texts = [PROSE.format(i, work.number, 7 * i) for i in range(work.texts)]
            try:
                await router.embed(texts)
            except BudgetError as error:
                return error.code
        return "done"

    return asyncio.run(use())


@pytest.mark.parametrize("bytes_per_token", [1, 4])
@pytest.mark.parametrize("inputs", [16, 2_048], ids=["small requests", "large requests"])
def test_processes_post_no_more_than_their_budget_and_use_most_of_it(
    database: Database, bytes_per_token: int, inputs: int
) -> None:
    other = Behaviour(exact_tokens=False, bytes_per_token=bytes_per_token, latency_seconds=0.01)
    with running_server(other) as server, Crew(embed, PROCESSES) as crew:
        work = [Work(database.url, server.url, n, 600, inputs) for n in range(PROCESSES)]
        assert "budget_exhausted" in crew.run(work)
        billed = server.apis.dollars
    [(posted, exceeded)] = rows(
        database,
        "SELECT sum(posted_usd), count(*) FILTER (WHERE posted_usd > reserved_usd)"
        " FROM tvdb.cost_ledger WHERE state = 'posted'",
    )
    assert billed <= posted <= LIMIT
    assert posted > Decimal("0.8") * LIMIT
    assert exceeded == 0
    check_counters(database)


def test_a_server_that_counts_as_it_is_counted_here_is_found_out(database: Database) -> None:
    with running_server(Behaviour()) as server, Crew(embed, 1) as crew:
        assert crew.run([Work(database.url, server.url, 0, 160, 16)]) == ["done"]
    reserved = rows(
        database, "SELECT reserved_usd = posted_usd FROM tvdb.cost_ledger ORDER BY reserved_at"
    )
    assert len(reserved) == 10
    assert reserved[0] == (False,)
    assert reserved[-1] == (True,)
