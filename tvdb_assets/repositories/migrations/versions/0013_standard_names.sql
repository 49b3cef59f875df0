-- Documents.
ALTER TABLE tvdb.documents RENAME COLUMN recipe TO pipeline_fingerprint;
ALTER TABLE tvdb.documents RENAME COLUMN wanted_at TO manually_requested_at;
ALTER TABLE tvdb.documents RENAME COLUMN requested_at TO run_requested_at;

COMMENT ON COLUMN tvdb.documents.pipeline_fingerprint IS
    'parser, chunker and vector space of the last ingestion, empty to ingest the document again';
COMMENT ON COLUMN tvdb.documents.manually_requested_at IS
    'when a person requested the document, null once a later ingestion of it has ended';
COMMENT ON COLUMN tvdb.documents.run_requested_at IS
    'when a planner requested a run for the document, null once an ingestion of it has ended';
COMMENT ON COLUMN tvdb.documents.is_changed IS
    'the file in the source differs from the bytes that the last ingestion read';
COMMENT ON COLUMN tvdb.documents.next_attempt_at IS
    'when a document whose failure may be temporary is ingested again';
COMMENT ON COLUMN tvdb.documents.quarantine IS
    'why a failed document is not retried automatically';
COMMENT ON COLUMN tvdb.documents.gone_at IS
    'when the file was missing from the source, its rows are out of search and deleted later';
COMMENT ON COLUMN tvdb.documents.container_id IS 'the document that contains this one';
COMMENT ON COLUMN tvdb.documents.member IS
    'name within the container, the path is the path of the container, !/ and this name';
COMMENT ON COLUMN tvdb.documents.position IS '0-based position within the container';

-- The check allowed a status that no code has ever stored.
UPDATE tvdb.documents SET status = 'failed', quarantine = coalesce(quarantine, 'terminal')
WHERE status = 'quarantined';
ALTER TABLE tvdb.documents DROP CONSTRAINT documents_status_check;
ALTER TABLE tvdb.documents ADD CONSTRAINT documents_status_check
    CHECK (status IN ('registered', 'published', 'failed', 'deferred'));

-- Members of containers that could not be opened had the quarantine of documents that failed.
ALTER TABLE tvdb.documents DROP CONSTRAINT documents_quarantine_check;
ALTER TABLE tvdb.documents ADD CONSTRAINT documents_quarantine_check
    CHECK (quarantine IN ('terminal', 'attempts', 'poison', 'container'));
UPDATE tvdb.documents SET quarantine = 'container'
WHERE quarantine = 'terminal' AND disposition = 'transient' AND container_id IS NOT NULL;

-- Older versions stored values that the rules in `lifecycle` exclude.
UPDATE tvdb.documents SET status = 'registered', is_degraded = false
WHERE gone_at IS NOT NULL AND (status = 'published' OR is_degraded);
UPDATE tvdb.documents SET quarantine = NULL
WHERE status <> 'failed' OR is_changed OR manually_requested_at IS NOT NULL;
UPDATE tvdb.documents SET next_attempt_at = NULL
WHERE status <> 'failed' OR quarantine IS NOT NULL;
UPDATE tvdb.documents SET deferred_at = coalesce(deferred_at, updated_at),
    disposition = 'deferred'
WHERE status = 'deferred';
UPDATE tvdb.documents SET disposition = 'transient'
WHERE status = 'failed' AND coalesce(disposition, 'deferred') = 'deferred';
UPDATE tvdb.documents SET failed_stage = coalesce(failed_stage, 'parsed_documents'),
    error_code = coalesce(error_code, 'unexpected')
WHERE status IN ('failed', 'deferred') AND (failed_stage IS NULL OR error_code IS NULL);
UPDATE tvdb.documents SET deferred_at = NULL WHERE status <> 'deferred';
UPDATE tvdb.documents SET failed_stage = NULL, error_code = NULL, error_message = NULL,
    error_remedy = NULL, disposition = NULL
WHERE status IN ('registered', 'published');
ALTER TABLE tvdb.documents
    ADD CONSTRAINT documents_not_published_and_gone
        CHECK (status <> 'published' OR gone_at IS NULL),
    ADD CONSTRAINT documents_quarantine_has_failed
        CHECK (quarantine IS NULL OR status = 'failed' AND next_attempt_at IS NULL),
    ADD CONSTRAINT documents_deferred_since
        CHECK ((status = 'deferred') = (deferred_at IS NOT NULL)),
    ADD CONSTRAINT documents_error_has_failed
        CHECK ((status IN ('failed', 'deferred')) = (error_code IS NOT NULL)),
    ADD CONSTRAINT documents_deferred_has_not_failed
        CHECK ((status = 'deferred') = (coalesce(disposition, '') = 'deferred'));

-- Chunks and their full-text terms.
ALTER TABLE tvdb.chunks RENAME COLUMN lead TO repeated_header;

COMMENT ON COLUMN tvdb.chunks.repeated_header IS
    'header row of a table that an earlier chunk began, with its line end';
