-- A member of a document, such as a file of an archive, a message of a mailbox or an attachment of
-- a mail, is a document too. It shares the partition of its file, and is deleted with its
-- container.
ALTER TABLE tvdb.documents
    ADD COLUMN container_id bigint REFERENCES tvdb.documents ON DELETE CASCADE,
    ADD COLUMN member   text,
    ADD COLUMN position integer,
    ADD CHECK ((container_id IS NULL) = (member IS NULL)),
    ADD CHECK ((container_id IS NULL) = (position IS NULL));

COMMENT ON COLUMN tvdb.documents.container_id IS 'the document that this one is inside of';
COMMENT ON COLUMN tvdb.documents.member IS 'its name there, path is that of the container, !/ and this';
COMMENT ON COLUMN tvdb.documents.position IS 'its 0-based place there';

-- A folder may be called a.zip!, so files and members need separate unique indexes.
ALTER TABLE tvdb.documents DROP CONSTRAINT documents_partition_key_key;
ALTER TABLE tvdb.documents DROP CONSTRAINT documents_source_path_key;

CREATE UNIQUE INDEX documents_file_key ON tvdb.documents (partition_key)
    WHERE container_id IS NULL;

CREATE UNIQUE INDEX documents_file_path ON tvdb.documents (source, path)
    WHERE container_id IS NULL;

CREATE UNIQUE INDEX documents_member ON tvdb.documents (container_id, member);

CREATE INDEX documents_partition ON tvdb.documents (partition_key);

-- A hash index, because a path of several levels may exceed the size of a B-tree entry.
CREATE INDEX documents_path ON tvdb.documents USING hash (path)
