"""Renamed names that users know work under both names until the release that is announced."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import warnings
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path
from types import ModuleType

import pytest

from tvdb_assets import deprecation
from tvdb_assets.deprecation import (
    ATTRIBUTES,
    JSON_FIELDS,
    LOG_EVENTS,
    MODULES,
    OPTIONS,
    SETTINGS,
    TvdbDeprecationWarning,
)
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.settings import Settings, load_settings

OLD, NEW = "TVDB_PAID_PATIENCE_SECONDS", "TVDB_PAID_MAX_WAIT_SECONDS"
README_NAMES = {
    "tvdb_assets.storage.instance": "ProjectPostgresStorage",
    "tvdb_assets.assets.documents": "documents",
    "tvdb_assets.services.router": "ServiceRouter",
    "tvdb_assets.storage.database": "Database",
    "tvdb_assets.pipeline.partition_keys": "partition_key",
}


@pytest.fixture(autouse=True)
def _warn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deprecation, "_warned", set())


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in takewhile(str.isdigit, release.split(".")))


@pytest.mark.parametrize(
    "rename",
    [
        rename
        for register in (SETTINGS, OPTIONS, JSON_FIELDS, LOG_EVENTS, MODULES, ATTRIBUTES)
        for rename in register.values()
    ],
    ids=lambda r: r.old,
)
def test_no_old_name_outlives_its_release(rename: deprecation.Rename) -> None:
    assert _numbers(rename.since) < _numbers(rename.until)
    assert _numbers(version("tvdb-assets")) < _numbers(rename.until)


@pytest.mark.parametrize("rename", SETTINGS.values(), ids=lambda r: r.old)
def test_a_renamed_setting_has_a_field_under_its_new_name_only(rename: deprecation.Rename) -> None:
    assert rename.new.removeprefix("TVDB_").lower() in Settings.model_fields
    assert rename.old.removeprefix("TVDB_").lower() not in Settings.model_fields


def test_a_setting_is_read_by_its_old_name_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OLD, "7")
    with pytest.warns(TvdbDeprecationWarning, match=f"{OLD} is now {NEW}.*version 0.2.0") as caught:
        assert load_settings().paid_max_wait_seconds == 7
    [warning] = [record.message for record in caught]
    assert isinstance(warning, TvdbDeprecationWarning)
    assert (warning.since, warning.until) == ("0.1.0", "0.2.0")


def test_a_process_warns_once_even_if_a_library_changes_the_filters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(OLD, "7")
    with pytest.warns(TvdbDeprecationWarning) as caught:
        for _ in range(3):
            load_settings()
            warnings.simplefilter("always")
    assert len(caught) == 1


def test_the_new_name_of_a_setting_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OLD, "7")
    monkeypatch.setenv(NEW, "8")
    with pytest.warns(TvdbDeprecationWarning):
        assert load_settings().paid_max_wait_seconds == 8
    monkeypatch.delenv(OLD)
    assert load_settings().paid_max_wait_seconds == 8


def test_a_bad_value_under_the_old_name_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OLD, "long")
    with pytest.warns(TvdbDeprecationWarning), pytest.raises(ConfigurationError, match=NEW):
        load_settings()


def test_a_name_that_never_was_a_setting_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVDB_PATIENCE", "7")
    with pytest.raises(ConfigurationError, match="TVDB_PATIENCE"):
        load_settings()
    monkeypatch.delenv("TVDB_PATIENCE")
    with pytest.raises(TypeError, match="paid_patience_seconds"):
        load_settings(paid_patience_seconds=7)


@pytest.mark.parametrize("old", MODULES)
def test_a_moved_module_is_the_same_module_under_both_names(
    old: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(TvdbDeprecationWarning, match=f"{old} is now {MODULES[old].new}"):
        moved = importlib.import_module(old)
    assert moved is importlib.import_module(MODULES[old].new)
    assert moved.__name__ == MODULES[old].new
    assert hasattr(moved, README_NAMES[old])


def test_a_pickle_with_the_old_path_of_a_class_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    from tvdb_assets.repositories.database import Database

    monkeypatch.delitem(sys.modules, "tvdb_assets.storage.database", raising=False)
    with pytest.warns(TvdbDeprecationWarning):
        assert pickle.loads(b"ctvdb_assets.storage.database\nDatabase\n.") is Database
    assert b"tvdb_assets.repositories.database" in pickle.dumps(Database)


@pytest.mark.parametrize("name", ["tvdb_assets.storage.nothing", "tvdb_assets.walk"])
def test_a_module_that_no_document_named_is_gone(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)


@pytest.mark.parametrize("how", ["-c", "-m"])
def test_a_program_that_imports_an_old_path_runs_and_sees_one_warning(
    how: str, tmp_path: Path
) -> None:
    old = "tvdb_assets.storage.database"
    code = f"from {old} import Database\nimport {old} as again\nprint(again.Database is Database)"
    done = subprocess.run(
        [sys.executable, how, code if how == "-c" else old],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.strip() == ("True" if how == "-c" else "")
    assert done.stderr.count(f"{old} is now tvdb_assets.repositories.database.") == 1


def test_the_old_name_of_an_option_works_with_one_line_on_stderr(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from tvdb_assets.cli import main; main()"]
    arguments = ["switch", "--list", "--anyway"]
    done = subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, OLD: "7"},
    )
    # Both flags together are a usage error, so that the test needs no database.
    assert done.returncode == 2
    assert "--list, --drop and --force exclude each other." in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("Warning")] == [
        f"Warning: The setting {OLD} is now {NEW}. The old name stops working in version 0.2.0.",
        "Warning: The option --anyway is now --force. The old name stops working in version 0.2.0.",
    ]
    assert "--anyway" not in subprocess.run(
        [*command, "switch", "--help"], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout  # fmt: skip


def test_a_renamed_name_of_a_module_is_served_with_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("a_module")
    get_attribute = deprecation.renamed_names("a_module", {"Old": "New"})
    module.__dict__.update(New=object(), __getattr__=get_attribute)
    monkeypatch.setitem(sys.modules, "a_module", module)
    with pytest.warns(TvdbDeprecationWarning, match="a_module.Old is now a_module.New"):
        assert module.Old is module.New
    with pytest.raises(AttributeError, match="Other"):
        _ = module.Other


def test_the_warning_pickles() -> None:
    warning = MODULES["tvdb_assets.storage.database"].warning
    again = pickle.loads(pickle.dumps(warning))
    assert (str(again), again.since, again.until) == (str(warning), warning.since, warning.until)


_EMBED = """\
import asyncio

