-- The error of a document whose parse job was paid for and gave no usable text. The same bytes are
-- not paid for again.
ALTER TABLE tvdb.parse_jobs ADD COLUMN error_code text, ADD COLUMN error_message text,
    ADD COLUMN error_remedy text;

COMMENT ON COLUMN tvdb.parse_jobs.error_code IS
    'of a job that was paid for and gave no usable text'
