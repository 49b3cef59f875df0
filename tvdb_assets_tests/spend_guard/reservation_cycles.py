"""Cycles of reserve, request and settlement in processes that kill themselves.

What belongs here: what such a process does, on the ledger and over a real connection. What
does not: retries, limits and the breaker, which ingestions test (`integration`).
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from tvdb_assets.core.token_counting import count_tokens
from tvdb_assets.correlation import request_id
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.budget import SpendLimits
from tvdb_assets.spend_guard.ledger import Ledger, Reservation
from tvdb_assets.spend_guard.prices import embedding_price
from tvdb_assets_tests.spend_guard.ledger_invariants import LIMITS
from tvdb_assets_tests.spend_guard.reservations import attempt

TEXTS = [f"Clause {number} of the policy covers damage by water. " * number for number in range(9)]
STEPS = 5
_FREE = (429, 500)


@dataclass(frozen=True)
class Cycles:
    """What one process does."""

    url: str
    server: str
    seed: int
    count: int
    kill_at: int | None
    """The step at which it dies, of ``count`` times `STEPS`; None lives."""
    lease: timedelta = timedelta(hours=1)
    limits: SpendLimits = LIMITS


def turn(given: Cycles) -> None:
    """Reserve, send, settle; again and again."""
    chance = random.Random(given.seed)
    price = embedding_price("text-embedding-3-small")
    steps = iter(range(given.count * STEPS))
    address = urlsplit(given.server)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)

    def step() -> None:
        if next(steps) == given.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with Database(given.url, max_connections=1) as database:
        ledger = Ledger(database, given.limits)
        for _ in range(given.count):
            text = chance.choice(TEXTS[1:])
            # The bound is above what it will cost, as that of a paid parse is.
            bound = count_tokens(text) + chance.randrange(10)
            reservation = ledger.reserve(attempt(quantity=bound, price=price, lease=given.lease))
            step()
            try:
                status, body = _send(connection, text, reservation, step)
            except (OSError, http.client.HTTPException):
                connection.close()
                with database.transaction() as tx:
                    ledger.post(tx, reservation, outcome="lost")
                step()
                continue
            step()
            if status in _FREE:
                ledger.void(reservation, outcome="refused", status=status)
            else:
                tokens = json.loads(body)["usage"]["total_tokens"] if status == 200 else None
                outcome = "answered" if status == 200 else "lost"
                with database.transaction() as tx:
                    ledger.post(tx, reservation, quantity=tokens, outcome=outcome, status=status)
                    step()
            step()
    connection.close()


def _send(
    connection: http.client.HTTPConnection,
    text: str,
    reservation: Reservation,
    step: Callable[[], None],
) -> tuple[int, bytes]:
    body = json.dumps({"input": [text], "model": "text-embedding-3-small", "dimensions": 3})
    headers = {
        "Authorization": "Bearer sk-of-the-test",
        "Content-Type": "application/json",
        "X-Client-Request-Id": request_id("cycle", reservation.entry_id),
    }
    connection.request("POST", "/v1/embeddings", body, headers)
    step()
    answer = connection.getresponse()
    return answer.status, answer.read()
