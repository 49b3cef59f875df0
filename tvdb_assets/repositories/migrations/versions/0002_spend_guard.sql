-- The committed amounts of a budget window: reservations at their upper bound, posted calls at
-- their cost. Every reservation locks the row of the whole day, so one lock decides.
CREATE TABLE tvdb.budget_windows (
    scope     text        NOT NULL,
    period    text        NOT NULL CHECK (period IN ('day', 'hour')),
    starts_at timestamptz NOT NULL,
    spent_usd numeric(20, 10) NOT NULL DEFAULT 0,
    requests  bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, period, starts_at)
);

COMMENT ON COLUMN tvdb.budget_windows.scope IS 'a service, or the empty string for all of them';

-- Every attempt of every paid call. A row is pending, and counts as spent, until its outcome is
-- known.
CREATE TABLE tvdb.cost_ledger (
    entry_id      uuid PRIMARY KEY,
    call_id       uuid    NOT NULL,
    attempt       integer NOT NULL CHECK (attempt > 0),
    run_id        text    NOT NULL,
    service       text    NOT NULL,
    operation     text    NOT NULL,
    model         text    NOT NULL,
    purpose       text    NOT NULL CHECK (purpose IN ('first', 'retry', 'split')),
    documents     text[]  NOT NULL,
    quantities    bigint[] NOT NULL,
    inputs        integer NOT NULL,
    unit          text    NOT NULL,
    quantity      bigint  NOT NULL,
    unit_usd      numeric(20, 14) NOT NULL,
    price_version text    NOT NULL,
    reserved_usd  numeric(20, 10) NOT NULL CHECK (reserved_usd >= 0),
    posted_usd    numeric(20, 10) CHECK (posted_usd >= 0),
    state         text    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'posted', 'voided')),
    outcome       text,
    http_status   integer,
    request_id    text,
    job_id        text,
    day           timestamptz NOT NULL,
    hour          timestamptz NOT NULL,
    reserved_at   timestamptz NOT NULL,
    lease_until   timestamptz NOT NULL,
    settled_at    timestamptz,
    CHECK (CARDINALITY(documents) = CARDINALITY(quantities)),
    CHECK ((state = 'posted') = (posted_usd IS NOT NULL))
);

COMMENT ON COLUMN tvdb.cost_ledger.entry_id IS 'sent to the service as X-Client-Request-Id';
COMMENT ON COLUMN tvdb.cost_ledger.quantity IS 'units that were reserved, then those that were billed';
COMMENT ON COLUMN tvdb.cost_ledger.quantities IS 'units of each document, in the order of documents';

CREATE INDEX cost_ledger_day ON tvdb.cost_ledger (day, service);

CREATE INDEX cost_ledger_run ON tvdb.cost_ledger (run_id);

CREATE INDEX cost_ledger_request ON tvdb.cost_ledger (request_id) WHERE request_id IS NOT NULL;

CREATE INDEX cost_ledger_pending ON tvdb.cost_ledger (lease_until) WHERE state = 'pending';

-- The known state of a service: circuit breaker, limits, refusals. All processes share the row.
CREATE TABLE tvdb.service_states (
    service    text PRIMARY KEY,
    state      jsonb NOT NULL DEFAULT '{}',
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Texts that a process embeds at the moment, so that no other process pays for them too. A claim
-- is valid while its holder has an advisory lock with this number: it ends with the process. The
-- table is unlogged, because a crash of the server ends the work of every process.
CREATE UNLOGGED TABLE tvdb.text_claims (
    space_id    smallint NOT NULL,
    text_sha256 bytea    NOT NULL,
    holder      bigint   NOT NULL,
    PRIMARY KEY (space_id, text_sha256)
);

CREATE INDEX text_claims_holder ON tvdb.text_claims (holder);

-- A submitted job of a paid parser. After a crash the job is awaited, never submitted twice.
CREATE TABLE tvdb.parse_jobs (
    service        text    NOT NULL,
    job_id         text    NOT NULL,
    entry_id       uuid    NOT NULL REFERENCES tvdb.cost_ledger,
    content_sha256 bytea   NOT NULL,
    fingerprint    text    NOT NULL,
    run_id         text    NOT NULL,
    state          text    NOT NULL DEFAULT 'submitted'
        CHECK (state IN ('submitted', 'done', 'failed')),
    submitted_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service, job_id)
);

CREATE INDEX parse_jobs_content ON tvdb.parse_jobs (content_sha256, fingerprint)
    WHERE state <> 'failed';

-- The space of vectors of the fallback is treated like that of a mock: it is never current, and
-- its vectors are deleted when the paid service has embedded the document.
ALTER TABLE tvdb.vector_spaces ADD COLUMN is_stand_in boolean NOT NULL DEFAULT false;

ALTER TABLE tvdb.vector_spaces ADD CHECK (NOT (is_stand_in AND is_current));

ALTER TABLE tvdb.documents ADD COLUMN is_degraded boolean NOT NULL DEFAULT false;

CREATE INDEX documents_degraded ON tvdb.documents (document_id) WHERE is_degraded
