"""The stored state of a service: what a release does not know in it does no harm."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.circuit_breaker import Breaker
from tvdb_assets.spend_guard.rate_limiter import Limiter, RateLimits
from tvdb_assets.spend_guard.service_state import Refusal, ServiceState
from tvdb_assets.spend_guard.service_state_store import ServiceStates

_STATE = ServiceState(
    breaker=Breaker(failures=2),
    limiter=Limiter(limits=RateLimits(requests_per_minute=60.0)),
    refusal=Refusal("quota_exhausted", "No quota.", "Raise it.", "account", 1.0),
    answered_at=3.0,
    failed_at=4.0,
    failed_message="It failed.",
    ratios={"account": 1.5},
)


def _store(database: Database, state: dict[str, Any]) -> None:
    with database.transaction() as tx:
        tx.execute("INSERT INTO tvdb.service_states VALUES ('openai', %s)", (Jsonb(state),))


@pytest.mark.parametrize(
    "part", [(), ("breaker",), ("limiter",), ("limiter", "limits"), ("refusal",)]
)
def test_a_field_of_another_release_is_ignored(database: Database, part: tuple[str, ...]) -> None:
    stored = asdict(_STATE)
    place = stored
    for name in part:
        place = place[name]
    place["failed_code"] = "server_error"
    _store(database, stored)

    assert ServiceStates(database).read("openai")[0] == _STATE


def test_a_missing_field_has_its_default(database: Database) -> None:
    _store(database, {"failed_message": "It failed.", "limiter": {"limits": {}}})

    assert ServiceStates(database).read("openai")[0] == ServiceState(failed_message="It failed.")
