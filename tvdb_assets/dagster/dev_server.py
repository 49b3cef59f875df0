"""``dagster dev`` for this project: the UI, the daemon and the code server, until a signal.

What belongs here: the process that ``tvdb dev`` becomes, and the environment of its children. What
does not: the UI's rules for requests (`ui_requests`).
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import warnings

UI_MODULE = "tvdb_assets.dagster.ui_server"


def become(port: int) -> None:
    """Replace this process by the development server.

    Args:
        port: of the UI, on 127.0.0.1.
    """
    # A shell starts a script's background jobs with SIGINT ignored. Dagster treats SIGTERM as it
    # treats SIGINT, so it would ignore both.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Otherwise a yaml.py in the working folder would be imported by each of the processes.
    os.environ["PYTHONSAFEPATH"] = "1"
    os.execv(sys.executable, [sys.executable, "-m", __name__, str(port)])


def main(port: str) -> None:
    """Run the development server."""
    from tvdb_assets.dagster import compat

    # The advice to use another command is for users of Dagster's command line.
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*superseded.*")
    compat.run_dev(
        UI_MODULE,
        [
            *("-m", "tvdb_assets.definitions", "-d", sysconfig.get_path("purelib")),
            *("-h", "127.0.0.1", "-p", port),
        ],
    )


if __name__ == "__main__":
    main(sys.argv[1])
