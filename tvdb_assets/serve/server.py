"""Runs an ASGI application on a bound socket until a signal.

What belongs here: the server and its log. What does not: the application (`api`, `mcp_server`).
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from tvdb_assets.serve.access import Listener
from tvdb_assets.settings import LogFormat, Settings
from tvdb_assets.telemetry import LOGGER

_CONNECTIONS: Final = 256
"""Connections at the same time; more are answered with 503."""
_SHUTDOWN_SECONDS: Final = 10


def log_to_stderr(settings: Settings) -> None:
    """Write events as text; in the format ``json``, the command line has done so already."""
    if settings.log_format is LogFormat.TEXT:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        LOGGER.addHandler(handler)


def run(
    app: ASGIApp, listener: Listener, *, certificate: Path | None = None, key: Path | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; requests in progress are answered first.

    Args:
        app: the application.
        listener: the bound socket.
        certificate: PEM file of a certificate chain; None serves without TLS.
        key: PEM file of its private key.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        # The application logs each request itself, without the question in its address.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    # With log_config=None, uvicorn's own lines would appear by Python's last resort, on stderr.
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        uvicorn.Server(config).run(sockets=[listener.socket])
    except KeyboardInterrupt:
        # uvicorn repeats the signal after an orderly end.
        pass
    finally:
        listener.socket.close()
