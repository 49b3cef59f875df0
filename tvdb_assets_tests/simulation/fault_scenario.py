"""The scenario of a seed: its documents, its settings and every fault.

What belongs here: drawing a scenario from a seed. What does not: running it (`simulation`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tvdb_assets_tests.paid_apis import Behaviour, FaultKind
from tvdb_assets_tests.paid_apis.faults import FaultPlan
from tvdb_assets_tests.simulation.corpus import POISON, Corpus
from tvdb_assets_tests.simulation.cut_database import Cut
from tvdb_assets_tests.simulation.virtual_time import parse_start

F = FaultKind
_THROTTLED = (F.RATE_LIMITED, F.RATE_LIMITED_SECONDS, F.RATE_LIMITED_DATE, F.RATE_LIMITED_MS)
_DOWN = (F.SERVER_ERROR, F.BAD_GATEWAY, F.UNAVAILABLE, F.GATEWAY_TIMEOUT, F.OVERLOADED) + (
    F.BAD_GATEWAY_HTML,
    F.RESET_BEFORE_WORK,
)
_LOST = (F.SLOW, F.DRIP, F.RESET_AFTER_WORK, F.RESET_MID_BODY)
_UNUSABLE = (F.TRUNCATED_JSON, F.EMPTY_BODY, F.HTML_200, F.OVERSIZED, F.GZIP_BOMB)
_MALFORMED = (F.ONE_TOO_FEW, F.ONE_TOO_MANY, F.DUPLICATED_INDEX, F.MISSING_INDEX) + (
    F.WRONG_DIMENSIONS,
)
_REFUSED = (F.REDIRECT, F.INVALID_KEY, F.FORBIDDEN, F.NOT_FOUND, F.INSUFFICIENT_QUOTA) + (
    F.CREDIT_BALANCE_EXHAUSTED,
    F.PAYMENT_REQUIRED,
    F.BILLING_HARD_LIMIT_400,
    F.BILLING_HARD_LIMIT_429,
)
_ANY = (*_THROTTLED, *_DOWN, *_LOST, *_UNUSABLE, F.UNKNOWN_CODE)
OF_EMBEDDING = (*_ANY, *_MALFORMED, F.SHUFFLED, F.NOT_A_NUMBER, F.ZERO_VECTOR)
OF_SUBMISSION = (*_ANY, F.JOB_FAILED, F.JOB_CANCELLED, F.JOB_UNKNOWN_STATUS, F.JOB_PARTIAL) + (
    F.JOB_NEVER_FINISHES,
    F.JOB_NEVER_BILLED,
)
OF_POLL = (*_ANY, F.NOT_FOUND)
_FAULTS = (
    ("embeddings", OF_EMBEDDING),
    ("submit", OF_SUBMISSION),
    ("poll", OF_POLL),
    ("list", OF_POLL),
    ("upload", _ANY),
)
_STATEMENTS = 500
"""About as many as an ingestion of a scenario has."""


@dataclass(frozen=True)
class FaultScenario:
    """One scenario."""

    seed: int
    start: datetime
    is_hybrid: bool
    documents: Sequence[str]
    behaviour: Behaviour
    max_inputs: int
    concurrency: int
    daily_usd: Decimal
    hourly_requests: int
    batch_documents: int
    """Documents in one batch; several batches are under way at once."""
    faulty_ingestions: int
    """Before the faults end."""
    rates: dict[str, dict[FaultKind, float]] = field(default_factory=dict)
    scripts: list[dict[str, Any]] = field(default_factory=list)
    wait_seconds: float = 1.0
    """What a rate limit asks for."""
    cuts: dict[int, Cut] = field(default_factory=dict)
    """Of the connection to the database, by the number of the statement."""
    listed_before_break: int | None = None
    """Files that a scan of the source lists before the listing breaks off; None for no break."""

    @property
    def is_tight(self) -> bool:
        return self.daily_usd < 1 or self.hourly_requests < 1_000

    def begin(self, faults: FaultPlan) -> None:
        for operation, rates in self.rates.items():
            # A slow answer has its own time; what the others ask to wait is drawn.
            seconds = None if {F.SLOW, F.DRIP} & rates.keys() else self.wait_seconds
            faults.set_rates(rates, operation=operation, seconds=seconds)
        for script in self.scripts:
            faults.script(**script)
        self.poison(faults)

    def poison(self, faults: FaultPlan) -> None:
        """Bad documents stay bad after the faults have ended."""
        for operation, kind in (("embeddings", F.REFUSED_TEXT), ("submit", F.UNPROCESSABLE)):
            faults.script(kind, operation=operation, times=None, marker=POISON)


def scenario(seed: int, corpus: Corpus) -> FaultScenario:
    draw = random.Random(seed)
    documents = draw.sample(corpus.markdown, draw.randint(1, 4))
    documents += draw.sample(corpus.paid, draw.randint(0, 3))
    if draw.random() < 0.2:
        documents += corpus.twins
    if draw.random() < 0.4:
        documents.append(draw.choice(corpus.poison))
    severity = draw.choice((0.0, 0.05, 0.15, 0.3, 0.6, 0.9))
    rates = {operation: _rates(draw, kinds, severity) for operation, kinds in _FAULTS}
    is_limited = draw.random() < 0.15
    return FaultScenario(
        seed=seed,
        start=_start(draw),
        is_hybrid=draw.random() < 0.35,
        documents=sorted(set(documents)),
        behaviour=Behaviour(
            seed=seed,
            latency_seconds=draw.choice((0.0, 0.1, 1.0, 5.0)),
            per_input_seconds=draw.choice((0.0, 0.01)),
            job_seconds=draw.choice((0.0, 2.0, 30.0)),
            billed_after_seconds=draw.choice((0.0, 0.0, 60.0)),
            requests_per_minute=draw.randint(10, 60) if is_limited else 0,
            tokens_per_minute=draw.randint(500, 3_000) if is_limited else 0,
            parsing_requests_per_minute=draw.randint(20, 60) if is_limited else 0,
        ),
        max_inputs=draw.choice((1, 2, 3, 5, 2_048)),
        concurrency=draw.choice((1, 2, 4, 8)),
        daily_usd=Decimal(draw.randint(0, 80)) / 10_000 if draw.random() < 0.2 else Decimal(5),
        hourly_requests=draw.randint(0, 12) if draw.random() < 0.2 else 1_000,
        batch_documents=draw.choice((1, 2, 3, 64)),
        faulty_ingestions=draw.choice((1, 1, 1, 2)),
        rates=rates,
        scripts=_scripts(draw),
        wait_seconds=draw.choice((0.2, 1.0, 20.0, 600.0)),
        cuts=_cuts(draw),
        listed_before_break=draw.randint(0, 20) if draw.random() < 0.25 else None,
    )


def _cuts(draw: random.Random) -> dict[int, Cut]:
    """Mostly none, then one statement, a few, or one of thirty; never two in a row."""
    kinds = list(Cut)
    chance = draw.choice((0.0, 0.0, 0.0, 1 / _STATEMENTS, 0.005, 0.03))
    cuts: dict[int, Cut] = {}
    for number in range(1, _STATEMENTS):
        if draw.random() < chance and number - 1 not in cuts:
            cuts[number] = draw.choice(kinds)
    return cuts


def _rates(
    draw: random.Random, kinds: Sequence[FaultKind], severity: float
) -> dict[FaultKind, float]:
    chosen = draw.sample(kinds, draw.randint(1, len(kinds)))
    return {kind: severity / len(chosen) for kind in chosen}


def _start(draw: random.Random) -> datetime:
    """Often just before an hour, or a day, is over."""
    start = parse_start("2026-03-14T00:00:00").timestamp()
    late = 3_600 * draw.randint(1, 24) - draw.randint(1, 90)
    start += draw.choice((late, draw.randint(0, 86_400)))
    return datetime.fromtimestamp(start, parse_start("2026-03-14").tzinfo)


def _scripts(draw: random.Random) -> list[dict[str, Any]]:
    """A refused account or an outage in mid-load, which stays or passes."""
    scripts: list[dict[str, Any]] = []
    for operation in ("embeddings", "submit", "poll"):
        chance = draw.random()
        kinds = _REFUSED if chance < 0.08 else _DOWN if chance < 0.2 else ()
        if kinds and not (operation == "poll" and chance < 0.08):
            times = draw.choice((None, draw.randint(1, 12)))
            script = {"kind": draw.choice(kinds), "operation": operation, "times": times}
            scripts.append({**script, "after": draw.randint(0, 4)})
    return scripts
