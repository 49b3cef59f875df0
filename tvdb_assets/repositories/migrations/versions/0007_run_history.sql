-- An ingestion run, and the run that it is a retry of.
CREATE TABLE tvdb.runs (
    run_id        text PRIMARY KEY,
    root_run_id   text NOT NULL,
    parent_run_id text,
    backfill_id   text,
    started_at    timestamptz NOT NULL DEFAULT tvdb.clock(),
    ended_at      timestamptz
);

COMMENT ON COLUMN tvdb.runs.root_run_id IS 'the first of its retries, or the run itself where it is none';

CREATE INDEX runs_root ON tvdb.runs (root_run_id);

-- Events of a run other than paid calls: free requests, a limit that was reached, a change of a
-- circuit breaker. Rows are added, never changed.
CREATE TABLE tvdb.service_events (
    event_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    happened_at timestamptz NOT NULL,
    run_id      text NOT NULL,
    service     text NOT NULL,
    kind        text NOT NULL,
    document    text,
    part        uuid,
    request_id  text,
    code        text,
    http_status integer,
    seconds     double precision,
    message     text NOT NULL
);

COMMENT ON COLUMN tvdb.service_events.part IS 'sent to the service behind the run id, as X-Client-Request-Id';

CREATE INDEX service_events_run ON tvdb.service_events (run_id);

CREATE INDEX service_events_request ON tvdb.service_events (request_id)
    WHERE request_id IS NOT NULL;

-- The salt of the names that replace private paths, so that nobody can guess a path.
CREATE TABLE tvdb.installation (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    salt    bytea NOT NULL
);

INSERT INTO tvdb.installation (salt)
    VALUES (uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

CREATE INDEX cost_ledger_documents ON tvdb.cost_ledger USING gin (documents);

COMMENT ON COLUMN tvdb.cost_ledger.entry_id IS 'sent to the service behind the run id, as X-Client-Request-Id'
