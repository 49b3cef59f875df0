-- What was sent may be answered long after its process lost its way to the database. Until then no
-- other process pays for it, unless it sees on its own machine that the process has ended.
ALTER TABLE tvdb.claim_leases ADD COLUMN in_flight_until timestamptz;
ALTER TABLE tvdb.claim_leases ADD COLUMN machine text;
ALTER TABLE tvdb.claim_leases ADD COLUMN process text;

COMMENT ON COLUMN tvdb.claim_leases.in_flight_until IS
    'when each request that was sent is answered or given up, whether the lease is renewed or not';
COMMENT ON COLUMN tvdb.claim_leases.machine IS
    'boot of the machine, namespace of its process ids, host name and address';
COMMENT ON COLUMN tvdb.claim_leases.process IS 'process id and start, in ticks after the boot'
