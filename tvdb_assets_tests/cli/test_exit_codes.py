"""The exit code of a command, and its one JSON document."""

from __future__ import annotations

import json
import os
import sys

import pytest

from tvdb_assets.cli import main
from tvdb_assets.cli.limit_commands import _account
from tvdb_assets.repositories.database import Database


def test_a_search_beyond_the_budget_exits_with_3_and_names_the_time_of_the_next_attempt(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TVDB_DATABASE_URL", database.url)
    monkeypatch.setenv("TVDB_EMBEDDER_MODE", "real")
    monkeypatch.setenv("TVDB_DAILY_COST_LIMIT", "0")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    # Nothing listens on this port, so a request would be another error.
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setattr(sys, "argv", ["tvdb", "search", "flood", "--json"])

    with pytest.raises(SystemExit) as caught:
        main()

    assert caught.value.code == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "budget_exhausted"
    assert "UTC" in error["remedy"]


def test_an_account_without_a_name_is_recorded_by_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_242_424)

    assert _account() == "uid 4242424"
