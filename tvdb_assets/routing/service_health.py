"""The health of each service, derived from its last calls.

What belongs here: reporting the shared state of a service. What does not: changing it
(`spend_guard`), or displaying it (`cli`, `dagster`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from tvdb_assets.embedding.embedder_protocol import PaidEmbedder
from tvdb_assets.embedding.server_traits import ServerTraits
from tvdb_assets.spend_guard.budget import NO_HOURLY_LIMIT, usd
from tvdb_assets.spend_guard.guard import Guard
from tvdb_assets.spend_guard.paid_service import PaidService


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """One service of a run."""

    role: str
    """``parser`` or ``embedder``."""
    service: str
    mode: str
    status: str
    """``ready``, ``unproven`` (no call yet), ``failing``, ``halted`` or ``refused``."""
    breaker: str
    """``closed``, ``open`` or ``half-open``; empty for a free service."""
    remaining_usd: str
    """US dollars left of today's tightest budget for it; empty for a free service."""
    requests_left: int | None
    """Paid requests that fit now into the last 60 minutes; None where no limit applies."""
    requests_per_minute: float | None = None
    """The rate limit that the service reported; None if it reported none."""
    tokens_per_minute: float | None = None
    answered_at: str | None = None
    """ISO 8601, UTC."""
    last_error: str | None = None
    last_error_at: str | None = None
    learned: tuple[str, ...] = ()
    """What the answers of an embedding server showed of it, in words."""

    @classmethod
    def free(cls, role: str, mode: str) -> ServiceHealth:
        """A service that runs on this machine."""
        return cls(role, "this machine", mode, "ready", "", "", None)


def paid_health(guard: Guard, role: str, mode: str, client: PaidService) -> ServiceHealth:
    """The health of a paid service, from the state that all processes share."""
    service = client.service
    state, now = guard.states.read(service)
    learned: list[str] = []
    if isinstance(client, PaidEmbedder) and client.learns:
        learned = ServerTraits.of(state.servers.get(client.server)).described()
    committed, limits = guard.ledger.committed(service), guard.ledger.limits
    left = limits.daily_usd - committed.day_usd
    own = limits.service_daily_usd.get(service)
    if own is not None:
        left = min(left, own - committed.service_day_usd)
    most = limits.requests_an_hour(service)
    used = committed.service_hour_requests
    requests_left = max(0, most - used) if most != NO_HOURLY_LIMIT else None
    breaker = state.breaker.name(now)
    if state.refusal is not None:
        status = "refused"
    elif breaker != "closed" or state.failed_at > state.answered_at:
        status = "failing"
    elif left <= 0 or requests_left == 0 or limits.paused & {"", service}:
        status = "halted"
    else:
        status = "ready" if state.answered_at else "unproven"
    error = state.refusal.message if state.refusal is not None else state.failed_message
    return ServiceHealth(
        role=role,
        service=service,
        mode=mode,
        status=status,
        breaker=breaker,
        remaining_usd=usd(max(left, left * 0)),
        requests_left=requests_left,
        requests_per_minute=state.limiter.limits.requests_per_minute or None,
        tokens_per_minute=state.limiter.limits.tokens_per_minute or None,
        answered_at=_instant(state.answered_at),
        last_error=error or None,
        last_error_at=_instant(state.failed_at),
        learned=tuple(learned),
    )


def _instant(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
