-- A scan of a large source takes more time than one tick of a sensor has. The row exists while a
-- scan is incomplete. A document is gone only after a complete scan that did not list it.
CREATE TABLE tvdb.scan_progress (
    source          text PRIMARY KEY,
    started_at      timestamptz NOT NULL DEFAULT tvdb.clock(),
    newest_document bigint NOT NULL,
    position        text NOT NULL,
    listed          bigint NOT NULL,
    unlisted        text[] NOT NULL DEFAULT '{}'
);

COMMENT ON TABLE tvdb.scan_progress IS 'scans of sources that are not complete yet';
COMMENT ON COLUMN tvdb.scan_progress.newest_document IS
    'the newest document at the start of the scan, because a newer one may have been missed';
COMMENT ON COLUMN tvdb.scan_progress.position IS 'the last path that was listed';
COMMENT ON COLUMN tvdb.scan_progress.listed IS 'the number of files that were listed so far';
COMMENT ON COLUMN tvdb.scan_progress.unlisted IS
    'folders that could not be listed so far, empty for the whole source';

CREATE TABLE tvdb.scan_pages (
    source       text NOT NULL REFERENCES tvdb.scan_progress ON DELETE CASCADE,
    page         bigint NOT NULL,
    document_ids bigint[] NOT NULL,
    PRIMARY KEY (source, page)
);

COMMENT ON TABLE tvdb.scan_pages IS 'the documents that an incomplete scan has listed so far';
COMMENT ON COLUMN tvdb.scan_pages.page IS 'the number of files that were listed before this page';

ALTER TABLE tvdb.documents ADD COLUMN run_requested_by text;

COMMENT ON COLUMN tvdb.documents.run_requested_by IS
    'the sensor, schedule or command that requested the run of run_requested_at'
