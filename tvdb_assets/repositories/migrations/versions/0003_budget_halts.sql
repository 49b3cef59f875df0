-- The clock of budgets and windows. Tests set an offset in the database to end a window without
-- waiting: ALTER DATABASE … SET tvdb.clock_offset = '1 day'.
CREATE FUNCTION tvdb.clock() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT clock_timestamp()
        + coalesce(nullif(current_setting('tvdb.clock_offset', true), ''), '0 seconds')::interval
$$;

-- Limits and pauses that were changed at run time, newest last. A null value restores the setting.
CREATE TABLE tvdb.limit_changes (
    change_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope      text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('daily_usd', 'hourly_requests', 'is_paused')),
    value      numeric(20, 10),
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT tvdb.clock(),
    run_ids    text[] NOT NULL
);

COMMENT ON COLUMN tvdb.limit_changes.scope IS 'a service, or the empty string for all of them';
COMMENT ON COLUMN tvdb.limit_changes.run_ids IS 'runs that were queued or under way then';

CREATE VIEW tvdb.limit_overrides AS
SELECT scope, kind, value, changed_by, changed_at FROM (
    SELECT DISTINCT ON (scope, kind) * FROM tvdb.limit_changes
    ORDER BY scope, kind, change_id DESC
) newest WHERE value IS NOT NULL;

-- Each threshold of a window, reported once.
CREATE TABLE tvdb.budget_alerts (
    day          timestamptz NOT NULL,
    scope        text        NOT NULL,
    threshold    integer     NOT NULL,
    noted_at     timestamptz NOT NULL DEFAULT tvdb.clock(),
    delivered_at timestamptz,
    attempts     integer     NOT NULL DEFAULT 0,
    PRIMARY KEY (day, scope, threshold)
);

-- When a document began to wait, by the clock of the windows that it waits for.
ALTER TABLE tvdb.documents ADD COLUMN deferred_at timestamptz;

CREATE INDEX documents_deferred ON tvdb.documents (document_id) WHERE status = 'deferred';

-- The share of each document in each entry: the cost of an entry is divided by units.
CREATE VIEW tvdb.cost_entries AS
SELECT l.entry_id, l.run_id, l.service, l.operation, l.model, l.purpose, l.state, l.outcome,
       l.day, l.reserved_at, l.unit, d.document, d.units,
       coalesce(l.posted_usd, CASE l.state WHEN 'pending' THEN l.reserved_usd ELSE 0 END)
           * d.share AS usd
FROM tvdb.cost_ledger l
CROSS JOIN LATERAL (
    SELECT document, units, units / greatest(sum(units) OVER (), 1) AS share
    FROM unnest(l.documents, l.quantities) AS n(document, units)
) d;

CREATE VIEW tvdb.cost_by_run AS
SELECT run_id, min(reserved_at) AS started_at, count(DISTINCT entry_id) AS requests,
       sum(usd) AS usd FROM tvdb.cost_entries GROUP BY 1;

CREATE VIEW tvdb.cost_by_document AS
SELECT document, count(DISTINCT entry_id) AS requests, sum(units) AS units, sum(usd) AS usd
FROM tvdb.cost_entries GROUP BY 1;

CREATE VIEW tvdb.cost_by_service AS
SELECT day, service, operation, model, count(DISTINCT entry_id) AS requests, sum(usd) AS usd
FROM tvdb.cost_entries GROUP BY 1, 2, 3, 4;

-- Amounts that were paid for nothing: responses that were lost or could not be used, and calls of
-- processes that were killed.
CREATE VIEW tvdb.cost_waste AS
SELECT day, service, outcome AS reason, count(DISTINCT entry_id) AS requests, sum(usd) AS usd
FROM tvdb.cost_entries
WHERE state = 'posted' AND outcome IN ('lost', 'assumed', 'bad_answer') GROUP BY 1, 2, 3;

CREATE VIEW tvdb.cost_retries AS
SELECT day, service, count(DISTINCT entry_id) AS requests, sum(usd) AS usd
FROM tvdb.cost_entries WHERE purpose = 'retry' GROUP BY 1, 2
