-- A vector space. Only vectors of the same space can be compared.
CREATE TABLE tvdb.vector_spaces (
    space_id    smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    label       text     NOT NULL UNIQUE,
    provider    text     NOT NULL,
    model       text     NOT NULL,
    dimensions  integer  NOT NULL CHECK (dimensions > 0),
    version     text     NOT NULL,
    is_mock     boolean  NOT NULL,
    is_current  boolean  NOT NULL DEFAULT false,
    run_id      text     NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CHECK (NOT (is_mock AND is_current))
);

-- Search reads one space. A row, not a setting, says which one, so that all readers agree.
CREATE UNIQUE INDEX vector_spaces_one_current ON tvdb.vector_spaces (is_current) WHERE is_current;

-- A source file, and the result of its last ingestion. This row is the state of a document.
CREATE TABLE tvdb.documents (
    document_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition_key text   NOT NULL UNIQUE,
    source        text   NOT NULL,
    path          text   NOT NULL,
    size          bigint NOT NULL,
    etag          text   NOT NULL,
    sha256        bytea,
    status        text   NOT NULL DEFAULT 'registered'
        CHECK (status IN ('registered', 'published', 'failed', 'deferred', 'quarantined')),
    failed_stage  text,
    error_code    text,
    error_message text,
    error_remedy  text,
    disposition   text,
    attempts      integer NOT NULL DEFAULT 0,
    recipe        text   NOT NULL DEFAULT '',
    run_id        text   NOT NULL,
    registered_at timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    UNIQUE (source, path)
);

COMMENT ON COLUMN tvdb.documents.source IS 'root folder or bucket that path is relative to';
COMMENT ON COLUMN tvdb.documents.recipe IS 'parser, chunker and vector space of the last walk';

CREATE INDEX documents_status ON tvdb.documents (status);

-- The text of one version of a document, by one parser.
CREATE TABLE tvdb.parsed_documents (
    parsed_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id    bigint NOT NULL REFERENCES tvdb.documents ON DELETE CASCADE,
    content_sha256 bytea  NOT NULL,
    fingerprint    text   NOT NULL,
    suffix         text   NOT NULL,
    text           text   NOT NULL,
    title          text,
    media_type     text   NOT NULL,
    is_markdown    boolean NOT NULL,
    encoding       text,
    page_starts    integer[] NOT NULL,
    headings       jsonb  NOT NULL,
    notes          text[] NOT NULL,
    facts          jsonb  NOT NULL,
    service        text   NOT NULL,
    mode           text   NOT NULL,
    model          text   NOT NULL,
    version        text   NOT NULL,
    is_degraded    boolean NOT NULL,
    run_id         text   NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (document_id, content_sha256, fingerprint)
);

-- The same bytes under another name are not parsed again.
CREATE INDEX parsed_documents_content ON tvdb.parsed_documents (content_sha256, fingerprint);

-- All chunks that one chunker made of one parsed text. Search shows a set completely or not at
-- all.
CREATE TABLE tvdb.chunk_sets (
    chunk_set_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parsed_id    bigint NOT NULL REFERENCES tvdb.parsed_documents ON DELETE CASCADE,
    document_id  bigint NOT NULL REFERENCES tvdb.documents ON DELETE CASCADE,
    fingerprint  text   NOT NULL,
    chunk_count  integer NOT NULL,
    token_count  integer NOT NULL,
    run_id       text   NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (parsed_id, fingerprint)
);

CREATE INDEX chunk_sets_document ON tvdb.chunk_sets (document_id);

CREATE TABLE tvdb.chunks (
    chunk_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chunk_set_id bigint  NOT NULL REFERENCES tvdb.chunk_sets ON DELETE CASCADE,
    document_id  bigint  NOT NULL,
    ordinal      integer NOT NULL,
    start_offset integer NOT NULL,
    end_offset   integer NOT NULL,
    page_first   integer,
    page_last    integer,
    heading_path text[]  NOT NULL,
    token_count  integer NOT NULL,
    text_sha256  bytea   NOT NULL,
    text         text    NOT NULL,
    service      text    NOT NULL,
    mode         text    NOT NULL,
    model        text    NOT NULL,
    version      text    NOT NULL,
    is_degraded  boolean NOT NULL,
    run_id       text    NOT NULL,
    UNIQUE (chunk_set_id, ordinal)
);

CREATE INDEX chunks_text ON tvdb.chunks (text_sha256);

CREATE INDEX chunks_words ON tvdb.chunks USING gin (to_tsvector('english', text));

-- One vector for each distinct text and space: a known text is never embedded, or paid for, again.
CREATE TABLE tvdb.embeddings (
    space_id    smallint NOT NULL REFERENCES tvdb.vector_spaces,
    text_sha256 bytea    NOT NULL,
    embedding   vector   NOT NULL,
    token_count integer  NOT NULL,
    service     text     NOT NULL,
    mode        text     NOT NULL,
    model       text     NOT NULL,
    version     text     NOT NULL,
    is_degraded boolean  NOT NULL,
    run_id      text     NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (space_id, text_sha256)
);

-- Vectors can't be compressed. Trying it takes a third of the time of a load, and saves nothing.
ALTER TABLE tvdb.embeddings ALTER COLUMN embedding SET STORAGE EXTERNAL;

-- The chunk set of a document that a space shows. Replacing the row publishes the document.
CREATE TABLE tvdb.publications (
    document_id  bigint   NOT NULL REFERENCES tvdb.documents ON DELETE CASCADE,
    space_id     smallint NOT NULL REFERENCES tvdb.vector_spaces,
    chunk_set_id bigint   NOT NULL REFERENCES tvdb.chunk_sets ON DELETE CASCADE,
    run_id       text     NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (document_id, space_id)
);

CREATE INDEX publications_chunk_set ON tvdb.publications (chunk_set_id);

-- The result of each ingestion of a document: its history, without its text.
CREATE TABLE tvdb.document_events (
    event_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    document_id bigint NOT NULL REFERENCES tvdb.documents ON DELETE CASCADE,
    happened_at timestamptz NOT NULL DEFAULT now(),
    run_id      text   NOT NULL,
    outcome     text   NOT NULL,
    stage       text,
    code        text,
    message     text
);

CREATE INDEX document_events_document ON tvdb.document_events (document_id);

CREATE INDEX document_events_run ON tvdb.document_events (run_id);

-- The rows that search reads: published, of the current space, not degraded and not of a mock.
CREATE VIEW tvdb.search_index AS
SELECT c.chunk_id, d.document_id, d.path AS document, p.title, c.ordinal,
       c.page_first, c.page_last, c.heading_path, c.start_offset, c.end_offset, c.token_count,
       c.text, c.text_sha256, s.label AS vector_space, s.space_id, e.embedding,
       e.service, e.mode, e.model, e.version, e.is_degraded, u.run_id
FROM tvdb.vector_spaces s
JOIN tvdb.publications u ON u.space_id = s.space_id
JOIN tvdb.documents d ON d.document_id = u.document_id
JOIN tvdb.chunk_sets k ON k.chunk_set_id = u.chunk_set_id
JOIN tvdb.parsed_documents p ON p.parsed_id = k.parsed_id
JOIN tvdb.chunks c ON c.chunk_set_id = k.chunk_set_id
JOIN tvdb.embeddings e ON e.space_id = s.space_id AND e.text_sha256 = c.text_sha256
WHERE s.is_current
  AND NOT (e.is_degraded OR c.is_degraded OR p.is_degraded)
  AND 'mock' NOT IN (e.mode, c.mode, p.mode)
