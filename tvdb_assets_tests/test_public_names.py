"""The public names: listed, typed, documented, and free of cost until they are used."""

from __future__ import annotations

import ast
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tvdb_assets

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", tvdb_assets.__all__)
def test_each_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(tvdb_assets, name)
    assert value is getattr(tvdb_assets, name)
    assert name in dir(tvdb_assets)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


def test_a_name_that_is_not_public_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Walk'"):
        _ = tvdb_assets.Walk


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse(Path(tvdb_assets.__file__).read_text("utf-8"))
    [guarded] = [
        node.body
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    typed = {
        (alias.asname or alias.name): (node.module, alias.name)
        for node in guarded
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == tvdb_assets._WHERE
    assert set(typed) | {"TvdbDeprecationWarning"} == set(tvdb_assets.__all__)


def test_the_docstring_lists_every_public_name() -> None:
    missing = [
        name for name in tvdb_assets.__all__ if f"`{name}`" not in (tvdb_assets.__doc__ or "")
    ]
    assert missing == []


def _loaded_by(code: str, tmp_path: Path) -> set[str]:
    """Modules, by their first part, that a program has loaded at its end."""
    environment = os.environ | {"TVDB_SOURCE": "", "TVDB_NO_SUCH_SETTING": "1"}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True, text=True, check=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_an_import_loads_nothing_heavy_and_reads_no_setting(tmp_path: Path) -> None:
    heavy = {"dagster", "openai", "psycopg", "pydantic", "numpy", "httpx2", "dotenv", "sqlalchemy"}
    assert _loaded_by("import tvdb_assets", tmp_path) & heavy == set()
    assert list(tmp_path.iterdir()) == []


def test_search_needs_no_dagster(tmp_path: Path) -> None:
    loaded = _loaded_by("from tvdb_assets import Index, search, load_settings", tmp_path)
    assert loaded & {"dagster", "openai", "sqlalchemy", "pandas"} == set()
    assert "psycopg" in loaded


@pytest.mark.parametrize("first", ["tvdb_assets.retrieval.index", "tvdb_assets.cli"])
def test_search_stays_a_function_whatever_is_imported_before(first: str, tmp_path: Path) -> None:
    _loaded_by(f"import {first}, tvdb_assets\nassert callable(tvdb_assets.search)", tmp_path)
