-- What the last scan of each source left for a person.
CREATE TABLE tvdb.source_scans (
    source     text PRIMARY KEY,
    scanned_at timestamptz NOT NULL DEFAULT tvdb.clock(),
    unlisted   text[] NOT NULL DEFAULT '{}',
    held       bigint NOT NULL DEFAULT 0
);

COMMENT ON TABLE tvdb.source_scans IS 'the result of the last scan of each source';
COMMENT ON COLUMN tvdb.source_scans.unlisted IS
    'folders that could not be listed, empty for the whole source';
COMMENT ON COLUMN tvdb.source_scans.held IS
    'documents that are missing and wait for a person to confirm their deletion';

-- Texts whose documents the source no longer has. Their vectors stay for some time, because a
-- folder that was not mounted comes back, and its texts would be paid for twice.
CREATE TABLE tvdb.unused_texts (
    text_sha256 bytea PRIMARY KEY,
    dropped_at  timestamptz NOT NULL DEFAULT tvdb.clock()
);

COMMENT ON TABLE tvdb.unused_texts IS
    'texts of deleted documents whose vectors are kept for TVDB_CACHE_DAYS'
