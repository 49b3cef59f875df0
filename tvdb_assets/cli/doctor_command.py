"""``tvdb doctor``: whether this machine can run the project, and what to do where it can't.

What belongs here: one check for each thing that a set-up needs. What does not: the checks
themselves, which are those of any other command, or the state of paid services over time
(``tvdb health``).
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice

import click

from tvdb_assets import error_codes as codes
from tvdb_assets.cli.options import json_option
from tvdb_assets.cli.output import console, print_json
from tvdb_assets.core.message_counts import counted
from tvdb_assets.errors import SourceError, TvdbError
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets.repositories import server_checks
from tvdb_assets.repositories.database import Database, database_url, project_home
from tvdb_assets.repositories.migrations import HEAD
from tvdb_assets.routing.service_health import ServiceHealth
from tvdb_assets.routing.service_router import ServiceRouter
from tvdb_assets.settings import ServiceMode, Settings, load_settings
from tvdb_assets.sources.source import Source

LEAST_FREE_GIB = 1.0
"""Free disk space below which a check fails: a run keeps temporary files, and a server its log."""
_LISTED = 1_000
_REMEDIES = {
    "refused": "Correct the key or the account, and run tvdb resume.",
    "failing": "Check the address of the service and the network. Calls are tried again later.",
    "halted": "Raise the limit with tvdb limits, or end a pause with tvdb resume, or wait for the "
    "next day (UTC).",
}
"""By the status of a service."""
_GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    check: str
    is_ok: bool
    message: str
    code: str = ""
    remedy: str = ""


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Check that this machine can run the project, and say what to do where it can't.

    No table is created and nothing is paid: each paid service gets one free request. The embedded
    server is started if it is the database. The exit code is 2 if a check fails.
    """
    findings = list(_findings())
    failed = [finding for finding in findings if not finding.is_ok]
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(finding) for finding in findings]})
        return 2 if failed else 0
    for finding in findings:
        mark, colour = ("ok", "green") if finding.is_ok else ("problem", "red")
        console.print(f"[{colour}]{mark:<8}[/] {finding.check:<9}", end=" ")
        code = f"[{finding.code}] " if finding.code else ""
        console.print(f"{code}{finding.message}", markup=False)
        if finding.remedy:
            console.print(f"{'':<19}{finding.remedy}", markup=False)
    return 2 if failed else 0


def _findings() -> Iterator[Finding]:
    try:
        settings = load_settings()
    except TvdbError as error:
        yield _problem("settings", error)
        return
    yield Finding("settings", True, f"mode {settings.service_mode.value}, {_mode(settings)}")
    checks: tuple[tuple[str, Callable[[Settings], str | Finding]], ...] = (
        ("versions", _versions),
        ("source", _source),
        ("database", _database),
        ("disk", _disk),
        ("parsers", _parsers),
        ("services", _services),
    )
    for name, check in checks:
        try:
            found = check(settings)
            yield Finding(name, True, found) if isinstance(found, str) else found
        except TvdbError as error:
            yield _problem(name, error)


def _problem(check: str, error: TvdbError) -> Finding:
    return Finding(check, False, error.message, error.code, error.remedy)


def _is_paid(settings: Settings) -> bool:
    return settings.service_mode in (ServiceMode.REAL, ServiceMode.HYBRID)


def _mode(settings: Settings) -> str:
    if not _is_paid(settings):
        return "nothing is paid"
    return f"at most ${settings.daily_cost_limit:,.2f} a day"


def _versions(_: Settings) -> str:
    # Loading it checks the parts of Dagster that the project uses; it takes seconds.
    from tvdb_assets.dagster import compat

    compat.check()
    names = ("tvdb-assets", "dagster", "dagster-postgres", "dagster-webserver")
    return ", ".join(f"{name} {version(name)}" for name in names)


def _source(settings: Settings) -> str:
    source = Source.open(settings.source)
    listed = list(islice(source.list(), _LISTED))
    unlisted = [f for f in listed if isinstance(f, SourceError) and f.code == codes.UNLISTED.code]
    if unlisted:
        raise unlisted[0]
    more = " or more" if len(listed) == _LISTED else ""
    return f"{source.root}: {counted(len(listed), 'file')}{more}"


def _database(settings: Settings) -> str:
    facts = server_checks.inspect(database_url(settings))
    schema = f"tables of revision {facts.schema}" if facts.schema else "no tables yet"
    versions = f"Postgres {facts.postgres}, pgvector {facts.pgvector}"
    left = counted(facts.connections_left, "connection")
    return f"{facts.where}: {versions}, {schema}, {left} left"


def _disk(settings: Settings) -> str | Finding:
    home = project_home(settings)
    # It may not exist yet.
    existing = next(folder for folder in (home, *home.parents) if folder.is_dir())
    folders = {str(existing): "DAGSTER_HOME", tempfile.gettempdir(): "TMPDIR"}
    free = {folder: shutil.disk_usage(folder).free / _GIB for folder in folders}
    shown = ", ".join(f"{gib:,.1f} GiB free in {folder}" for folder, gib in free.items())
    full = [folder for folder, gib in free.items() if gib < LEAST_FREE_GIB]
    if full:
        names = " or ".join(folders[folder] for folder in full)
        remedy = f"Free {LEAST_FREE_GIB:g} GiB there, or set {names} to a folder of another disk."
        return Finding("disk", False, shown, remedy=remedy)
    return shown


def _parsers(settings: Settings) -> str:
    from tvdb_assets.parsing.reading import ocr

    ocr.check_languages(settings.ocr_languages)
    with WorkerPool.of(settings) as workers:
        missing = ", ".join(workers.confinement().missing)
    confined = f"not enforced on this machine: {missing}" if missing else "all protections hold"
    return f"OCR reads {settings.ocr_languages or ocr.languages()}; {confined}"


def _services(settings: Settings) -> str | Finding:
    if not _is_paid(settings):
        return "no paid service is used"
    if server_checks.inspect(database_url(settings)).schema != HEAD:
        return "asked when the tables exist: run tvdb migrate, or any other command"
    found = asyncio.run(_health(settings))
    shown = ", ".join(f"{each.role}: {each.service} {each.status}" for each in found)
    for service in found:
        if service.status in _REMEDIES:
            why = f"; {service.last_error}" if service.last_error else ""
            return Finding("services", False, shown + why, remedy=_REMEDIES[service.status])
    return shown


async def _health(settings: Settings) -> list[ServiceHealth]:
    with Database.open(settings) as database:
        async with ServiceRouter(settings, database=database) as router:
            return await router.health(probe=True)
