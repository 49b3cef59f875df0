"""Dagster's web server with the project's rules for requests; ``tvdb dev`` starts it.

What belongs here: the web server's process. What does not: the rules (`ui_requests`), or the other
processes (`dev_server`).
"""

from __future__ import annotations

from typing import Any

from dagster_webserver import cli

from tvdb_assets.dagster.compat import missing, unusable
from tvdb_assets.dagster.ui_requests import RequestGuard
from tvdb_assets.settings import load_settings

_CREATE = "create_app_from_workspace_process_context"


def main() -> None:
    """Run ``dagster-webserver`` with the arguments of this process."""
    if found := missing(cli, cli=None, **{_CREATE: ("context", "path_prefix", "poll_rate")}):
        raise unusable(found)
    hosts = load_settings().ui_hosts.split(",")
    create = getattr(cli, _CREATE)

    def create_guarded(*arguments: Any, **options: Any) -> RequestGuard:
        return RequestGuard(create(*arguments, **options), hosts)

    # The command passes the application straight to the server, and has no option to wrap it.
    setattr(cli, _CREATE, create_guarded)
    cli.cli(auto_envvar_prefix="DAGSTER_WEBSERVER")


if __name__ == "__main__":
    main()
