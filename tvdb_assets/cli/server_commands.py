"""``tvdb dev``, ``stop`` and ``url``: the Dagster UI, and the embedded database server."""

from __future__ import annotations

import os
import sys

import click

from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, notices, print_json
from tvdb_assets.dagster import dev_server
from tvdb_assets.dagster.storage.home import prepare_home
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.repositories.connection_url import without_password
from tvdb_assets.repositories.database import Database, database_url, project_home
from tvdb_assets.settings import load_settings


@click.command()
@click.option("--port", default=3000, show_default=True, help="Port of the UI on 127.0.0.1.")
@json_option
def dev(port: int, as_json: bool) -> None:
    """Run the Dagster UI and daemon of this project until interrupted."""
    settings = load_settings()
    Database.open(settings).close()
    os.environ["DAGSTER_HOME"] = str(prepare_home(settings))
    url = f"http://127.0.0.1:{port}"
    if as_json:
        print_json({"url": url})
        sys.stdout.flush()
    notices.print(
        f"Dagster UI: [bold]{url}[/]  (Ctrl-C stops it. tvdb stop stops the database server.)"
    )
    dev_server.become(port)


@click.command()
@json_option
def stop(as_json: bool) -> None:
    """Stop the embedded database server."""
    was_running = EmbeddedPostgres(project_home(load_settings())).stop()
    if as_json:
        print_json({"stopped": was_running})
    else:
        console.print(
            "Stopped the embedded database server."
            if was_running
            else "The embedded database server was not running."
        )


@click.command()
@click.option("--password", "with_password", is_flag=True, help="Include the password.")
@json_option
def url(with_password: bool, as_json: bool) -> None:
    """Print the URL of the database, for psql and other programs.

    This is the embedded server, which is started if necessary, or TVDB_DATABASE_URL. The password
    is left out unless --password is given, because it would stay in logs and in the scrollback of
    a terminal.
    """
    settings = load_settings()
    whole = database_url(settings)
    public = without_password(whole)
    shown = whole if with_password else public
    if as_json:
        print_json({"url": shown, "is_embedded": settings.database_url is None})
        return
    click.echo(shown)
    if shown != whole:
        notices.print("The password is left out. To include it, add --password.", style="dim")
