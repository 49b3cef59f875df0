"""The generated reference pages of the documentation, and the check that they are current.

What belongs here: pages that are made of code (settings, commands, Python names) or of the
migrated schema (tables and views). What does not: pages that the package generates from
its registers (``docs/formats.md``, ``docs/logs.md``, ``docs/errors.md``), and prose.

    python -m tools.reference_pages            write the pages
    python -m tools.reference_pages --check    exit with 1 if a page on disk differs

The schema page needs a database. The command starts an embedded server in a temporary folder
for it and stops the server again.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

import annotated_types
import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo

import tvdb_assets
from tools.schema_notes import TABLES, VIEWS
from tvdb_assets import deprecation
from tvdb_assets.cli import tvdb
from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.repositories.database import Database, prepare
from tvdb_assets.settings import PREFIX, Settings

DOCS: Final = Path(__file__).parents[1] / "docs"
_WIDTH: Final = 80
"""Columns of a command's help."""

_GROUPS: Final = {
    "Source and database": (
        *("source", "source_timeout_seconds", "database_url", "dagster_home", "private_paths"),
    ),
    "Modes": ("service_mode", "parser_mode", "embedder_mode", "embedder", "parser"),
    "Budgets and limits": (
        *("daily_cost_limit", "openai_daily_cost_limit", "llamaparse_daily_cost_limit"),
        *("hourly_rate_limit", "alert_webhook_url", "alert_webhook_secret"),
    ),
    "Paid services": (
        *("openai_api_key", "openai_base_url", "embedding_model", "embedding_dimensions"),
        *(
            "embedding_usd_per_million",
            "embedding_query_usd_per_million",
            "batch",
            "batch_texts",
            "batch_usd_per_million",
        ),
        *("embedding_max_inputs", "embedding_max_request_tokens", "embedding_encoding"),
        *("embedding_base_url", "embedding_headers", "azure_api_version"),
        *("embedding_query_prefix", "embedding_document_prefix"),
        *("llama_cloud_api_key", "llama_cloud_base_url"),
        *("llamaparse_tier", "llamaparse_cost_optimizer", "llamaparse_version"),
        "llamaparse_timeout_seconds",
        *("paid_concurrency", "paid_attempts", "paid_timeout_seconds", "paid_max_wait_seconds"),
    ),
    "Chunks and indexes": ("chunk_tokens", "chunk_overlap_tokens", "switch"),
    "Parser processes": (
        *("parse_timeout_seconds", "parse_memory_mib", "parse_workers", "parse_worker_documents"),
    ),
    "Limits of a document": (
        *("max_document_mib", "max_pages", "max_cells", "max_expanded_mib", "max_members"),
        *("max_depth", "max_picture_megapixels", "ocr_languages", "ocr_max_pages", "ocr_dpi"),
    ),
    "Assets, sensors, schedules and retention": (
        *(
            "sensor_seconds",
            "batch_seconds",
            "intake_seconds",
            "intake_settle_seconds",
            "deletion_share",
            "catch_up_cron",
        ),
        *("maintenance_cron", "run_partitions", "asset_key_prefix", "retention_days"),
        "cache_days",
    ),
    "Search and its evaluation": (
        *("search_over_budget", "evaluation_queries", "evaluation_floor", "evaluation_cron"),
    ),
    "Logs, UI and services": ("log_format", "ui_hosts", "serve_token", "serve_hosts"),
}
_COMPUTED: Final = {"parse_workers": "number of CPUs, at most 4"}
"""Defaults that differ from machine to machine."""


def settings_page() -> str:
    """``docs/settings.md``: every setting by group, from its field, bounds and docstring."""
    notes = _attribute_docs(DocumentLimits) | _attribute_docs(Settings)
    ungrouped = dict.fromkeys(
        name for name in Settings.model_fields if name not in grouped_settings()
    )
    lines = [
        "# Settings",
        "",
        "This page is generated from `tvdb_assets/settings.py` by `make reference`.",
        "",
        "Settings are read once, when a command or a code location starts. They come from the "
        "environment or from a `.env` file in the working folder; the environment wins. An empty "
        "value counts as not set. An unknown `TVDB_` name or an invalid value is an error that "
        "names the setting.",
        "",
        "A `.env` that sets an address (`..._BASE_URL`, `TVDB_DATABASE_URL`, `DAGSTER_HOME`) while "
        "the keys that would be used there come from the environment is refused with the code "
        "`folder_not_allowed`: it could send them anywhere. Put the keys in the same file, or run "
        "`tvdb allow`, which is remembered until the file changes. The same holds for a `.tvdb` "
        "that you did not create and for a `dagster.yaml` that names programs.",
    ]
    groups = {**_GROUPS, **({"Other settings": ungrouped} if ungrouped else {})}
    for title, names in groups.items():
        lines += [
            "",
            f"## {title}",
            "",
            "| Name | Value | Default | Meaning |",
            "|---|---|---|---|",
        ]
        for name in names:
            field = Settings.model_fields[name]
            lines.append(
                f"| `{_environment_name(name)}` | {_value(field)} | {_default(name, field)} |"
                f" {notes.get(name, '')} |"
            )
    lines += [
        "",
        "## Names of other programs",
        "",
        "- Buckets read the usual credentials of their provider.",
        "- The standard `OTEL_` variables turn on traces and metrics; see "
        "[Telemetry](telemetry.md#opentelemetry). They are read from the environment only.",
    ]
    return "\n".join(lines) + "\n"


