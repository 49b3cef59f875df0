"""What must hold, whatever happened.

What belongs here: checks on a world's database and on the service's own logs. What does not:
running it (`simulation`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from tvdb_assets.correlation import part_of
from tvdb_assets.errors import TvdbError
from tvdb_assets.ingestion import StageResult
from tvdb_assets.spend_guard.guard import PaidCall
from tvdb_assets.spend_guard.ledger import Reservation
from tvdb_assets_tests.paid_apis import Charge, FaultKind, expected_vectors
from tvdb_assets_tests.simulation.simulated_services import DIMENSIONS, SimulatedServices

_UNUSABLE = frozenset(
    {
        FaultKind.TRUNCATED_JSON,
        FaultKind.EMPTY_BODY,
        FaultKind.OVERSIZED,
        FaultKind.GZIP_BOMB,
        FaultKind.HTML_200,
        FaultKind.ONE_TOO_FEW,
        FaultKind.ONE_TOO_MANY,
        FaultKind.DUPLICATED_INDEX,
        FaultKind.MISSING_INDEX,
        FaultKind.WRONG_DIMENSIONS,
        FaultKind.JOB_FAILED,
        FaultKind.JOB_CANCELLED,
        FaultKind.JOB_UNKNOWN_STATUS,
        FaultKind.JOB_PARTIAL,
        FaultKind.JOB_NEVER_FINISHES,
    }
)
_LEDGER = "coalesce(sum(CASE state WHEN 'pending' THEN reserved_usd ELSE posted_usd END), 0)"


def check_ingestion(simulation: SimulatedServices, results: Sequence[StageResult]) -> None:
    """What must hold after any ingestion, in any scenario."""
    _check_results(results)
    _check_documents(simulation)
    check_money(simulation)
    if simulation.is_interrupted:
        return  # The ingestion that was interrupted has left its claims and reservations.
    pending = simulation.rows(
        "SELECT operation, count(*) FROM tvdb.cost_ledger WHERE state = 'pending' GROUP BY 1"
    )
    assert {operation for operation, _ in pending} <= {"parse"}, pending
    assert simulation.rows("SELECT count(*) FROM tvdb.text_claims") == [(0,)]


def check_money(simulation: SimulatedServices) -> None:
    """What must hold also after an ingestion that a broken connection has ended."""
    check_published(simulation)
    check_windows(simulation)
    ledger = ledger_dollars(simulation)
    assert ledger >= simulation.apis.dollars, f"ledger {ledger} < billed {simulation.apis.dollars}"


def _check_results(results: Sequence[StageResult]) -> None:
    for result in results:
        error = result.error
        if error is not None:
            assert isinstance(error, TvdbError), repr(error)
            assert error.code and error.message and error.remedy, repr(error)
            assert error.document == result.path


def _check_documents(simulation: SimulatedServices) -> None:
    for path, status, code, message, remedy, is_degraded, complete, degraded in simulation.rows(
        """
        SELECT d.path, d.status, d.error_code, d.error_message, d.error_remedy, d.is_degraded,
               count(*) FILTER (WHERE NOT s.is_fallback), count(*) FILTER (WHERE s.is_fallback)
        FROM tvdb.documents d LEFT JOIN tvdb.publications u USING (document_id)
        LEFT JOIN tvdb.indexes USING (index_id)
        LEFT JOIN tvdb.vector_spaces s USING (space_id) GROUP BY d.document_id
        """
    ):
        if status == "published":
            assert code is None, path
            assert (complete, degraded) == ((0, 1) if is_degraded else (1, 0)), path
        else:
            assert status in ("failed", "deferred"), f"{path} is {status}"
            assert code and message and remedy, path


def check_published(simulation: SimulatedServices) -> None:
    """Search shows whole documents, with the right vectors, made by the real service."""
    incomplete = simulation.rows(
        "SELECT u.document_id, count(*)"
        " FROM tvdb.publications u JOIN tvdb.indexes x USING (index_id)"
        " JOIN tvdb.chunks c USING (chunk_set_id) LEFT JOIN tvdb.embeddings e"
        " ON e.space_id = x.space_id AND e.text_sha256 = c.text_sha256"
        " WHERE e.space_id IS NULL GROUP BY 1"
    )
    assert not incomplete, f"published without all vectors: {incomplete}"
    whole = simulation.rows(
        "SELECT i.document, i.service, i.mode, i.is_degraded, p.is_degraded, count(*),"
        " max(k.chunk_count) FROM tvdb.search_index i"
        " JOIN tvdb.publications u ON (u.document_id, u.index_id) = (i.document_id, i.index_id)"
        " JOIN tvdb.chunk_sets k ON k.chunk_set_id = u.chunk_set_id"
        " JOIN tvdb.parsed_documents p USING (parsed_id) GROUP BY 1, 2, 3, 4, 5"
    )
    for document, service, mode, is_degraded, is_parse_degraded, rows, chunks in whole:
        assert (service, mode, is_degraded, is_parse_degraded) == ("openai", "real", False, False)
        assert rows == chunks, f"{document} shows {rows} of {chunks} chunks"
    stored = simulation.rows(
        "SELECT DISTINCT ON (e.text_sha256) c.repeated_header || c.text, e.embedding"
        " FROM tvdb.embeddings e"
        " JOIN tvdb.vector_spaces s USING (space_id) JOIN tvdb.chunks c USING (text_sha256)"
        " WHERE NOT s.is_fallback"
    )
    if stored:
        wanted = expected_vectors([text for text, _ in stored], dimensions=DIMENSIONS)
        made = np.stack([vector.to_numpy() for _, vector in stored])
        np.testing.assert_allclose(made, wanted, atol=1e-6)


def check_windows(simulation: SimulatedServices) -> None:
    """The counters are the sums of the ledger, and within the limits."""
    sums = simulation.rows(
        """
        SELECT scope, period, starts_at, sum(usd), sum(requests) FROM (
            SELECT g.scope, g.period, g.starts_at,
                   CASE WHEN g.period = 'hour' OR state = 'voided' THEN 0
                        WHEN state = 'posted' THEN posted_usd ELSE reserved_usd END AS usd,
                   CASE WHEN g.period = 'hour' AND state = 'voided' AND http_status IS NULL
                        AND outcome <> 'not_billed' THEN 0 ELSE 1 END AS requests
            FROM tvdb.cost_ledger l, LATERAL (VALUES ('', 'day', l.day),
                (l.service, 'day', l.day), (l.service, 'hour', l.hour))
                AS g(scope, period, starts_at)
        ) entries GROUP BY 1, 2, 3
        """
    )
    counted = simulation.rows(
        "SELECT scope, period, starts_at, spent_usd, requests FROM tvdb.budget_windows"
        " WHERE spent_usd <> 0 OR requests <> 0"
    )
    # Requests are limited, and so counted exactly, by the hour alone.
    expected = {(*s[:3], s[3], s[4] if s[1] == "hour" else None) for s in sums if s[3] or s[4]}
    found = {(*c[:3], c[3], c[4] if c[1] == "hour" else None) for c in counted}
    assert found == expected
    for scope, period, _, spent, requests in counted:
        limit = simulation.scenario.daily_usd if not simulation.is_generous else Decimal(5)
        assert spent <= limit, f"{scope} {period}: {spent} > {limit}"
        if period == "hour" and not simulation.is_generous:
            assert requests <= simulation.scenario.hourly_requests, f"{scope}: {requests}"


class NeverBelow:
    """At every point of every paid call, the ledger holds at least what was billed."""

    def __init__(self, simulation: SimulatedServices) -> None:
        self._simulation = simulation
        self.points: set[str] = set()

    def reached(self, point: str, call: PaidCall, reservation: Reservation | None) -> None:
        self.points.add(point)
        # Within the transaction that posts, what it posts is seen by nobody yet.
        if point != "before_commit":
            ledger, billed = ledger_dollars(self._simulation), self._simulation.apis.dollars
            assert ledger >= billed, f"at {point}: ledger {ledger} < billed {billed}"


def searchable(simulation: SimulatedServices) -> set[str]:
    """The documents that search shows."""
    return {path for (path,) in simulation.rows("SELECT DISTINCT document FROM tvdb.search_index")}


def ledger_dollars(simulation: SimulatedServices) -> Decimal:
    [(dollars,)] = simulation.rows(
        f"SELECT {_LEDGER} FROM tvdb.cost_ledger WHERE state <> 'voided'"
    )
    return Decimal(dollars)


def check_reconciled(simulation: SimulatedServices) -> None:
    """Once every open entry was asked for, the ledger is the service's own log."""
    ledger = simulation.rows(
        "SELECT entry_id::text, posted_usd, outcome, operation FROM tvdb.cost_ledger"
        " WHERE state <> 'voided'"
    )
    assert all(posted is not None for _, posted, _, _ in ledger)
    billed: Counter[str] = Counter()
    for charge in simulation.apis.charges:
        billed[str(part_of(charge.client_request_id or ""))] += charge.dollars
    wrong = [
        (operation, outcome, posted, billed[entry])
        for entry, posted, outcome, operation in ledger
        if posted != billed[entry]
    ]
    assert not wrong, f"(operation, outcome, ledger, billed): {wrong}"
    assert ledger_dollars(simulation) == simulation.apis.dollars
    check_windows(simulation)


