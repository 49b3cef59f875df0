"""The word index, the language of each document, and indexes over vectors."""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    # The driver takes one statement at a time; statements end with a semicolon before an empty
    # line, because the bodies of functions hold semicolons too.
    for statement in Path(__file__).with_suffix(".sql").read_text("utf-8").split(";\n\n"):
        if statement.strip():
            op.execute(statement.replace(":", "\\:"))