def grouped_settings() -> list[str]:
    """The settings that a group of the page names."""
    return [name for names in _GROUPS.values() for name in names]


def _environment_name(name: str) -> str:
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else PREFIX + name.upper()


def _value(field: FieldInfo) -> str:
    kind, optional = _without_none(field.annotation)
    if isinstance(kind, type) and issubclass(kind, Enum):
        text = ", ".join(f"`{member.value}`" for member in kind)
    elif kind is SecretStr:
        text = "secret text"
    elif kind in (int, float, Decimal):
        text = "integer" if kind is int else "number"
        text += _bounds(field.metadata)
    elif kind is Path:
        text = "path"
    else:
        text = "text"
    return text + (", optional" if optional else "")


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, False
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return kinds[0], len(kinds) < len(get_args(annotation))


def _bounds(metadata: Sequence[Any]) -> str:
    low = next((f"{b.ge:,}" for b in metadata if isinstance(b, annotated_types.Ge)), None)
    above = next((f"{b.gt:,}" for b in metadata if isinstance(b, annotated_types.Gt)), None)
    high = next((f"{b.le:,}" for b in metadata if isinstance(b, annotated_types.Le)), None)
    if low is not None and high is not None:
        return f", {low} to {high}"
    parts = [
        *([f"at least {low}"] if low is not None else []),
        *([f"more than {above}"] if above is not None else []),
        *([f"at most {high}"] if high is not None else []),
    ]
    return "".join(f", {part}" for part in parts)


def _default(name: str, field: FieldInfo) -> str:
    if name in _COMPUTED:
        return _COMPUTED[name]
    value = field.default
    if value is None or value == "":
        return "not set"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    return f"`{value}`"