def check_nothing_paid_twice(simulation: SimulatedServices) -> None:
    """A text or file is paid once, but where its answer was lost or could not be read.

    A vector of zeros or with NaN is an answer too, as long as nobody has asked to pay again.
    """
    faults = {request.request_id: request.fault for request in simulation.apis.requests}
    never_read = {
        job
        for (job,) in simulation.rows(
            "SELECT j.job_id FROM tvdb.parse_jobs j JOIN tvdb.cost_ledger l USING (entry_id)"
            " WHERE j.state = 'submitted' OR l.outcome = 'lost'"
        )
    }
    good: Counter[tuple[str, str]] = Counter()
    for charge in simulation.apis.charges:
        fault = faults[charge.request_id]
        if not _is_usable(charge, fault) or charge.job_id in never_read:
            continue
        good.update({(charge.operation, digest) for digest in charge.sha256})
    again = {key: times for key, times in good.items() if times > 1}
    assert not again, f"paid again: {again}"


def _is_usable(charge: Charge, fault: str | None) -> bool:
    return charge.answered and fault not in _UNUSABLE


def check_healed(simulation: SimulatedServices) -> None:
    """Without faults, every document is published that the services accept."""
    states = simulation.rows("SELECT path, status, error_code, is_degraded FROM tvdb.documents")
    wrong = [
        row
        for row in states
        if row[1:] != ("published", None, False) and row[0] not in simulation.shared.corpus.poison
    ]
    assert not wrong, f"not healed: {wrong}"
    for path, status, code, _ in states:
        if path in simulation.shared.corpus.poison:
            assert (status, code) in (("failed", "text_refused"), ("failed", "document_refused"))
    degraded = simulation.rows(
        "SELECT path FROM tvdb.publications JOIN tvdb.indexes USING (index_id)"
        " JOIN tvdb.vector_spaces USING (space_id)"
        " JOIN tvdb.documents USING (document_id) WHERE is_fallback"
    )
    assert {path for (path,) in degraded} <= set(simulation.shared.corpus.poison)
    assert searchable(simulation) == set(simulation.scenario.documents) - set(
        simulation.shared.corpus.poison
    )
