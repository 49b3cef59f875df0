-- The full-text terms of chunks. The first search, or a process with free time, stores them, and
-- not the ingestion: it would double the work of the database. Until then, a search reads the
-- texts.
CREATE TABLE tvdb.chunk_words (
    chunk_id bigint   PRIMARY KEY REFERENCES tvdb.chunks ON DELETE CASCADE,
    words    tsvector NOT NULL
);

ALTER TABLE tvdb.chunk_sets ADD COLUMN has_words boolean NOT NULL DEFAULT false;

COMMENT ON COLUMN tvdb.chunk_sets.has_words IS 'its chunks are in chunk_words';

CREATE INDEX chunk_sets_without_words ON tvdb.chunk_sets (chunk_set_id) WHERE NOT has_words;

DROP INDEX tvdb.chunks_words;

CREATE INDEX chunk_words_words ON tvdb.chunk_words USING gin (words);

INSERT INTO tvdb.chunk_words (chunk_id, words)
SELECT chunk_id, to_tsvector('english', lead || text) FROM tvdb.chunks;

UPDATE tvdb.chunk_sets SET has_words = true