def _attribute_docs(owner: type) -> dict[str, str]:
    """The docstring below each field of a class, which Python itself discards."""
    body = ast.parse(inspect.getsource(owner)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    name = ""
    for statement in body.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and name:
            text = " ".join(str(statement.value.value).split())
            found[name] = text.replace("``", "`").replace("|", "\\|")
    return found


def cli_page() -> str:
    """``docs/cli.md``: the help of every command, as the terminal shows it."""
    lines = [
        "# Command line",
        "",
        "This page is generated from the commands' own help by `make reference`.",
        "",
        "With `--json`, a command writes one JSON document to stdout and everything else to "
        "stderr.",
        "",
        "| Exit code | Meaning |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | some documents failed |",
        "| 2 | wrong usage, invalid configuration, or no database |",
        "| 3 | some documents wait for a budget or a paid service |",
    ]
    for context in _contexts(tvdb, None):
        text = context.command.get_help(context)
        lines += ["", f"## `{context.command_path}`", "", "```text", text, "```"]
    return "\n".join(lines) + "\n"


def _contexts(command: click.Command, parent: click.Context | None) -> Iterator[click.Context]:
    """The context of a command and of each command below it, as if they had been called."""
    settings = {"terminal_width": _WIDTH, "max_content_width": _WIDTH, **command.context_settings}
    context = click.Context(command, parent=parent, info_name=command.name, **settings)
    yield context
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            if not command.commands[name].hidden:
                yield from _contexts(command.commands[name], context)


def api_page() -> str:
    """``docs/api.md``: one entry for each name in ``tvdb_assets.__all__``."""
    lines = [
        "# Python API",
        "",
        "This page is generated from `tvdb_assets.__all__` by `make reference`. Import these "
        "names from `tvdb_assets`. Every other name is internal and may change in any release.",
    ]
    targets = _imported_names(inspect.getsource(tvdb_assets))
    for name in sorted(tvdb_assets.__all__, key=str.lower):
        if name == "__version__":
            lines += ["", "## `__version__`", "", "The version of the installed package, as text."]
        else:
            options = ["    options:", f"      heading: {name}", f"      toc_label: {name}"]
            lines += ["", f"::: {targets[name]}", *options]
    return "\n".join(lines) + "\n"


def _imported_names(source: str) -> dict[str, str]:
    """The full path of each name that a module imports from others."""
    return {
        alias.asname or alias.name: f"{statement.module}.{alias.name}"
        for statement in ast.walk(ast.parse(source))
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def schema_page(database: Database) -> str:
    """``docs/database.md``: tables and views of a migrated database.

    Args:
        database: one that `prepare` has migrated.

    Raises:
        KeyError: a table or view has no sentence in `tools.schema_notes`.
    """
    with database.transaction() as tx:
        columns = tx.execute(
            "SELECT c.relname, c.relkind = 'v', a.attname, format_type(a.atttypid, a.atttypmod),"
            " a.attnotnull, coalesce(a.attnum = ANY(p.conkey), false),"
            " coalesce(col_description(c.oid, a.attnum), '')"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " LEFT JOIN pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'"
            " WHERE n.nspname = 'tvdb' AND c.relkind IN ('r', 'v', 'p')"
            " AND c.relname <> 'alembic_version' ORDER BY c.relname, a.attnum"
        ).fetchall()
    lines = [
        "# Database",
        "",
        "This page is generated from the migrated schema by `make reference`.",
        "",
        "Everything is in the schema `tvdb`. Dagster's own tables are in the schema `dagster` of "
        "the same database. Read the views; write nothing. [Architecture](architecture.md#tables) "
        "explains how the tables work together. Columns in bold are the primary key.",
    ]
    for is_view, title, notes in ((True, "Views", VIEWS), (False, "Tables", TABLES)):
        lines += ["", f"## {title}"]
        names = dict.fromkeys(row[0] for row in columns if row[1] is is_view)
        for name in names:
            lines += ["", f"### `{name}`", "", notes[name], ""]
            if is_view:
                lines += ["| Column | Type | Meaning |", "|---|---|---|"]
            else:
                lines += ["| Column | Type | Required | Meaning |", "|---|---|---|---|"]
            for row in (each for each in columns if each[0] == name):
                _, _, column, kind, is_required, is_key, comment = row
                cell = f"**`{column}`**" if is_key else f"`{column}`"
                required = "" if is_view else " yes |" if is_required else " no |"
                meaning = comment.replace("|", "\\|")
                lines.append(f"| {cell} | {kind} |{required} {meaning} |")
    return "\n".join(lines) + "\n"


def deprecated_names() -> Iterator[deprecation.Rename]:
    """Every entry of the registers of renamed names."""
    for register in (
        *(deprecation.SETTINGS, deprecation.OPTIONS, deprecation.JSON_FIELDS),
        *(deprecation.LOG_EVENTS, deprecation.MODULES, deprecation.ATTRIBUTES),
    ):
        yield from register.values()


def deprecation_page() -> str:
    """``docs/deprecation.md``: the policy, and every name that works under two names today."""
    lines = [
        "# Deprecation policy",
        "",
        "This page is generated from `tvdb_assets/deprecation.py` by `make reference`.",
        "",
        "These names are public: the commands and options of `tvdb` and the fields of its JSON "
        "output, exit codes, settings, error codes, log events, the names in "
        "`tvdb_assets.__all__`, Dagster's names of assets, partitions, jobs, sensors, schedules "
        "and resources, and the views of the schema `tvdb`. Everything else may change in any "
        "release; a migration takes the tables along, and the changelog lists renamed columns.",
        "",
        "- A public name that is renamed works under both names for at least one minor release. "
        "An old setting, option or module causes a `TvdbDeprecationWarning`, once for each "
        "process, which names the new name and the release in which the old one stops working. "
        "A renamed field or event appears under both names.",
        "- A public name is not removed without such a release.",
        "- `CHANGELOG.md` lists each deprecated name.",
        "- Before version 1.0, a minor release (0.2, 0.3) may remove what was deprecated; from "
        "1.0 on, a major release.",
        "- To find uses of old names in a test suite, turn the warning into an error: "
        '`filterwarnings = ["error::tvdb_assets.deprecation.TvdbDeprecationWarning"]`.',
        "- The database schema only moves forward. A newer release upgrades the database of every "
        "earlier release.",
        "",
        "## Names that work under both names today",
        "",
        "| Kind | Old name | New name | Since | Until |",
        "|---|---|---|---|---|",
    ]
    for rename in deprecated_names():
        lines.append(
            f"| {rename.kind} | `{rename.old}` | `{rename.new}` | {rename.since} | {rename.until} |"
        )
    return "\n".join(lines) + "\n"


PAGES: Final[dict[str, Callable[[], str]]] = {
    "settings.md": settings_page,
    "cli.md": cli_page,
    "api.md": api_page,
    "deprecation.md": deprecation_page,
}
"""Pages that need no database."""


def main() -> int:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description="Write the generated reference pages.")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = parser.parse_args().check
    pages = {name: make() for name, make in PAGES.items()}
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            url = server.ensure_running()
            prepare(url)
            with Database(url) as database:
                pages["database.md"] = schema_page(database)
        finally:
            server.stop()
    differing = [
        name
        for name, text in pages.items()
        if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != text
    ]
    for name in differing:
        if check:
            print(f"docs/{name} is not current; run `make reference`", file=sys.stderr)
        else:
            (DOCS / name).write_text(pages[name], encoding="utf-8")
            print(f"docs/{name} written")
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
