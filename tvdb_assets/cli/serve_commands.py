"""``tvdb serve`` and ``tvdb mcp``: search for programs, models and people.

What belongs here: arguments. What does not: the services (`serve`).
"""

from __future__ import annotations

from pathlib import Path

import click

from tvdb_assets import error_codes as codes
from tvdb_assets.cli.output import notices
from tvdb_assets.repositories.database import Database
from tvdb_assets.settings import load_settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option("--certificate", type=_FILE, help="Certificate chain in PEM, to serve with TLS.")
@click.option("--key", type=_FILE, help="Private key of the certificate in PEM.")
def serve(host: str, port: int, certificate: Path | None, key: Path | None) -> None:
    """Serve search over HTTP until interrupted: a page, an API and metrics.

    The page is at /, the description of the API at /docs, metrics for Prometheus at /metrics.
    Nothing can be changed through the service. On an address that other machines reach, requests
    need the secret in TVDB_SERVE_TOKEN.
    """
    from tvdb_assets.serve.access import listen
    from tvdb_assets.serve.api import create_app
    from tvdb_assets.serve.backend import SearchBackend
    from tvdb_assets.serve.server import log_to_stderr, run

    if (certificate is None) != (key is None):
        raise click.UsageError("--certificate and --key are given together.")
    settings = load_settings()
    token = settings.serve_token.get_secret_value() if settings.serve_token else None
    listener = listen(host, port, token)
    with Database.open(settings) as database:
        app = create_app(
            SearchBackend(settings, database),
            token=token,
            hosts=settings.serve_hosts,
            is_loopback=listener.is_loopback,
        )
        url = listener.url.replace("http:", "https:") if certificate else listener.url
        notices.print(f"Search: [bold]{url}[/]  API: {url}/docs  (Ctrl-C stops it.)")
        log_to_stderr(settings)
        run(app, listener, certificate=certificate, key=key)


@click.command()
@click.option("--http", "is_http", is_flag=True, help="Serve streamable HTTP at /mcp.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address for --http.")
@click.option(
    "--port",
    default=8766,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port for --http; 0: a free one.",
)
def mcp(is_http: bool, host: str, port: int) -> None:
    """Serve search as tools of the Model Context Protocol.

    Without --http, one client is served on stdin and stdout, which carry the protocol alone. The
    tools are search, show and list_sources. It needs the extra: pip install 'tvdb-assets[mcp]'.
    """
    try:
        from tvdb_assets.serve import mcp_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise codes.EXTRA_MISSING.error(feature="tvdb mcp", package="mcp", extra="mcp") from None
    from tvdb_assets.serve.access import listen
    from tvdb_assets.serve.backend import SearchBackend
    from tvdb_assets.serve.server import log_to_stderr, run

    settings = load_settings()
    token = settings.serve_token.get_secret_value() if settings.serve_token else None
    if not is_http:
        with Database.open(settings) as database:
            mcp_server.run_on_stdio(SearchBackend(settings, database))
        return
    listener = listen(host, port, token)
    with Database.open(settings) as database:
        app = mcp_server.create_app(
            SearchBackend(settings, database),
            token=token,
            hosts=settings.serve_hosts,
            is_loopback=listener.is_loopback,
        )
        notices.print(f"MCP: [bold]{listener.url}/mcp[/]  (Ctrl-C stops it.)")
        log_to_stderr(settings)
        run(app, listener)
