"""Alembic's entry: one transaction, one migrating process at a time."""

from alembic import context
from sqlalchemy import text

from tvdb_assets.repositories import locks

with context.config.attributes["engine"].connect() as connection:
    driver = connection.connection.driver_connection
    locks.acquire(driver, locks.MIGRATION.key())
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS tvdb"))
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS dagster"))
    connection.commit()
    context.configure(connection=connection, version_table_schema="tvdb")
    with context.begin_transaction():
        context.run_migrations()
    locks.release(driver, [locks.MIGRATION.key()])
    connection.commit()
