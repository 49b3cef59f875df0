-- The parsed texts of documents that the source no longer has. A folder that was not mounted comes
-- back, and a service that parsed its files would be paid twice.
CREATE TABLE tvdb.unused_parses (
    content_sha256 bytea NOT NULL,
    fingerprint    text  NOT NULL,
    suffix         text  NOT NULL,
    source         text  NOT NULL,
    path           text  NOT NULL,
    text           text  NOT NULL,
    title          text,
    media_type     text  NOT NULL,
    is_markdown    boolean NOT NULL,
    encoding       text,
    page_starts    integer[] NOT NULL,
    headings       jsonb NOT NULL,
    notes          text[] NOT NULL,
    facts          jsonb NOT NULL,
    service        text  NOT NULL,
    mode           text  NOT NULL,
    model          text  NOT NULL,
    version        text  NOT NULL,
    is_degraded    boolean NOT NULL,
    run_id         text  NOT NULL,
    dropped_at     timestamptz NOT NULL DEFAULT tvdb.clock(),
    PRIMARY KEY (content_sha256, fingerprint, suffix)
);

ALTER TABLE tvdb.unused_parses ALTER COLUMN text SET STORAGE EXTERNAL;

CREATE INDEX unused_parses_document ON tvdb.unused_parses (source, path);

COMMENT ON TABLE tvdb.unused_parses IS
    'parsed texts of deleted documents, kept for TVDB_CACHE_DAYS';
COMMENT ON COLUMN tvdb.unused_parses.source IS 'source of the document that had it last';
COMMENT ON COLUMN tvdb.unused_parses.path IS 'path of the document that had it last';
