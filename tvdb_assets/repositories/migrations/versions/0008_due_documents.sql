-- Why and when a document is due. Its row alone says so: any process can plan, and a plan survives
-- its planner.
ALTER TABLE tvdb.documents
    ADD COLUMN is_changed boolean NOT NULL DEFAULT false,
    ADD COLUMN next_attempt_at timestamptz,
    ADD COLUMN quarantine text CHECK (quarantine IN ('terminal', 'attempts', 'poison')),
    ADD COLUMN requested_at timestamptz,
    ADD COLUMN wanted_at timestamptz,
    ADD COLUMN gone_at timestamptz;

COMMENT ON COLUMN tvdb.documents.is_changed IS 'the source has other bytes than the last walk read';

COMMENT ON COLUMN tvdb.documents.next_attempt_at IS 'when a failure that may pass is tried again';

COMMENT ON COLUMN tvdb.documents.quarantine IS 'why a failed document is not tried again by itself';

COMMENT ON COLUMN tvdb.documents.requested_at IS 'since when a run that was asked for may be on its way';

COMMENT ON COLUMN tvdb.documents.wanted_at IS 'a person asked for it, and no walk has ended since';

COMMENT ON COLUMN tvdb.documents.gone_at IS 'the source has it no more: out of search, deleted soon';

UPDATE tvdb.documents SET quarantine = 'terminal'
WHERE status = 'failed' AND disposition = 'terminal';

CREATE INDEX documents_gone ON tvdb.documents (gone_at) WHERE gone_at IS NOT NULL;

-- Texts that a document once had, so that its deletion deletes their vectors too. A vector stays
-- when its text is deleted, because the text may return, and would be paid for twice.
CREATE TABLE tvdb.former_texts (
    document_id bigint NOT NULL REFERENCES tvdb.documents ON DELETE CASCADE,
    text_sha256 bytea  NOT NULL,
    dropped_at  timestamptz NOT NULL DEFAULT tvdb.clock(),
    PRIMARY KEY (document_id, text_sha256)
);

CREATE INDEX former_texts_text ON tvdb.former_texts (text_sha256);

-- Partitions whose documents are deleted. One is removed from Dagster when no run has it any more.
-- Until then, no run may use it for a new document.
CREATE TABLE tvdb.removed_partitions (
    partition_key text PRIMARY KEY,
    removed_at    timestamptz NOT NULL DEFAULT tvdb.clock()
)
