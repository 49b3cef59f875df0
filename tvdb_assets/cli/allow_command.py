"""``tvdb allow``: allow what the files of the working folder decide.

What belongs here: showing and recording what the user allows. What does not: what needs it
(`working_folder`).
"""

from __future__ import annotations

import click

from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, print_json
from tvdb_assets.redaction import printable
from tvdb_assets.repositories.database import named_home
from tvdb_assets.settings import load_before_allowing
from tvdb_assets.working_folder import allow as record


@click.command()
@json_option
def allow(as_json: bool) -> None:
    """Allow the .env of this folder, and its .tvdb and dagster.yaml.

    Without this, a .env may not decide where keys of the environment are sent, and a database that
    another person created is not started. A changed file must be allowed again.
    """
    allowed = [printable(str(path)) for path in record(named_home(load_before_allowing()))]
    if as_json:
        print_json({"allowed": allowed})
    elif not allowed:
        console.print("There is nothing to allow in this folder.")
    for path in () if as_json else allowed:
        console.print(f"Allowed: {path}", markup=False)
