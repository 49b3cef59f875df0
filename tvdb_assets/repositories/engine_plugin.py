"""A plugin of SQLAlchemy that sets up each connection of an engine for Dagster's tables.

What belongs here: how an engine that Dagster creates from a URL alone gets the schema and the
settings of a session. What does not: the settings (`connection_settings`).
"""

from __future__ import annotations

from typing import Any

from tvdb_assets.repositories.connection_settings import session_sql

NAME = "tvdb_session"
SCHEMA = "dagster"


def register_plugin() -> str:
    """Make the plugin known to SQLAlchemy in this process; returns the name that URLs have."""
    # Imported here, because few processes need SQLAlchemy.
    from sqlalchemy.dialects import plugins

    plugins.register(NAME, __name__, "create_plugin")
    return NAME


def create_plugin(url: Any, kwargs: dict[str, Any]) -> Any:
    """The plugin for an engine; SQLAlchemy calls this."""
    from sqlalchemy import URL, CreateEnginePlugin, Engine, event

    class SessionPlugin(CreateEnginePlugin):
        def update_url(self, url: URL) -> URL:
            return url

        def engine_created(self, engine: Engine) -> None:
            event.listen(engine, "connect", _set_up, insert=True)

    return SessionPlugin(url, kwargs)


def _set_up(connection: Any, _: object) -> None:
    """Set up a connection of psycopg2."""
    was_autocommit = connection.autocommit
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(session_sql(connection.server_version, SCHEMA))
    connection.autocommit = was_autocommit