COMMENT ON COLUMN tvdb.chunks.text_sha256 IS 'of repeated_header and text';
COMMENT ON COLUMN tvdb.chunks.token_count IS 'of repeated_header and text';

ALTER TABLE tvdb.chunk_words RENAME TO chunk_terms;
ALTER TABLE tvdb.chunk_terms RENAME COLUMN words TO terms;
ALTER TABLE tvdb.chunk_terms RENAME CONSTRAINT chunk_words_pkey TO chunk_terms_pkey;
ALTER TABLE tvdb.chunk_terms
    RENAME CONSTRAINT chunk_words_chunk_id_fkey TO chunk_terms_chunk_id_fkey;
ALTER INDEX tvdb.chunk_words_words RENAME TO chunk_terms_terms;
ALTER TABLE tvdb.chunk_sets RENAME COLUMN has_words TO has_terms;
ALTER INDEX tvdb.chunk_sets_without_words RENAME TO chunk_sets_without_terms;

COMMENT ON COLUMN tvdb.chunk_sets.has_terms IS 'the terms of its chunks are in chunk_terms';

-- Vectors of the fallback embedder. Their space is known by its label.
ALTER TABLE tvdb.vector_spaces RENAME COLUMN is_stand_in TO is_fallback;

COMMENT ON COLUMN tvdb.vector_spaces.is_fallback IS
    'made while the paid service was unavailable, never searched';

UPDATE tvdb.vector_spaces
SET version = left(version, -length('+stand-in')) || '+fallback',
    label = left(label, -length('+stand-in')) || '+fallback'
WHERE version LIKE '%+stand-in' AND label LIKE '%+stand-in';

UPDATE tvdb.parsed_documents
SET fingerprint = left(fingerprint, -length('+stand-in')) || '+fallback'
WHERE fingerprint LIKE '%+stand-in';

COMMENT ON COLUMN tvdb.indexes.chunk_tokens IS
    'null if the fingerprint of an old chunker does not contain it';
COMMENT ON COLUMN tvdb.indexes.switched_at IS 'when search last switched to it, null if never';

-- Paid services.
UPDATE tvdb.service_states SET state = state - 'failed_code' WHERE state ? 'failed_code';

ALTER TABLE tvdb.service_events RENAME COLUMN part TO client_request_uuid;

COMMENT ON COLUMN tvdb.service_events.client_request_uuid IS
    'the part after the run id of the X-Client-Request-Id that was sent';
COMMENT ON COLUMN tvdb.cost_ledger.entry_id IS
    'the part after the run id of the X-Client-Request-Id that was sent';
COMMENT ON COLUMN tvdb.cost_ledger.quantity IS
    'units that were reserved, and after settlement units that were billed';
COMMENT ON COLUMN tvdb.limit_changes.run_ids IS
    'runs that were queued or in progress at that time';

ALTER TABLE tvdb.budget_alerts RENAME COLUMN noted_at TO recorded_at;
ALTER TABLE tvdb.budget_alerts RENAME COLUMN told_at TO reported_at;

COMMENT ON COLUMN tvdb.budget_alerts.reported_at IS
    'when it was logged and reported as an event of Dagster';
COMMENT ON COLUMN tvdb.budget_alerts.delivered_at IS 'when it was posted to the webhook';

ALTER TABLE tvdb.installation RENAME COLUMN is_only TO is_singleton;
COMMENT ON COLUMN tvdb.installation.salt IS
    'makes the names that replace private paths impossible to guess';

COMMENT ON COLUMN tvdb.runs.root_run_id IS
    'the first run of this chain of retries, the run itself if it is no retry';

-- The view has the old name of the column too, for one release.
CREATE OR REPLACE VIEW tvdb.search_index AS
SELECT c.chunk_id, d.document_id, d.path AS document, p.title, c.ordinal,
       c.page_first, c.page_last, c.heading_path, c.start_offset, c.end_offset, c.token_count,
       c.text, c.text_sha256, s.label AS vector_space, s.space_id, e.embedding,
       e.service, e.mode, e.model, e.version, e.is_degraded, u.run_id, i.index_id,
       c.repeated_header AS lead, c.repeated_header
FROM tvdb.indexes i
JOIN tvdb.vector_spaces s ON s.space_id = i.space_id
JOIN tvdb.publications u ON u.index_id = i.index_id
JOIN tvdb.documents d ON d.document_id = u.document_id
JOIN tvdb.chunk_sets k ON k.chunk_set_id = u.chunk_set_id
JOIN tvdb.parsed_documents p ON p.parsed_id = k.parsed_id
JOIN tvdb.chunks c ON c.chunk_set_id = k.chunk_set_id
JOIN tvdb.embeddings e ON e.space_id = s.space_id AND e.text_sha256 = c.text_sha256
WHERE i.is_current
  AND NOT (e.is_degraded OR c.is_degraded OR p.is_degraded)
  AND 'mock' NOT IN (e.mode, c.mode, p.mode);

COMMENT ON COLUMN tvdb.search_index.lead IS
    'deprecated name of repeated_header, goes with the next release'
