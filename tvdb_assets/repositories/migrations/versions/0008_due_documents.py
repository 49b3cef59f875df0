"""Due documents: why and when each is due; former texts, removed partitions."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    # The driver takes one statement at a time; no statement of the file holds a semicolon.
    for statement in Path(__file__).with_suffix(".sql").read_text("utf-8").split(";"):
        if statement.strip():
            op.execute(statement.replace(":", "\\:"))
    op.execute(_NOTE_TEXTS)
    op.execute(
        "CREATE TRIGGER note_former_texts AFTER DELETE ON tvdb.chunks"
        " REFERENCING OLD TABLE AS dropped FOR EACH STATEMENT"
        " EXECUTE FUNCTION tvdb.note_former_texts()"
    )


# Chunks go in many ways: replaced, with a text, with an index. None of them may forget this. A
# document that goes itself is no row any more by the time its chunks go.
_NOTE_TEXTS = """
CREATE FUNCTION tvdb.note_former_texts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tvdb.former_texts (document_id, text_sha256)
    SELECT DISTINCT document_id, text_sha256 FROM dropped JOIN tvdb.documents USING (document_id)
    ON CONFLICT (document_id, text_sha256) DO UPDATE SET dropped_at = excluded.dropped_at;
    RETURN NULL;
END $$
"""
