"""Errors of the embedded Postgres server: each has a code, the reason and a remedy.

What belongs here: servers that can't be started. What does not: servers that work (`test_server`).
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.embedded_postgres.server_process import Account
from tvdb_assets.errors import StorageError


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / ".tvdb"
    EmbeddedPostgres(tmp_path / ".tvdb").stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a stopped server; a test that breaks it repairs it."""
    home = tmp_path_factory.mktemp("home") / ".tvdb"
    server = EmbeddedPostgres(home)
    server.ensure_running()
    assert server.stop()
    return home


def test_a_missing_wheel_is_named(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(StorageError) as caught:
        EmbeddedPostgres(empty).ensure_running()
    assert caught.value.code == "embedded_postgres_missing"
    assert "TVDB_DATABASE_URL" in caught.value.remedy


def test_a_failed_start_has_the_reason_and_the_path_of_the_log(home: Path) -> None:
    (home / "postgres/data/PG_VERSION").write_text("11\n")
    with pytest.raises(StorageError) as caught:
        EmbeddedPostgres(home).ensure_running()
    assert caught.value.code == "embedded_postgres_failed"
    assert "incompatible" in caught.value.message
    assert str(home / "postgres/server.log") in caught.value.remedy
    assert (home / "postgres/password").read_text() not in str(caught.value)
    assert not EmbeddedPostgres(home).is_running()
    (home / "postgres/data/PG_VERSION").write_text("18\n")


def test_a_lost_password_is_named(home: Path) -> None:
    password = home / "postgres/password"
    password.rename(password.with_name("renamed"))
    with pytest.raises(StorageError, match=r"password .* is missing"):
        EmbeddedPostgres(home).ensure_running()
    password.with_name("renamed").rename(password)
    EmbeddedPostgres(home).ensure_running()
    assert EmbeddedPostgres(home).stop()


def test_a_home_that_can_not_be_created_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as caught:
        EmbeddedPostgres(tmp_path / "file" / ".tvdb").ensure_running()
    assert caught.value.code == "embedded_postgres_unwritable"
    assert "DAGSTER_HOME" in caught.value.remedy


def test_a_full_disk_leaves_no_incomplete_files(empty: Path) -> None:
    """A limit of the file size makes writes fail like a full disk."""
    code = (
        "import sys, resource; from pathlib import Path; "
        "from tvdb_assets.embedded_postgres.server import EmbeddedPostgres; "
        "server = EmbeddedPostgres(Path(sys.argv[1])); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from tvdb_assets.errors import StorageError\n"
        "try: server.ensure_running()\n"
        "except StorageError as error: print(error.code)"
    )
    command = [sys.executable, "-c", code, str(empty)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "embedded_postgres_failed\n", result.stderr
    assert not (empty / "postgres/data").exists()
    assert not list((empty / "postgres").glob("new-*"))
    with psycopg.connect(EmbeddedPostgres(empty).ensure_running()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_program_that_no_account_can_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught:
        Account.choose(tmp_path, tmp_path / "data").with_access_to(
            tmp_path, tmp_path / "no-binaries"
        )
    assert caught.value.code == "embedded_postgres_unreachable"
