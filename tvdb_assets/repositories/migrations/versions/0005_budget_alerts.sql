-- An alert has the amounts at the time when it was recorded, whenever it is delivered.
ALTER TABLE tvdb.budget_alerts
    ADD COLUMN spent_usd       numeric(20, 10) NOT NULL DEFAULT 0,
    ADD COLUMN limit_usd       numeric(20, 10) NOT NULL DEFAULT 0,
    ADD COLUMN reached_at      timestamptz,
    ADD COLUMN told_at         timestamptz,
    ADD COLUMN next_attempt_at timestamptz NOT NULL DEFAULT now();

COMMENT ON COLUMN tvdb.budget_alerts.scope IS 'a service, or the empty string for all of them';
COMMENT ON COLUMN tvdb.budget_alerts.told_at IS 'in the log and as an event of Dagster';
COMMENT ON COLUMN tvdb.budget_alerts.delivered_at IS 'to the webhook';

-- Existing alerts were reported when they were recorded, and their amounts were not stored.
UPDATE tvdb.budget_alerts SET told_at = noted_at, delivered_at = coalesce(delivered_at, noted_at);

ALTER TABLE tvdb.budget_alerts
    ALTER COLUMN spent_usd DROP DEFAULT,
    ALTER COLUMN limit_usd DROP DEFAULT,
    ALTER COLUMN next_attempt_at DROP DEFAULT;

-- Limits of yesterday are needed too, so changes are read from the table.
DROP VIEW tvdb.limit_overrides
