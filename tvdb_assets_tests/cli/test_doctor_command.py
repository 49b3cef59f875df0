"""``tvdb doctor`` names what a set-up lacks, and goes on with the other checks."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tvdb_assets.cli import tvdb
from tvdb_assets.cli.doctor_command import Finding
from tvdb_assets.repositories.database import prepare
from tvdb_assets_tests.paid_apis import Behaviour, running_server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.md").write_text("# A\n\nText.")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TVDB_SOURCE", str(tmp_path / "documents"))
    return tmp_path


def examine(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Finding]]:
    code = tvdb.main(["doctor", "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    return code, {each["check"]: Finding(**each) for each in found["checks"]}


def test_a_set_up_that_works_is_left_as_it_was(
    folder: Path,
    empty_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", empty_url)
    monkeypatch.setenv("TVDB_SERVICE_MODE", "real")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    code, found = examine(capsys)
    assert [each.check for each in found.values() if not each.is_ok] == []
    assert code == 0
    assert "no tables yet" in found["database"].message
    assert "1 file" in found["source"].message
    assert "dagster 1." in found["versions"].message
    with psycopg.connect(empty_url) as connection:
        assert connection.execute("SELECT to_regnamespace('tvdb')").fetchone() == (None,)
    assert not (folder / "home").exists()


def test_each_problem_is_named_with_its_remedy_and_the_other_checks_go_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", "postgresql://user:secret@127.0.0.1:9/none")
    monkeypatch.setenv("TVDB_SOURCE", str(folder / "absent"))
    monkeypatch.setenv("TVDB_OCR_LANGUAGES", "eng+tlh")
    code, found = examine(capsys)
    assert code == 2
    problems = {each.check: each.code for each in found.values() if not each.is_ok}
    assert problems == {
        "source": "source_missing",
        "database": "database_unreachable",
        "parsers": "language_missing",
    }
    assert all(found[check].remedy for check in problems)
    assert "secret" not in str(found)
    assert found["versions"].is_ok and found["services"].is_ok


def test_wrong_settings_are_a_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TVDB_DAILY_COST_LIMIT", "plenty")
    code, found = examine(capsys)
    assert code == 2
    assert list(found) == ["settings"]
    assert not found["settings"].is_ok


def test_a_read_only_database_and_a_refused_key_are_problems(
    folder: Path,
    empty_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", empty_url)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert examine(capsys)[1]["database"].code == "database_read_only"
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

    prepare(empty_url)
    with running_server(Behaviour(keys=frozenset({"sk-another"}))) as server:
        monkeypatch.setenv("TVDB_SERVICE_MODE", "real")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("LLAMA_CLOUD_API_KEY", "llx-test")
        monkeypatch.setenv("LLAMA_CLOUD_BASE_URL", server.url)
        code, found = examine(capsys)
    assert code == 2, found
    assert "refused" in found["services"].message
    assert "tvdb resume" in found["services"].remedy
    assert server.apis.charges == []
