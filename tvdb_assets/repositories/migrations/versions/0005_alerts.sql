-- An alert says what held when it was noted, whenever it is delivered.
ALTER TABLE tvdb.budget_alerts
    ADD COLUMN spent_usd       numeric(20, 10) NOT NULL DEFAULT 0,
    ADD COLUMN limit_usd       numeric(20, 10) NOT NULL DEFAULT 0,
    ADD COLUMN reached_at      timestamptz,
    ADD COLUMN told_at         timestamptz,
    ADD COLUMN next_attempt_at timestamptz NOT NULL DEFAULT now();

COMMENT ON COLUMN tvdb.budget_alerts.scope IS 'a service, or the empty string for all of them';
COMMENT ON COLUMN tvdb.budget_alerts.told_at IS 'in the log and as an event of Dagster';
COMMENT ON COLUMN tvdb.budget_alerts.delivered_at IS 'to the webhook';

-- What is there was told as it was noted, and its amounts were not kept.
UPDATE tvdb.budget_alerts SET told_at = noted_at, delivered_at = coalesce(delivered_at, noted_at);

ALTER TABLE tvdb.budget_alerts
    ALTER COLUMN spent_usd DROP DEFAULT,
    ALTER COLUMN limit_usd DROP DEFAULT,
    ALTER COLUMN next_attempt_at DROP DEFAULT;

-- What held yesterday matters too, so changes are read from the table.
DROP VIEW tvdb.limit_overrides
