"""Errors that leave a run or a command: foreign exceptions become errors with a code.

What belongs here: the code of each foreign exception. What does not: the redaction of secrets
(`test_redaction`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import psycopg
import psycopg_pool
import pytest

from tvdb_assets.core import token_counting
from tvdb_assets.correlation import run_scope
from tvdb_assets.embedding.providers import local
from tvdb_assets.error_boundaries import redacting_errors, tagging_errors
from tvdb_assets.errors import ConfigurationError, StorageError, TvdbError
from tvdb_assets.settings import load_settings


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (psycopg.OperationalError("the connection is closed"), "database_unreachable"),
        (psycopg.errors.AdminShutdown("terminating connection"), "database_unreachable"),
        (psycopg.errors.DiskFull("no space left"), "database_unreachable"),
        (psycopg.errors.TooManyConnections("sorry"), "database_unreachable"),
        (psycopg_pool.PoolTimeout("no connection"), "database_unreachable"),
        (psycopg.errors.ReadOnlySqlTransaction("standby"), "database_read_only"),
        (psycopg.errors.InsufficientPrivilege("denied"), "database_privileges"),
        (psycopg.errors.UniqueViolation("twice"), "unexpected"),
        (psycopg.errors.LockNotAvailable("locked"), "unexpected"),
        (KeyError("a"), "unexpected"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_foreign_exception_becomes_a_code(error: Exception, code: str) -> None:
    with pytest.raises(TvdbError) as caught, redacting_errors("run-7"):
        raise error
    assert (caught.value.code, caught.value.run_id) == (code, "run-7")
    assert type(error).__name__ in caught.value.message
    assert str(error) not in str(caught.value)
    assert isinstance(caught.value, StorageError) == code.startswith("database")


def test_an_error_that_has_no_id_gets_the_one_of_its_block() -> None:
    with pytest.raises(ConfigurationError) as caught, tagging_errors("run-1"):
        load_settings(service_mode="no such mode")
    assert caught.value.run_id == "run-1"

    with pytest.raises(ConfigurationError) as caught, tagging_errors("run-1"), run_scope("run-2"):
        load_settings(service_mode="no such mode")
    assert caught.value.run_id == "run-2"


def test_a_broken_env_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_bytes(b"TVDB_SOURCE=\xff\xfe\n")

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert (caught.value.code, ".env" in caught.value.message) == ("bad_setting", True)


@pytest.mark.parametrize(
    ("module", "use", "package"),
    [
        (token_counting, token_counting.tokenizer.__wrapped__, "bpe-openai"),
        (local, lambda: asyncio.run(local.LocalEmbedder().embed(["text"])), "wordllama"),
    ],
)
def test_a_missing_package_is_named(
    module: ModuleType, use: Callable[[], object], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)

    with pytest.raises(ConfigurationError) as caught:
        use()

    assert (caught.value.code, package in caught.value.message) == ("package_missing", True)
    assert f"pip install {package}" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("TVDB_SUORCE", "Did you mean TVDB_SOURCE?"), ("TVDB_XYZ_QQQ", "unset the variable")],
)
def test_an_unknown_setting_is_named_with_the_one_that_was_meant(
    name: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")

    with pytest.raises(ConfigurationError) as caught:
        load_settings()

    assert (caught.value.code, name in caught.value.message) == ("unknown_setting", True)
    assert remedy in caught.value.remedy
