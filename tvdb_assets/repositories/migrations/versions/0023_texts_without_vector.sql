-- A text that was sent to a paid embedder, whose answer has no usable vector of it. The same request
-- is not paid for again.
CREATE TABLE tvdb.texts_without_vector (
    space_id            smallint    NOT NULL REFERENCES tvdb.vector_spaces ON DELETE CASCADE,
    text_sha256         bytea       NOT NULL,
    request_fingerprint text        NOT NULL,
    error_code          text        NOT NULL,
    error_message       text        NOT NULL,
    run_id              text        NOT NULL,
    answered_at         timestamptz NOT NULL DEFAULT tvdb.clock(),
    PRIMARY KEY (space_id, text_sha256)
);

COMMENT ON COLUMN tvdb.texts_without_vector.request_fingerprint IS
    'of the server, the model and the form of the request';
COMMENT ON COLUMN tvdb.texts_without_vector.run_id IS 'the run that paid for the answer'
