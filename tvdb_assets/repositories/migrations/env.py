"""Alembic's entry: one transaction, one migrating process at a time."""

from alembic import context
from sqlalchemy import text

LOCK = 0x74766462  # "tvdb"; alembic and Dagster use other keys

with context.config.attributes["engine"].connect() as connection:
    connection.execute(text(f"SELECT pg_advisory_lock({LOCK})"))
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS tvdb"))
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS dagster"))
    connection.commit()
    context.configure(connection=connection, version_table_schema="tvdb")
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text(f"SELECT pg_advisory_unlock({LOCK})"))
    connection.commit()