from tvdb_assets.services.router import ServiceRouter
from tvdb_assets.settings import load_settings


async def main() -> None:
    async with ServiceRouter(load_settings()) as router:
        made = await router.embed(["Is flood damage covered?"])
        print(made.vectors.shape, made.space.label, made.made_by.mode)


asyncio.run(main())
"""
_READ = """\
from tvdb_assets.settings import load_settings
from tvdb_assets.storage.database import Database

with Database.open(load_settings()) as database, database.transaction() as tx:
    rows = tx.execute(
        "SELECT document, page_first, heading_path, text FROM tvdb.search_index"
    ).fetchall()
print(rows)
"""
_ASSET = """\
import dagster as dg
import pandas as pd

from tvdb_assets import definitions as tvdb
from tvdb_assets.assets.documents import documents


@dg.asset(partitions_def=documents)
def longest_chunk(context: dg.AssetExecutionContext, chunks: pd.DataFrame) -> None:
    ...


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions.merge(tvdb.defs(), dg.Definitions(assets=[longest_chunk]))


print(len(defs().resolve_asset_graph().get_all_asset_keys()))
"""


@pytest.mark.parametrize(
    ("program", "output", "old_names"),
    [
        (_EMBED, "(1, 256) wordllama/l2_supercat_256@256", ["services.router", "made_by"]),
        (_READ, "[]", ["storage.database"]),
        (_ASSET, "7", ["assets.documents"]),
    ],
    ids=["embed", "read", "asset"],
)
def test_a_program_of_the_first_readme_still_runs(
    program: str, output: str, old_names: list[str], empty_url: str, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "TVDB_DATABASE_URL": empty_url},
    )
    assert done.stdout.startswith(output), done.stderr
    lines = [line for line in done.stderr.splitlines() if "TvdbDeprecationWarning" in line]
    assert len(lines) == len(old_names)
    assert all(name in line for name, line in zip(old_names, lines, strict=True))


def test_the_dagster_yaml_of_an_older_home_still_names_the_storage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dagster._serdes.config_class import class_from_code_pointer

    from tvdb_assets.dagster.storage.instance_storage import ProjectPostgresStorage

    monkeypatch.delitem(sys.modules, "tvdb_assets.storage.instance", raising=False)
    with pytest.warns(TvdbDeprecationWarning):
        named = class_from_code_pointer("tvdb_assets.storage.instance", "ProjectPostgresStorage")
    assert named is ProjectPostgresStorage
