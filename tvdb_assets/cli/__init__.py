"""The ``tvdb`` command: composition and the words a person reads.

What belongs here: arguments, exit codes, tables. What does not: anything that a run in
Dagster would need too.

Exit codes: 0 done, 1 some documents failed, 2 usage or configuration, 3 budget halted. With
``--json``, stdout holds one JSON document and all else goes to stderr.
"""

from __future__ import annotations

import gc
import logging
import sys
from contextlib import suppress

import click
from stamina.instrumentation import set_on_retry_hooks

from tvdb_assets.cli.catch_up_commands import catch_up, forget, retry
from tvdb_assets.cli.cost_commands import estimate, health, show_costs
from tvdb_assets.cli.index_commands import switch
from tvdb_assets.cli.ingest_commands import ingest, status
from tvdb_assets.cli.limit_commands import limits, pause, resume
from tvdb_assets.cli.output import print_error, show_deprecations_as_notices
from tvdb_assets.cli.search_command import search
from tvdb_assets.cli.server_commands import dev, stop
from tvdb_assets.cli.trace_command import trace
from tvdb_assets.correlation import new_run_id, run_scope
from tvdb_assets.error_boundaries import redacting_errors
from tvdb_assets.errors import ConfigurationError, TvdbError
from tvdb_assets.settings import LogFormat, load_settings
from tvdb_assets.telemetry import LOGGER, write_to_stderr


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tvdb-assets")
def tvdb() -> None:
    """Turn a folder or bucket of documents into a searchable index in Postgres."""


for command in (
    *(ingest, status, search, switch, trace),
    *(estimate, show_costs, limits, pause, resume, health),
    *(catch_up, retry, forget, dev, stop),
):
    tvdb.add_command(command)


def main() -> None:
    """Run the command line; a known error becomes a message and an exit code."""
    # What Dagster's modules make lives to the end; looking through it for garbage again and again,
    # and once more at the end, would take a second of a command that lasts a few.
    gc.set_threshold(100_000, 20, 20)
    # Each retry is a row of the ledger; told here too, it would stand between the results.
    set_on_retry_hooks(())
    show_deprecations_as_notices()
    try:
        # What a command pays for or fails at is found by this id, where no run has one of its own.
        with run_scope(new_run_id()), redacting_errors():
            # Its own results say all that a person at a shell wants to know of.
            LOGGER.addHandler(logging.NullHandler())
            # A bad setting is told by the command that needs it.
            with suppress(ConfigurationError):
                if load_settings().log_format is LogFormat.JSON:
                    write_to_stderr()
            code = _run()
        gc.freeze()
        sys.exit(code)
    except TvdbError as error:
        print_error(error, as_json="--json" in sys.argv)
        sys.exit(3 if error.is_deferred else 2)


def _run() -> int:
    try:
        # Not standalone, click returns the code that a command exits with.
        return tvdb(standalone_mode=False) or 0
    except click.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return 2
