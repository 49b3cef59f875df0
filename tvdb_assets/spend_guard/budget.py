"""Whether an amount fits the budget: pure arithmetic on what has been committed.

What belongs here: the decision. What does not: the lock under which it is taken and the
counters that it reads (`ledger`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tvdb_assets import error_codes as codes

_SHARE_TO_RESUME = 4
"""One part in so many of an hour's requests has to be free before deferred work is resumed."""
NO_HOURLY_LIMIT = 2**31 - 1
"""More requests than any hour contains."""


@dataclass(frozen=True, slots=True)
class SpendLimits:
    """What may be spent."""

    daily_usd: Decimal
    """US dollars a UTC day over all services."""
    hourly_requests: int
    """Paid requests an hour of each service."""
    service_daily_usd: Mapping[str, Decimal] = field(default_factory=dict)
    """US dollars a UTC day of single services; the others have only the limit of all."""
    service_hourly_requests: Mapping[str, int] = field(default_factory=dict)
    """Instead of ``hourly_requests``, for single services."""
    service_settings: Mapping[str, str] = field(default_factory=dict)
    """The setting of a service's own limit, for messages; others are set by ``tvdb limits``."""
    free_services: frozenset[str] = frozenset()
    """Services that cost nothing: only their own limit of requests an hour applies, if any."""
    paused: frozenset[str] = frozenset()
    """Services that are paused; the empty string stands for all."""

    def requests_an_hour(self, service: str) -> int:
        """Of one service; `NO_HOURLY_LIMIT` if there is no limit."""
        common = NO_HOURLY_LIMIT if service in self.free_services else self.hourly_requests
        return self.service_hourly_requests.get(service, common)


@dataclass(frozen=True, slots=True)
class CommittedSpend:
    """The amounts in the current windows: reservations at their bound, and posted costs."""

    day: datetime
    """When the day began, in UTC."""
    hour: datetime
    """When the clock hour began, in UTC."""
    day_usd: Decimal = Decimal(0)
    service_day_usd: Decimal = Decimal(0)
    service_hour_requests: int = 0
    """Of the last 60 minutes."""
    next_request_at: datetime | None = None
    """When the next request fits, if those of the hour are used up; None if that was not read."""
    now: datetime | None = None
    """When the amounts were read, by the clock of the ledger; None: when the hour began."""


def check_fits(
    service: str, amount: Decimal, limits: SpendLimits, committed: CommittedSpend
) -> None:
    """Refuse an amount that does not fit.

    Raises:
        BudgetError: paid calls are paused, or it would exceed the day's dollars, of all
            services or of this one.
        RateError: the service has had all its requests of the last 60 minutes.
    """
    if limits.paused & {"", service}:
        raise codes.PAUSED.error(services="all services" if "" in limits.paused else service)
    tomorrow = committed.day + timedelta(days=1)
    for whose, setting, limit, spent in (
        ("all paid services", "TVDB_DAILY_COST_LIMIT", limits.daily_usd, committed.day_usd),
        (
            service,
            limits.service_settings.get(service, ""),
            limits.service_daily_usd.get(service),
            committed.service_day_usd,
        ),
    ):
        if limit is not None and spent + amount > limit:
            resumes = f"{tomorrow:%Y-%m-%d %H:%M}"
            if not setting:
                raise codes.BUDGET_WITHOUT_SETTING_EXHAUSTED.error(
                    amount=usd(amount),
                    limit=usd(limit),
                    whose=whose,
                    spent=usd(spent),
                    resumes=resumes,
                )
            raise codes.BUDGET_EXHAUSTED.error(
                amount=usd(amount),
                limit=usd(limit),
                whose=whose,
                spent=usd(spent),
                resumes=resumes,
                setting=setting,
            )
    most = limits.requests_an_hour(service)
    if committed.service_hour_requests + 1 > most:
        if not most:
            raise codes.HOURLY_REQUESTS_NONE.error(service=service)
        following = committed.next_request_at or committed.hour + timedelta(hours=1)
        # The next whole minute: earlier, it would be refused again.
        following = following.astimezone(UTC) + timedelta(minutes=1, microseconds=-1)
        raise codes.HOURLY_REQUESTS_EXHAUSTED.error(
            service=service, limit=most, resumes=f"{following:%H:%M}"
        )


def requests_renewed_at(
    committed: Mapping[str, CommittedSpend], limits: SpendLimits, now: datetime
) -> datetime:
    """Work that was deferred before this time, because an hour's requests were used up, may resume.

    The hour slides, so that its requests become free one by one. Work resumes when a quarter of
    them is free, or after an hour, so that it is not resumed for each single one.
    """
    for service, spent in committed.items():
        most = limits.requests_an_hour(service)
        if spent.service_hour_requests > most - max(1, most // _SHARE_TO_RESUME):
            return now - timedelta(hours=1)
    return now


def usd(amount: Decimal) -> str:
    """US dollars for people: at least two decimals, and as many as the amount has."""
    text = f"{amount.normalize():f}"
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"
