"""Texts that are embedded by batch jobs of a paid service, and what became of these jobs."""

from pathlib import Path

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    # The driver takes one statement at a time; no statement of the file holds a semicolon.
    for statement in Path(__file__).with_suffix(".sql").read_text("utf-8").split(";"):
        if statement.strip():
            op.execute(statement.replace(":", "\\:"))
