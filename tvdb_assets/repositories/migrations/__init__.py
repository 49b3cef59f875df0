"""The migrations of the schema: forward only, one file per revision, run by alembic.

What belongs here: changes of the schema and of stored values. What does not: checks of the server
(`server_checks`).

The statements of a released migration never change; a later migration corrects them. `HEAD` is the
revision that this code expects: a process that finds it in the database does not load alembic.
"""

from __future__ import annotations

import threading
from pathlib import Path

from tvdb_assets import error_codes as codes
from tvdb_assets.repositories.connection_url import sqlalchemy_url

HEAD = max(file.name[:4] for file in Path(__file__).with_name("versions").glob("[0-9]*.py"))
_upgrading = threading.Lock()
"""Alembic keeps the context of an upgrade in variables of its modules."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``; concurrent ones wait for each other.

    Raises:
        StorageError: the database is from a newer version of this code.
        psycopg.Error: a statement failed; the whole upgrade is rolled back.
    """
    # Imported here, because alembic takes 100 ms and few processes migrate.
    from alembic.command import upgrade as run
    from alembic.config import Config
    from alembic.util.exc import CommandError
    from sqlalchemy import create_engine, pool
    from sqlalchemy.exc import DBAPIError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    engine = create_engine(sqlalchemy_url(url, "psycopg"), poolclass=pool.NullPool)
    config.attributes["engine"] = engine
    try:
        with _upgrading:
            run(config, revision)
    except CommandError as error:
        raise codes.DATABASE_TOO_NEW.error() from error
    except DBAPIError as error:
        raise (error.orig or error) from error
