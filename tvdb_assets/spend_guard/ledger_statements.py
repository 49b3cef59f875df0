"""The two statements that change the ledger and the budget windows together.

What belongs here: the SQL of a reservation and of a settlement. What does not: when they run and
under which locks (`ledger`).
"""

from __future__ import annotations

RESERVE = """
WITH counted AS (
    UPDATE tvdb.budget_windows SET
        spent_usd = spent_usd + CASE WHEN period = 'day' THEN %(amount)s ELSE 0 END,
        requests = requests + 1
    WHERE (scope, period, starts_at) IN
        (('', 'day', %(day)s), (%(service)s, 'day', %(day)s), (%(service)s, 'hour', %(hour)s))
)
INSERT INTO tvdb.cost_ledger (entry_id, call_id, attempt, run_id, service, operation, model,
    purpose, documents, quantities, inputs, unit, quantity, unit_usd, price_version,
    reserved_usd, day, hour, reserved_at, lease_until, sent_before)
VALUES (%(entry)s, %(call)s, %(attempt)s, %(run)s, %(service)s, %(operation)s, %(model)s,
    %(purpose)s, %(documents)s::text[], %(quantities)s::bigint[], %(inputs)s, %(unit)s,
    %(quantity)s, %(unit_usd)s, %(price_version)s, %(amount)s, %(day)s, %(hour)s, %(now)s,
    %(lease_until)s, %(lease_until)s)
"""
"""Write a reservation and its counters, under the locks of `budget_windows.lock_windows`."""

SETTLE = """
WITH before AS (
    SELECT entry_id, service, day, coalesce(%(now)s::timestamptz, tvdb.clock()) AS now,
           CASE WHEN state = 'voided' THEN 0 ELSE coalesce(posted_usd, reserved_usd) END AS counted,
           CASE WHEN %(state)s = 'voided' THEN 0
                ELSE coalesce(%(cost)s, ceil(%(quantity)s * unit_usd * 1e10) / 1e10,
                              -- An entry that is not settled has the most units that can be.
                              greatest(reserved_usd, ceil(quantity * unit_usd * 1e10) / 1e10))
           END AS cost
    FROM tvdb.cost_ledger
    WHERE entry_id = %(entry)s
      AND (state = 'pending' OR outcome = 'not_billed'
           OR (state = 'posted' AND outcome = ANY(%(unsure)s)))
    FOR UPDATE
), settled AS (
    UPDATE tvdb.cost_ledger l SET
        state = %(state)s,
        posted_usd = CASE WHEN %(state)s = 'posted' THEN b.cost END,
        quantity = coalesce(%(quantity)s, l.quantity),
        outcome = %(outcome)s,
        http_status = coalesce(%(status)s, l.http_status),
        request_id = coalesce(%(request_id)s, l.request_id),
        settled_at = b.now,
        -- An hour of requests slides by this time, so it is as early as is certain.
        sent_before = CASE WHEN %(was_sent)s AND l.sent_before IS NOT NULL
                           THEN least(l.sent_before, b.now) END
    FROM before b WHERE l.entry_id = b.entry_id
), windows AS (
    SELECT w.scope, w.period, w.starts_at, b.cost - b.counted AS change
    FROM before b JOIN tvdb.budget_windows w
      ON w.scope IN ('', b.service) AND w.period = 'day' AND w.starts_at = b.day
    WHERE b.cost <> b.counted
    ORDER BY w.scope
    FOR UPDATE OF w
)
UPDATE tvdb.budget_windows w SET spent_usd = spent_usd + c.change
FROM windows c
WHERE (w.scope, w.period, w.starts_at) = (c.scope, c.period, c.starts_at)
"""
"""Settle an entry and correct its counters.

An entry that is settled already stays as it is: settling twice counts once. Two kinds of settled
entries are corrected: one whose cost was only assumed, and one that reconciliation released while
its process was still waiting for the response. The counters are locked in the order of
`budget_windows.lock_windows`.
"""
