"""``tvdb init`` and ``tvdb completion``: a commented configuration, and completion in a shell.

What belongs here: what a person runs once. What does not: the settings themselves (`settings`).
"""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from tvdb_assets import error_codes as codes
from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, print_json
from tvdb_assets.redaction import printable
from tvdb_assets.working_folder import ENV_FILE

TEMPLATE = """\
# Settings of tvdb. A line that begins with # is a comment with the default. The environment wins
# over this file. All settings: docs/settings.md.

# Folder that holds the documents, or an s3://, gs:// or az:// URL.
TVDB_SOURCE=./documents

# Postgres 14 or newer with pgvector 0.8 or newer. Without it, an embedded server is started.
# TVDB_DATABASE_URL=postgresql://user:password@host:5432/database

# mock: invented vectors, for tests. local: free models on this machine. real: paid services.
# hybrid: paid services, and local ones where they are not available.
# TVDB_SERVICE_MODE=local

# US dollars per day (UTC) for all paid services together. No paid call exceeds it.
# TVDB_DAILY_COST_LIMIT=5.00

# Keys of the paid services. Keep this file private.
# OPENAI_API_KEY=
# LLAMA_CLOUD_API_KEY=

# Another server with the API of OpenAI. It receives the documents and the key.
# OPENAI_BASE_URL=

# Names of files that appear in no log, event or request, as globs separated by commas.
# TVDB_PRIVATE_PATHS=
"""


@click.command()
@json_option
def init(as_json: bool) -> None:
    """Write a commented .env into this folder, and create the folder for documents.

    A .env that is already there is not changed.
    """
    file = Path(ENV_FILE).absolute()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise codes.ENV_FILE_EXISTS.error(file=file) from None
    except OSError as error:
        raise codes.BAD_ENV_FILE.error(kind=type(error).__name__) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as target:
        target.write(TEMPLATE)
    Path("documents").mkdir(exist_ok=True)
    if as_json:
        print_json({"written": str(file)})
        return
    console.print(f"Written: {printable(str(file))}", markup=False)
    console.print("Put documents into ./documents, and run tvdb ingest.", markup=False)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    For bash, add this line to ~/.bashrc: eval "$(tvdb completion bash)".
    """
    completer = get_completion_class(shell)
    assert completer is not None
    root = context.find_root()
    click.echo(completer(root.command, {}, root.info_name or "tvdb", "_TVDB_COMPLETE").source())
