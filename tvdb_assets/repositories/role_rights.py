"""The role that owns the tables, where another one creates them.

What belongs here: giving the schemas and all that is in them to a role. What does not: who may read
the index alone.

The role of the processes needs the ownership and not rights alone: the nightly maintenance vacuums
tables and builds indexes, which nobody else may.
"""

from __future__ import annotations

from psycopg import sql

from tvdb_assets.repositories.database import Database

_SCHEMAS = ("tvdb", "dagster")


def give_to(database: Database, role: str) -> None:
    """Make a role the owner of the schemas, and of their tables, views and functions.

    Raises:
        psycopg.Error: there is no such role, or the user of the database is not a member of it.
    """
    with database.transaction() as tx:
        for schema in _SCHEMAS:
            statement = sql.SQL("ALTER SCHEMA {schema} OWNER TO {role}")
            tx.execute(statement.format(schema=sql.Identifier(schema), role=sql.Identifier(role)))
        for (statement_text,) in tx.execute(_OWNERS, {"schemas": list(_SCHEMAS), "role": role}):
            tx.execute(statement_text)


# A sequence of a column follows its table.
_OWNERS = """
SELECT format('ALTER %%s %%s OWNER TO %%I', CASE relkind WHEN 'v' THEN 'VIEW'
                WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
              c.oid::regclass, %(role)s::text)
FROM pg_class c WHERE relnamespace::regnamespace::text = ANY(%(schemas)s)
  AND (relkind IN ('r', 'p', 'v', 'm') OR relkind = 'S' AND NOT EXISTS
    (SELECT FROM pg_depend WHERE objid = c.oid AND deptype IN ('a', 'i')))
UNION ALL
SELECT format('ALTER ROUTINE %%s OWNER TO %%I', oid::regprocedure, %(role)s::text)
FROM pg_proc WHERE pronamespace::regnamespace::text = ANY(%(schemas)s)
"""
