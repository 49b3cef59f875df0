"""Scans of a source that continue over several ticks, and who requested the run of a document."""

from pathlib import Path

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    # The driver takes one statement at a time; no statement of the file holds a semicolon.
    for statement in Path(__file__).with_suffix(".sql").read_text("utf-8").split(";"):
        if statement.strip():
            op.execute(statement.replace(":", "\\:"))
