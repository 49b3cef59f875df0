"""The ledger is never below what the service billed, whichever processes die when.

What belongs here: reserve, post and void under SIGKILL. What does not: the ingestion under it
(`integration`).
"""

from __future__ import annotations

import random

from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.ledger import Ledger
from tvdb_assets_tests.paid_apis import running_server
from tvdb_assets_tests.spend_guard.ledger_invariants import (
    LIMITS,
    check_counters,
    ledger_usd,
    rows,
    settle_by,
)
from tvdb_assets_tests.spend_guard.processes import KILLED, ended, start
from tvdb_assets_tests.spend_guard.reservation_cycles import STEPS, Cycles, turn

CYCLES = 10
AT_ONCE = 8
FAULTS = {
    "rate_limited": 0.05,
    "server_error": 0.05,
    "gateway_timeout": 0.03,
    "reset_after_work": 0.05,
    "reset_before_work": 0.03,
}


def test_the_ledger_is_never_below_what_was_billed(database: Database, is_full: bool) -> None:
    processes = 1_000 if is_full else 60
    chance = random.Random(11)
    doomed = set(chance.sample(range(processes), processes // 10))
    with running_server() as server:
        server.apis.faults.set_rates(FAULTS)
        running, codes = [], []
        for seed in range(processes):
            kill_at = chance.randrange(CYCLES * STEPS // 2) if seed in doomed else None
            running.append(start(turn, Cycles(database.url, server.url, seed, CYCLES, kill_at)))
            if len(running) == AT_ONCE:
                codes.append(ended(running.pop(0)))
                billed = server.apis.dollars  # read first: a later charge has a later reservation
                assert ledger_usd(database) >= billed
        codes += [ended(process) for process in running]

        assert codes.count(KILLED) == len(doomed)
        assert set(codes) == {0, KILLED}
        check_counters(database)
        assert ledger_usd(database) >= server.apis.dollars
        # The reservation of a killed process stays until its lease ends, and no longer.
        ((pending,),) = rows(
            database, "SELECT count(*) FROM tvdb.cost_ledger WHERE state = 'pending'"
        )
        assert 0 < pending <= len(doomed)
        assert Ledger(database, LIMITS).reconcile() == 0
        settle_by(database, server.apis.charges)
        assert ledger_usd(database) == server.apis.dollars > 0
