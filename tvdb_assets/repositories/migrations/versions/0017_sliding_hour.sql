-- The hour of requests slides, by the latest time at which a request can have been sent.
ALTER TABLE tvdb.cost_ledger ADD COLUMN sent_before timestamptz;

COMMENT ON COLUMN tvdb.cost_ledger.sent_before IS
    'latest time at which the request can have been sent, null if it never was';

UPDATE tvdb.cost_ledger
SET sent_before = least(settled_at, lease_until, reserved_at + interval '10 minutes')
WHERE state <> 'voided' OR http_status IS NOT NULL OR outcome = 'not_billed';

CREATE INDEX cost_ledger_sent ON tvdb.cost_ledger (service, sent_before)
    WHERE sent_before IS NOT NULL
