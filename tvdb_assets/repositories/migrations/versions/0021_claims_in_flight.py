"""How long a claim lasts for what was sent, and the process that holds it."""

from pathlib import Path

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    # The driver takes one statement at a time; no statement of the file holds a semicolon.
    for statement in Path(__file__).with_suffix(".sql").read_text("utf-8").split(";"):
        if statement.strip():
            op.execute(statement.replace(":", "\\:"))
