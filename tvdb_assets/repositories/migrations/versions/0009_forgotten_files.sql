-- Files that a person had forgotten while they were in the source: ignored until they change.
CREATE TABLE tvdb.forgotten_files (
    source       text NOT NULL,
    path         text NOT NULL,
    etag         text NOT NULL,
    forgotten_at timestamptz NOT NULL DEFAULT tvdb.clock(),
    PRIMARY KEY (source, path)
)
