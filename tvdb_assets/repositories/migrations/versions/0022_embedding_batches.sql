-- A job of a paid service that embeds many texts within a day. Its texts are claimed by its holder
-- until it is done, whichever process works on it.
CREATE TABLE tvdb.embedding_batches (
    job_id        uuid        PRIMARY KEY,
    service       text        NOT NULL,
    account       text        NOT NULL,
    space_id      smallint    NOT NULL,
    run_id        text        NOT NULL,
    holder        bigint      NOT NULL UNIQUE,
    state         text        NOT NULL DEFAULT 'collecting'
        CHECK (state IN ('collecting', 'ready', 'submitting', 'submitted', 'done')),
    texts         integer     NOT NULL DEFAULT 0,
    tokens        bigint      NOT NULL DEFAULT 0,
    bytes         bigint      NOT NULL DEFAULT 0,
    file_id       text,
    entry_id      uuid,
    submitter     bigint,
    batch_id      text,
    listed_at     timestamptz,
    status        text,
    completed     integer,
    is_cancelled  boolean     NOT NULL DEFAULT false,
    failures      integer     NOT NULL DEFAULT 0,
    not_before    timestamptz,
    waits_for     text,
    waits_message text,
    unit_usd      numeric(20, 14),
    outcome       text,
    created_at    timestamptz NOT NULL,
    changed_at    timestamptz NOT NULL,
    submitted_at  timestamptz,
    ended_at      timestamptz
);

COMMENT ON COLUMN tvdb.embedding_batches.account IS 'fingerprint of key, server and model';
COMMENT ON COLUMN tvdb.embedding_batches.run_id IS
    'the run that collected its texts, whose id its requests and vectors have';
COMMENT ON COLUMN tvdb.embedding_batches.holder IS 'key of the claims of its texts';
COMMENT ON COLUMN tvdb.embedding_batches.tokens IS 'as counted when the texts were collected';
COMMENT ON COLUMN tvdb.embedding_batches.file_id IS 'of the file at the service, if it is uploaded';
COMMENT ON COLUMN tvdb.embedding_batches.entry_id IS 'of the reservation of its last submission';
COMMENT ON COLUMN tvdb.embedding_batches.submitter IS
    'key of the claim of the process that submits it';
COMMENT ON COLUMN tvdb.embedding_batches.batch_id IS 'the name that the service gave to it';
COMMENT ON COLUMN tvdb.embedding_batches.listed_at IS
    'when the list of the service was last read without it, after the answer to its submission was lost';
COMMENT ON COLUMN tvdb.embedding_batches.status IS 'as the service reported last';
COMMENT ON COLUMN tvdb.embedding_batches.completed IS 'texts that are done, as the service reported';
COMMENT ON COLUMN tvdb.embedding_batches.failures IS 'requests for it that failed in a row';
COMMENT ON COLUMN tvdb.embedding_batches.waits_for IS 'code of the error that delays it';
COMMENT ON COLUMN tvdb.embedding_batches.unit_usd IS
    'US dollars for a token without a batch, when it was submitted';

CREATE INDEX embedding_batches_open ON tvdb.embedding_batches (created_at) WHERE state <> 'done';

CREATE INDEX embedding_batches_entry ON tvdb.embedding_batches (entry_id);

-- A text of a job that is not done. Its claim in text_claims is that of the job's holder.
CREATE TABLE tvdb.embedding_batch_texts (
    job_id      uuid    NOT NULL REFERENCES tvdb.embedding_batches ON DELETE CASCADE,
    text_sha256 bytea   NOT NULL,
    tokens      integer NOT NULL,
    bytes       integer NOT NULL,
    most        integer,
    PRIMARY KEY (job_id, text_sha256)
);

COMMENT ON COLUMN tvdb.embedding_batch_texts.most IS
    'tokens that are billed at most, once the job is submitted';

CREATE INDEX embedding_batch_texts_text ON tvdb.embedding_batch_texts (text_sha256);

-- A text that a job returned without a vector. It is put into another job, or embedded at once if
-- jobs do not help.
CREATE TABLE tvdb.embedding_batch_returns (
    space_id    smallint    NOT NULL,
    text_sha256 bytea       NOT NULL,
    misses      integer     NOT NULL,
    returned_at timestamptz NOT NULL,
    PRIMARY KEY (space_id, text_sha256)
);

COMMENT ON COLUMN tvdb.embedding_batch_returns.misses IS
    'jobs that did not embed it, where a refusal counts twice'
