"""The schema's history: forward only, one file per step, run by alembic.

A release's migration is never edited afterwards; a later one corrects it. `HEAD` is what this
code expects, so that a process which finds it in the database need not load alembic.
"""

from __future__ import annotations

from pathlib import Path

from tvdb_assets import error_codes as codes

HEAD = "0013"


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to ``revision``; processes that come at once take turns.

    Raises:
        StorageError: the database is from a newer version of this code.
        psycopg.Error: a statement failed; the whole upgrade is rolled back.
    """
    # Loaded here, because alembic costs every process 100 ms and few of them migrate.
    from alembic.command import upgrade as run
    from alembic.config import Config
    from alembic.util.exc import CommandError
    from sqlalchemy import create_engine, pool
    from sqlalchemy.exc import DBAPIError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    engine = create_engine(
        "postgresql+psycopg://" + url.partition("://")[2], poolclass=pool.NullPool
    )
    config.attributes["engine"] = engine
    try:
        run(config, revision)
    except CommandError as error:
        raise codes.DATABASE_TOO_NEW.error() from error
    except DBAPIError as error:
        raise (error.orig or error) from error
