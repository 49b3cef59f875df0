"""The files of the working folder decide nothing that their user did not create or allow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tvdb_assets import working_folder
from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.errors import ConfigurationError
from tvdb_assets.repositories.database import claim_home, project_home
from tvdb_assets.settings import load_settings

_KEY = {"OPENAI_API_KEY": "key-of-the-environment"}
_REFUSED = "folder_not_allowed"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The working folder, with a record and a home of the user of its own."""
    for name in ("PGPASSWORD", "PGPASSFILE", "PGSERVICE", "OPENAI_API_KEY", "LLAMA_CLOUD_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    (tmp_path / "user").mkdir()
    working = tmp_path / "working"
    working.mkdir()
    # Otherwise the home of a clone would be that of its installation.
    (working / "dagster.yaml").write_text("telemetry: {enabled: false}\n", "utf-8")
    monkeypatch.chdir(working)
    yield working


def _code_of(call: object, *arguments: object) -> str | None:
    try:
        call(*arguments)  # type: ignore[operator]
    except ConfigurationError as error:
        return error.code
    return None


@pytest.mark.parametrize(
    ("env_file", "environment"),
    [
        ("OPENAI_BASE_URL=http://evil.example/v1", _KEY),
        # The key of the environment wins over that of the file.
        ("OPENAI_BASE_URL=http://evil.example/v1\nOPENAI_API_KEY=of-the-file-0000", _KEY),
        ("LLAMA_CLOUD_BASE_URL=http://evil.example", {"LLAMA_CLOUD_API_KEY": "llx-0000000"}),
        ("VOYAGE_BASE_URL=http://evil.example", {"VOYAGE_API_KEY": "pa-000000000"}),
        ("TVDB_DATABASE_URL=postgresql://evil.example/db", _KEY),
        ("TVDB_DATABASE_URL=postgresql://evil.example/db", {"PGPASSWORD": "secret-password"}),
        ("DAGSTER_HOME=./home", _KEY),
        ("export OPENAI_BASE_URL='http://evil.example/v1'", _KEY),
        ("LLAMA_CLOUD_API_KEY=x\nLLAMA_CLOUD_BASE_URL=http://evil.example/${OPENAI_API_KEY}", _KEY),
        ("TVDB_ALERT_WEBHOOK_URL=http://evil.example/${AWS_SECRET_ACCESS_KEY}",
         {"AWS_SECRET_ACCESS_KEY": "aws-000000"}),
    ],
)  # fmt: skip
def test_a_file_that_would_take_a_secret_of_the_environment_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, env_file: str, environment: dict[str, str]
) -> None:
    (folder / ".env").write_text(env_file, "utf-8")
    load_settings()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        load_settings()
    assert refused.value.code == _REFUSED
    assert next(iter(environment)) in refused.value.message
    assert not any(value in str(refused.value) for value in environment.values())
    assert "tvdb allow" in refused.value.remedy


def test_a_password_file_of_the_user_is_not_for_a_database_of_the_folder(
    folder: Path, tmp_path: Path
) -> None:
    (folder / ".env").write_text("TVDB_DATABASE_URL=postgresql://evil.example/db", "utf-8")
    (tmp_path / "user/.pgpass").write_text("*:*:*:*:secret", "utf-8")
    assert _code_of(load_settings) == _REFUSED


@pytest.mark.parametrize(
    ("env_file", "environment"),
    [
        ("OPENAI_BASE_URL=http://own.example/v1\nOPENAI_API_KEY=of-the-file-0000", {}),
        ("TVDB_DATABASE_URL=postgresql://u:p@own.example/db\nOPENAI_API_KEY=of-the-file-00", {}),
        ("OPENAI_BASE_URL=http://localhost:11434/v1", {}),
        ("TVDB_CHUNK_TOKENS=200\nTVDB_SERVICE_MODE=real", _KEY),
        ("OPENAI_BASE_URL=http://own.example/v1", {**_KEY, "OPENAI_BASE_URL": "https://a.example"}),
        ("OPENAI_BASE_URL=", _KEY),
        ("OPENAI_BASE_URL=http://own.example/v1", {"ANTHROPIC_API_KEY": "not-used-here"}),
        ("", {**_KEY, "OPENAI_BASE_URL": "https://a.example", "PGPASSWORD": "secret-password"}),
    ],
)  # fmt: skip
def test_ordinary_settings_need_no_permission(
    folder: Path, monkeypatch: pytest.MonkeyPatch, env_file: str, environment: dict[str, str]
) -> None:
    (folder / ".env").write_text(env_file, "utf-8")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    load_settings()


