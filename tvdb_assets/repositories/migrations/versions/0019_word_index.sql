-- Words were stored by the first search, as one tsvector for each chunk. Now they are stored with
-- the chunks, in segments of many chunks, so that a question reads a few small rows for each word.
DROP TABLE tvdb.chunk_terms;

DROP INDEX tvdb.chunk_sets_without_terms;

ALTER TABLE tvdb.chunk_sets RENAME COLUMN has_terms TO has_words;

ALTER TABLE tvdb.chunk_sets ADD COLUMN language text;

UPDATE tvdb.chunk_sets SET has_words = false WHERE has_words;

CREATE INDEX chunk_sets_without_words ON tvdb.chunk_sets (chunk_set_id) WHERE NOT has_words;

COMMENT ON COLUMN tvdb.chunk_sets.has_words IS 'the words of its chunks are in the word index';

COMMENT ON COLUMN tvdb.chunk_sets.language IS
    'ISO 639-1 code of the language that was found in the text, null if there is no clear one';

CREATE TABLE tvdb.word_segments (
    segment_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chunk_count integer NOT NULL,
    bucket_bits smallint NOT NULL,
    languages   text[]  NOT NULL,
    lengths     bytea   NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT tvdb.clock()
);

ALTER TABLE tvdb.word_segments ALTER COLUMN lengths SET STORAGE EXTERNAL;

COMMENT ON TABLE tvdb.word_segments IS
    'parts of the word index, which are never changed but merged into larger ones';

COMMENT ON COLUMN tvdb.word_segments.lengths IS 'words of each chunk, uint16 little-endian';

CREATE TABLE tvdb.word_postings (
    segment_id bigint  NOT NULL REFERENCES tvdb.word_segments ON DELETE CASCADE,
    bucket     integer NOT NULL,
    postings   bytea   NOT NULL,
    PRIMARY KEY (segment_id, bucket)
);

ALTER TABLE tvdb.word_postings ALTER COLUMN postings SET STORAGE EXTERNAL;

ALTER TABLE tvdb.word_postings SET (toast_tuple_target = 8160);

CREATE TABLE tvdb.word_sets (
    chunk_set_id   bigint  PRIMARY KEY REFERENCES tvdb.chunk_sets ON DELETE CASCADE,
    segment_id     bigint  NOT NULL REFERENCES tvdb.word_segments,
    first_position integer NOT NULL,
    chunk_count    integer NOT NULL
);

CREATE INDEX word_sets_segment ON tvdb.word_sets (segment_id, first_position);

COMMENT ON TABLE tvdb.word_sets IS 'which positions of a segment the chunks of a set have';

CREATE TABLE tvdb.word_live (
    index_id   smallint NOT NULL REFERENCES tvdb.indexes ON DELETE CASCADE,
    segment_id bigint   NOT NULL REFERENCES tvdb.word_segments ON DELETE CASCADE,
    version    bigint   NOT NULL,
    positions  bytea    NOT NULL,
    PRIMARY KEY (index_id, segment_id)
);

ALTER TABLE tvdb.word_live ALTER COLUMN positions SET STORAGE EXTERNAL;

COMMENT ON TABLE tvdb.word_live IS
    'which positions of a segment are published in an index, without the changes in word_changes';

COMMENT ON COLUMN tvdb.word_live.positions IS 'one bit for each position, the lowest first';

CREATE TABLE tvdb.word_changes (
    change_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    index_id       smallint,
    segment_id     bigint  NOT NULL,
    first_position integer NOT NULL,
    chunk_count    integer NOT NULL,
    is_live        boolean NOT NULL
);

COMMENT ON TABLE tvdb.word_changes IS
    'publications and deletions since word_live was written last, in their order';

COMMENT ON COLUMN tvdb.word_changes.index_id IS 'null for all indexes';

-- A publication locks the position of its set against a merge of segments, and waits for one in
-- progress.
CREATE FUNCTION tvdb.words_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tvdb.word_changes (index_id, segment_id, first_position, chunk_count, is_live)
    SELECT n.index_id, w.segment_id, w.first_position, w.chunk_count, true
    FROM new_rows n JOIN tvdb.word_sets w USING (chunk_set_id)
    ORDER BY w.chunk_set_id FOR KEY SHARE OF w;
    RETURN NULL;
END $$;

CREATE FUNCTION tvdb.words_unpublished() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tvdb.word_changes (index_id, segment_id, first_position, chunk_count, is_live)
    SELECT o.index_id, w.segment_id, w.first_position, w.chunk_count, false
    FROM old_rows o JOIN tvdb.word_sets w USING (chunk_set_id)
    ORDER BY w.chunk_set_id FOR KEY SHARE OF w;
    RETURN NULL;
END $$;

CREATE FUNCTION tvdb.words_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tvdb.word_changes (index_id, segment_id, first_position, chunk_count, is_live)
    SELECT NULL, segment_id, first_position, chunk_count, false FROM old_rows;
    RETURN NULL;
END $$;

CREATE TRIGGER publications_words_1_deleted AFTER DELETE ON tvdb.publications
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT
    EXECUTE FUNCTION tvdb.words_unpublished();

CREATE TRIGGER publications_words_1_replaced AFTER UPDATE ON tvdb.publications
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT
    EXECUTE FUNCTION tvdb.words_unpublished();

CREATE TRIGGER publications_words_2_inserted AFTER INSERT ON tvdb.publications
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
    EXECUTE FUNCTION tvdb.words_published();

CREATE TRIGGER publications_words_2_replaced AFTER UPDATE ON tvdb.publications
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT
    EXECUTE FUNCTION tvdb.words_published();

CREATE TRIGGER word_sets_deleted AFTER DELETE ON tvdb.word_sets
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT
    EXECUTE FUNCTION tvdb.words_deleted();

-- Vectors are numbered, so that an index over the vectors of a space can end at one of them: newer
-- ones are compared exactly, until the next index includes them.
ALTER TABLE tvdb.embeddings ADD COLUMN vector_id bigint GENERATED ALWAYS AS IDENTITY;

CREATE INDEX embeddings_space ON tvdb.embeddings (space_id, vector_id);

CREATE TABLE tvdb.vector_indexes (
    space_id     smallint PRIMARY KEY REFERENCES tvdb.vector_spaces ON DELETE CASCADE,
    name         text    NOT NULL,
    last_vector  bigint  NOT NULL,
    vector_count bigint  NOT NULL,
    built_at     timestamptz NOT NULL DEFAULT tvdb.clock()
);

COMMENT ON TABLE tvdb.vector_indexes IS 'the HNSW index of each vector space that has one';

COMMENT ON COLUMN tvdb.vector_indexes.last_vector IS 'the highest vector_id that it contains';

ALTER TABLE tvdb.documents ADD COLUMN modified_at timestamptz;

COMMENT ON COLUMN tvdb.documents.modified_at IS
    'modification time of the file, null for a document inside a file, and if it is not known';

-- The etag of a file in a folder begins with its modification time in nanoseconds.
UPDATE tvdb.documents
SET modified_at = to_timestamp(
    ('x' || lpad(split_part(etag, '-', 1), 16, '0'))::bit(64)::bigint / 1000000000.0)
WHERE etag ~ '^[0-9a-f]{1,15}(-[0-9a-f]+){2}(-[0-9a-f]+)?$' AND container_id IS NULL
