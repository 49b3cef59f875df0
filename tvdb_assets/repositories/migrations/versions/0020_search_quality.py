"""Vectors of questions that were paid for, and evaluations of search."""

from pathlib import Path

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    # The driver takes one statement at a time; no statement of the file holds a semicolon.
    for statement in Path(__file__).with_suffix(".sql").read_text("utf-8").split(";"):
        if statement.strip():
            op.execute(statement.replace(":", "\\:"))
