"""A forecast of whether an ingestion fits the remaining budget, reported before it starts.

What belongs here: an estimate that takes a few seconds at most, for any number of documents. What
does not: the exact estimate, which reads all documents (`cost_estimator`).

The token counts of documents that were parsed and chunked before are known. For the others, a
sample of each file type is estimated, and the remaining files are assumed to cost the same per
byte.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tvdb_assets.errors import TvdbError
from tvdb_assets.ingestion.batch_collection import document_price
from tvdb_assets.ingestion.cost_estimator import CostEstimator
from tvdb_assets.ingestion.document_state import suffix_of
from tvdb_assets.repositories.forecast_inputs import ForecastInput, forecast_inputs
from tvdb_assets.routing.paid_services import paid_services
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.sources.source import Source
from tvdb_assets.spend_guard.budget import CommittedSpend, SpendLimits, usd
from tvdb_assets.spend_guard.prices import Price
from tvdb_assets.spend_guard.spend_limits import ALL

SAMPLE = 32
"""Number of files of each type that are read."""
_SAMPLED_BYTES = 32 << 20
_MOST_TOKENS_A_BYTE = 2
"""Far above any text with overlaps; files that fit the budget by this bound need no estimate."""
_ROUNDING = Decimal("1e-9")
"""Maximum rounding error of sums of rates, in US dollars."""
_READ_HERE = frozenset({".md", ".txt", ".eml"})
"""File types that are never sent to a paid parser."""


@dataclass(frozen=True, slots=True)
class CostForecast:
    """The cost of an ingestion, compared with the rest of today's budget."""

    documents: int
    fitting: int
    """Number of documents that can be processed today; free documents always can."""
    cost_usd: Decimal
    left_usd: Decimal

    def message(self) -> str:
        """The forecast as a message for users."""
        return (
            f"About {self.fitting:,} of {self.documents:,} documents fit the rest of today's "
            f"budget: ${usd(self.left_usd)}, and all of them need about ${self.cost_usd:,.4f}. "
            "The others wait and resume automatically when the day turns or a limit is raised "
            "(tvdb limits)."
        )


def forecast_cost(
    router: ServiceRouter,
    estimator: CostEstimator,
    partition_keys: Sequence[str],
    pipeline_fingerprint: str,
    sources: Callable[[str], Source],
) -> CostForecast | None:
    """The forecast; None if all documents fit, or if these modes have no paid service.

    Args:
        router: the router of the ingestion.
        estimator: a cost estimator with the same router.
        partition_keys: partition keys of registered documents.
        pipeline_fingerprint: fingerprint of the ingestion's pipeline.
        sources: opens a source by its root.
    """
    if not router.clients.pays:
        return None
    embedder, parser = router.clients.paid_embedder, router.clients.paid_parser
    token = None
    if embedder is not None:
        is_deferrable = estimator.is_deferrable
        token = document_price(embedder, router.settings, is_deferrable=is_deferrable)
    space = router.clients.embedder.space
    files = forecast_inputs(
        router.services.database, partition_keys, pipeline_fingerprint, space.label
    )
    committed = {
        name: router.services.ledger.committed(name) for name in paid_services(router.settings)
    }
    budgets = _left(router.services.ledger.limits, committed)
    unknown = [file for file in files if not file.is_known]
    may_parse = parser is not None and any(
        suffix_of(file.path) not in _READ_HERE for file in unknown
    )
    if not may_parse:
        tokens = sum(f.lacking_tokens for f in files)
        tokens += sum(f.size for f in unknown) * _MOST_TOKENS_A_BYTE
        if embedder is None or token is None:
            return None
        if token.of(tokens) <= min(budgets[ALL], budgets[embedder.service]):
            return None
    rates = _rates(unknown, estimator, sources)
    costs = [_cost(file, token, rates) for file in files]
    fitting = _fitting(
        costs,
        budgets,
        parser.service if parser is not None else "",
        embedder.service if embedder is not None else "",
    )
    if fitting == len(files):
        return None
    total = sum((parse + embed for parse, embed in costs), Decimal(0))
    return CostForecast(len(files), fitting, total, budgets[ALL])


def _left(limits: SpendLimits, committed: Mapping[str, CommittedSpend]) -> dict[str, Decimal]:
    """The remaining US dollars, in total and by service."""
    zero, day = Decimal(0), next(iter(committed.values())).day_usd
    left = {ALL: max(zero, limits.daily_usd - day)}
    for service, at in committed.items():
        own = limits.service_daily_usd.get(service)
        left[service] = left[ALL] if own is None else max(zero, own - at.service_day_usd)
    return {name: zero if limits.paused & {ALL, name} else usd for name, usd in left.items()}


def _rates(
    unknown: Sequence[ForecastInput], estimator: CostEstimator, sources: Callable[[str], Source]
) -> dict[str, tuple[Decimal, Decimal]]:
    """US dollars per byte for parsing and for embedding, by file type."""
    kinds: dict[str, list[ForecastInput]] = defaultdict(list)
    for file in unknown:
        kinds[suffix_of(file.path)].append(file)
    rates = {}
    for kind, files in kinds.items():
        sample: list[ForecastInput] = []
        size = 0
        # The sample is spread evenly, because neighbouring files are similar.
        for file in files[:: max(1, len(files) // SAMPLE)][:SAMPLE]:
            if sample and size + file.size > _SAMPLED_BYTES:
                break
            sample.append(file)
            size += file.size
        parse = embed = Decimal(0)
        for root in {file.source for file in sample}:
            paths = [file.path for file in sample if file.source == root]
            for cost in _estimated(estimator, sources, root, paths):
                parse += cost[0]
                embed += cost[1]
        rates[kind] = (parse / max(1, size), embed / max(1, size))
    return rates


def _estimated(
    estimator: CostEstimator, sources: Callable[[str], Source], root: str, paths: Sequence[str]
) -> list[tuple[Decimal, Decimal]]:
    try:
        source = sources(root)
    except TvdbError:
        return []  # The ingestion fails each of its documents, with the reason.
    costs = estimator.run(source, paths)
    return [(cost.parse_usd, cost.cost_usd - cost.parse_usd) for cost in costs]


def _cost(
    file: ForecastInput, token: Price | None, rates: Mapping[str, tuple[Decimal, Decimal]]
) -> tuple[Decimal, Decimal]:
    """US dollars for a file: parsing and embedding."""
    if file.is_known:
        return Decimal(0), token.of(file.lacking_tokens) if token is not None else Decimal(0)
    parse, embed = rates[suffix_of(file.path)]
    return parse * file.size, embed * file.size


def _fitting(
    costs: Sequence[tuple[Decimal, Decimal]],
    left: Mapping[str, Decimal],
    parser: str,
    embedder: str,
) -> int:
    """The number of documents that fit: each budget stops at the first one that does not fit.

    Args:
        costs: US dollars for parsing and for embedding of each document, in order.
        left: remaining US dollars, in total and by service.
        parser: the service that is paid for parsing; empty where parsing is free.
        embedder: the service that is paid for embedding; empty where embedding is free.
    """
    budgets, count = dict(left), 0
    for parse, embed in costs:
        needs = {ALL: parse + embed}
        for service, amount in ((parser, parse), (embedder, embed)):
            if service:
                needs[service] = needs.get(service, Decimal(0)) + amount
        short = [name for name, usd in needs.items() if usd and usd > budgets[name] + _ROUNDING]
        for name in short:
            budgets[name] = -_ROUNDING
        if not short:
            budgets |= {name: budgets[name] - usd for name, usd in needs.items()}
            count += 1
    return count
