"""``tvdb migrate``: create or upgrade the schema, with a role that may, for one that may not.

What belongs here: the command. What does not: the migrations (`repositories.migrations`), or the
rights (`repositories.role_rights`).
"""

from __future__ import annotations

import click

from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, print_json
from tvdb_assets.repositories.database import Database
from tvdb_assets.repositories.migrations import HEAD
from tvdb_assets.settings import load_settings


@click.command()
@click.option(
    "--owner",
    "role",
    metavar="ROLE",
    help="Make this role the owner of all tables, as all other commands need it.",
)
@json_option
def migrate(role: str | None, as_json: bool) -> None:
    """Create or upgrade the tables in the database of TVDB_DATABASE_URL.

    Every command does this, if its role may. Where the role of the processes may not create
    schemas, run this once for each release, with the URL of a role that may:

    TVDB_DATABASE_URL=postgresql://admin@host/database tvdb migrate --owner app
    """
    with Database.open(load_settings()) as database:
        if role is not None:
            from tvdb_assets.repositories.role_rights import give_to

            give_to(database, role)
    if as_json:
        print_json({"revision": HEAD, "owner": role})
        return
    owner = f" It belongs to {role}." if role is not None else ""
    console.print(f"The schema has the revision {HEAD}.{owner}", markup=False)
