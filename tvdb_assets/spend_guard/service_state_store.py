"""The state of each paid service, shared by all processes: one row for each service.

What belongs here: reading and changing that row under its lock. What does not: the
transitions (`service_state`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg.types.json import Jsonb

from tvdb_assets import error_codes as codes
from tvdb_assets.repositories.database import Database
from tvdb_assets.spend_guard.circuit_breaker import Breaker
from tvdb_assets.spend_guard.rate_limiter import Limiter, RateLimits
from tvdb_assets.spend_guard.service_state import Refusal, ServiceState, on_this_clock

_T = TypeVar("_T")


class ServiceStates:
    """The rows of one database."""

    def __init__(self, database: Database, clock: Callable[[], datetime] | None = None) -> None:
        """Nothing is read yet; ``clock`` None means the database's own."""
        self._database = database
        self._clock = clock

    def change(
        self, service: str, transition: Callable[[ServiceState, float], tuple[ServiceState, _T]]
    ) -> _T:
        """Apply a pure transition under the row's lock; returns the second part of its result.

        Raises:
            StorageError: the database can't be reached; then nothing may be paid.
        """

        def work(tx: psycopg.Connection[Any]) -> _T:
            state, now = self._read(tx, service, lock=True)
            changed, answer = transition(state, now)
            if changed != state:
                tx.execute(
                    "UPDATE tvdb.service_states SET state = %s, updated_at = now()"
                    " WHERE service = %s",
                    (Jsonb(asdict(changed)), service),
                )
            return answer

        try:
            # At worst a transition is applied twice, which takes a slot of the rate too many.
            return self._database.run(work)
        except psycopg.Error as error:
            raise codes.SERVICE_STATE_UNREACHABLE.error() from error

    def read(self, service: str) -> tuple[ServiceState, float]:
        """The state, and the time of the clock to compare it with."""
        return self._database.run(lambda tx: self._read(tx, service, lock=False))

    def _read(
        self, tx: psycopg.Connection[Any], service: str, *, lock: bool
    ) -> tuple[ServiceState, float]:
        query = (
            "SELECT state, extract(epoch FROM tvdb.clock())::float8"
            " FROM tvdb.service_states WHERE service = %s" + (" FOR UPDATE" if lock else "")
        )
        row = tx.execute(query, (service,)).fetchone()
        if row is None and lock:
            tx.execute(
                "INSERT INTO tvdb.service_states (service) VALUES (%s) ON CONFLICT DO NOTHING",
                (service,),
            )
            row = tx.execute(query, (service,)).fetchone()
        now = self._clock().timestamp() if self._clock is not None else row[1] if row else 0.0
        return on_this_clock(_state(row[0] if row else {}), now), now


def _state(stored: Mapping[str, Any]) -> ServiceState:
    limiter, refusal = stored.get("limiter") or {}, stored.get("refusal")
    parts = {
        "breaker": Breaker(**_fields_of(Breaker, stored.get("breaker") or {})),
        "limiter": Limiter(
            **_fields_of(Limiter, limiter)
            | {"limits": RateLimits(**_fields_of(RateLimits, limiter.get("limits") or {}))}
        ),
        "refusal": Refusal(**_fields_of(Refusal, refusal)) if refusal else None,
    }
    return ServiceState(**_fields_of(ServiceState, stored) | parts)


def _fields_of(state_type: type, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The stored values of the fields that the type has; another release may have stored more."""
    names = {field.name for field in fields(state_type)}
    return {name: value for name, value in stored.items() if name in names}
