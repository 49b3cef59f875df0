"""Alembic's entry: one transaction, one migrating process at a time."""

from alembic import context
from sqlalchemy import text

from tvdb_assets.repositories import locks
from tvdb_assets.repositories.connection_settings import session_sql

with context.config.attributes["engine"].connect() as connection:
    driver = connection.connection.driver_connection
    locks.acquire(driver, locks.MIGRATION.key())
    driver.execute(session_sql(driver.info.server_version))
    for schema in ("tvdb", "dagster"):
        # A user without the right to create it needs none if an administrator has.
        if connection.scalar(text(f"SELECT to_regnamespace('{schema}') IS NULL")):
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
    connection.commit()
    context.configure(connection=connection, version_table_schema="tvdb")
    with context.begin_transaction():
        context.run_migrations()
    locks.release(driver, [locks.MIGRATION.key()])
    connection.commit()
