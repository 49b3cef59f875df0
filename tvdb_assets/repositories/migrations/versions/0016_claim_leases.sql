-- A claim of something that is paid for is valid while an advisory lock with its key is held, or
-- while its process renews its lease: a process that lost its connection still waits for answers.
CREATE TABLE tvdb.claim_leases (
    holder     bigint      PRIMARY KEY,
    renewed_at timestamptz NOT NULL,
    lasts      interval    NOT NULL
);

COMMENT ON COLUMN tvdb.claim_leases.holder IS 'key of the claim';
COMMENT ON COLUMN tvdb.claim_leases.lasts IS 'how long the claim is valid after a renewal';

-- A crash of the server no longer ends the claims, as the processes that hold them continue.
ALTER TABLE tvdb.text_claims SET LOGGED;

-- A submission to a paid parser, written with its reservation. If its answer is lost, its job is
-- looked for in the service's list of jobs before the document is submitted again.
CREATE TABLE tvdb.parse_submissions (
    entry_id       uuid PRIMARY KEY,
    service        text        NOT NULL,
    account        text        NOT NULL,
    content_sha256 bytea       NOT NULL,
    fingerprint    text        NOT NULL,
    holder         bigint      NOT NULL,
    submitted_at   timestamptz NOT NULL
);

COMMENT ON COLUMN tvdb.parse_submissions.entry_id IS 'of the reservation in the ledger';
COMMENT ON COLUMN tvdb.parse_submissions.account IS
    'fingerprint of key and server, whose list contains the job';
COMMENT ON COLUMN tvdb.parse_submissions.holder IS 'key of the claim of the process that submits';

CREATE INDEX parse_submissions_content ON tvdb.parse_submissions (content_sha256, fingerprint)