def test_what_is_allowed_is_refused_again_when_it_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / ".env"
    file.write_text("OPENAI_BASE_URL=http://own.example/v1", "utf-8")
    monkeypatch.setenv("OPENAI_API_KEY", _KEY["OPENAI_API_KEY"])
    assert _code_of(load_settings) == _REFUSED
    assert working_folder.allow(folder / ".tvdb") == [file, folder / "dagster.yaml"]
    assert load_settings().openai_base_url == "http://own.example/v1"
    file.write_text("OPENAI_BASE_URL=http://evil.example/v1", "utf-8")
    assert _code_of(load_settings) == _REFUSED
    # A copy in another folder is another file.
    file.write_text("OPENAI_BASE_URL=http://own.example/v1", "utf-8")
    (folder / "other").mkdir()
    shutil.copy(file, folder / "other")
    monkeypatch.chdir(folder / "other")
    assert _code_of(load_settings) == _REFUSED


def test_a_home_that_came_with_the_folder_is_refused(folder: Path) -> None:
    (folder / ".tvdb/postgres/data").mkdir(parents=True)
    (folder / ".tvdb/owner").write_text("0" * 64, "utf-8")
    for use in (project_home, claim_home):
        assert _code_of(use, load_settings()) == _REFUSED
    working_folder.allow(folder / ".tvdb")
    assert claim_home(load_settings()) == folder / ".tvdb"


def test_a_home_that_the_environment_names_is_the_users_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "home/postgres").mkdir(parents=True)
    (folder / ".env").write_text("DAGSTER_HOME=home", "utf-8")
    assert _code_of(project_home, load_settings()) == _REFUSED
    monkeypatch.setenv("DAGSTER_HOME", "home")
    assert project_home(load_settings()) == folder / "home"


def test_a_home_that_a_command_created_stays_usable(folder: Path) -> None:
    home = claim_home(load_settings())
    (home / "postgres").mkdir()
    assert project_home(load_settings()) == claim_home(load_settings()) == home
    assert (home / "owner").stat().st_mode & 0o777 == 0o600


@pytest.mark.filterwarnings("error")
def test_where_nothing_can_be_recorded_the_user_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").write_text("", "utf-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "file"))
    with pytest.warns(working_folder.WorkingFolderWarning, match="DAGSTER_HOME"):
        claim_home(load_settings())


@pytest.mark.parametrize(
    ("content", "is_allowed"),
    [
        ("run_queue: {max_concurrent_runs: 2}\nretention: {}\n", True),
        ("", True),
        ("run_launcher: {module: tvdb_assets.dagster.storage.run_launcher,"
         " class: CommandAwareRunLauncher}", True),
        ("run_launcher: {module: evil, class: Launcher}", False),
        ("run_launcher: {module: evil, class: CommandAwareRunLauncher}", False),
        ("run_launcher: {module: tvdb_assets.dagster.storage.run_launcher,"
         " class: CommandAwareRunLauncher, config: {env: [A=b]}}", False),
        ("storage: {custom: {module: evil, class: Storage}}", False),
        ("storage: {custom: {module: tvdb_assets.dagster.storage.instance_storage,"
         " class: ProjectPostgresStorage, config: {url: 'postgresql://evil.example/db'}}}", False),
        ("storage: {postgres: {postgres_url: 'postgresql://evil.example/db'}}", False),
        ("compute_logs: {module: evil, class: Logs}", False),
        ("!!python/object/apply:os.system [id]", False),
        ("[", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["dagster.yaml", ".tvdb/dagster.yaml"])
def test_an_instance_file_names_no_class_that_the_user_did_not_allow(
    folder: Path, place: str, content: str, is_allowed: bool
) -> None:
    (folder / ".tvdb").mkdir()
    (folder / place).write_text(content, "utf-8")
    assert _code_of(project_home, load_settings()) == (None if is_allowed else _REFUSED)
    working_folder.allow(folder / ".tvdb")
    assert _code_of(project_home, load_settings()) is None


def test_the_shipped_instance_file_needs_no_permission(folder: Path) -> None:
    shipped = Path(working_folder.__file__).parent / "dagster/storage/dagster.yaml"
    shutil.copy(shipped, folder / "dagster.yaml")
    project_home(load_settings())


def test_the_command_refuses_and_then_allows(folder: Path) -> None:
    (folder / ".env").write_text("OPENAI_BASE_URL=http://own.example/v1", "utf-8")
    environment = {**os.environ, **_KEY}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = str(Path(sys.executable).with_name("tvdb"))
        return subprocess.run(
            [command, *arguments, "--json"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    refused = run("status")
    assert refused.returncode == 2
    assert json.loads(refused.stdout)["error"]["code"] == _REFUSED
    assert not (folder / ".tvdb").exists()
    assert json.loads(run("allow").stdout) == {
        "allowed": [str(folder / ".env"), str(folder / "dagster.yaml")]
    }
    try:
        assert run("status").returncode == 0
    finally:
        EmbeddedPostgres(folder / ".tvdb").stop()
