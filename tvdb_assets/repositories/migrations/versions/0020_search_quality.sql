-- Vectors of questions that a paid service computed, so that no question is paid for twice.
CREATE TABLE tvdb.question_vectors (
    space_id        smallint NOT NULL REFERENCES tvdb.vector_spaces ON DELETE CASCADE,
    question_sha256 bytea NOT NULL,
    embedding       vector NOT NULL,
    run_id          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT tvdb.clock(),
    PRIMARY KEY (space_id, question_sha256)
);
CREATE INDEX question_vectors_created ON tvdb.question_vectors (created_at);

COMMENT ON TABLE tvdb.question_vectors IS
    'the vector of a question to search that was paid for, kept for TVDB_CACHE_DAYS';
COMMENT ON COLUMN tvdb.question_vectors.question_sha256 IS
    'SHA-256 of the question in UTF-8, its text is not stored'
;

-- How well an index answered known questions, over time.
CREATE TABLE tvdb.retrieval_evaluations (
    run_id         text NOT NULL,
    index_id       smallint NOT NULL,
    ranking        text NOT NULL,
    measure        text NOT NULL,
    mean           double precision NOT NULL,
    low            double precision NOT NULL,
    high           double precision NOT NULL,
    queries        integer NOT NULL,
    queries_sha256 bytea NOT NULL,
    evaluated_at   timestamptz NOT NULL DEFAULT tvdb.clock(),
    PRIMARY KEY (run_id, index_id, ranking, measure)
);
CREATE INDEX retrieval_evaluations_time ON tvdb.retrieval_evaluations (evaluated_at);

COMMENT ON TABLE tvdb.retrieval_evaluations IS
    'a measure of a ranking of an index over a file of questions, with its 95 % interval';
COMMENT ON COLUMN tvdb.retrieval_evaluations.ranking IS 'words, vectors or both';
COMMENT ON COLUMN tvdb.retrieval_evaluations.queries_sha256 IS
    'SHA-256 of the file of questions, values of different files are not comparable'
