"""Output and effects of the commands about costs and limits."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tvdb_assets.cli import main
from tvdb_assets.repositories.database import Database
from tvdb_assets_tests.spend_guard.ledger_rows import Paying


class Shell:
    """Runs ``tvdb`` in this process, on the database of the test."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def run(self, *arguments: str, code: int = 0) -> str:
        self._monkeypatch.setattr(sys, "argv", ["tvdb", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        captured = self._capsys.readouterr()
        assert caught.value.code == code, captured.err
        return captured.out

    def json(self, *arguments: str) -> dict[str, Any]:
        value = json.loads(self.run(*arguments, "--json"))
        assert isinstance(value, dict)
        return value


@pytest.fixture
def shell(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    monkeypatch.setenv("TVDB_DATABASE_URL", database.url)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return Shell(capsys, monkeypatch)


def test_a_limit_is_changed_displayed_and_restored_to_the_setting(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_DAILY_COST_LIMIT", "3.50")
    monkeypatch.setenv("TVDB_OPENAI_DAILY_COST_LIMIT", "1")
    assert shell.json("limits")["daily_usd"] == "3.50"

    assert shell.json("limits", "--daily", "7", "--hourly", "20")["daily_usd"] == "7.00"
    own = shell.json("limits", "--daily", "0.25", "--service", "openai")
    assert own["daily_usd"] == "7.00"
    assert own["services"]["openai"]["daily_usd"] == "0.25"
    assert own["services"]["llamaparse"]["hourly_requests"] == 20

    back = shell.json("limits", "--daily", "default")
    assert back["daily_usd"] == "3.50"
    assert back["services"]["openai"]["daily_usd"] == "0.25"
    last = shell.json("limits", "--daily", "default", "--service", "openai")
    assert last["services"]["openai"]["daily_usd"] == "1.00"
    assert shell.json("limits", "--hourly", "default")["hourly_requests"] == 100
    listed = [(entry["kind"], entry["value"]) for entry in shell.json("limits")["changes"]]
    assert listed[:3] == [("hourly_requests", None), ("daily_usd", None), ("daily_usd", None)]
    assert "the setting" in shell.run("limits")


@pytest.mark.parametrize("amount", ["-1", "NaN", "much", "Infinity"])
def test_a_limit_that_is_not_an_amount_is_refused(shell: Shell, amount: str) -> None:
    shell.run("limits", "--daily", amount, code=2)


def test_costs_are_drawn_as_bars(
    shell: Shell, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_DAILY_COST_LIMIT", "2.00")
    paying = Paying(database)
    with database.transaction() as tx:
        [paying.now] = tx.execute("SELECT tvdb.clock()").fetchone() or ()
    for number in range(12):
        paying.pay(number + 1, documents=[f"[{number:02}].pdf"])
    paying.pay(22, documents=["a.md"], service="llamaparse")

    drawn = shell.run("costs").splitlines()

    def bar(label: str) -> str:
        [line] = [line for line in drawn if line.startswith(label)]
        return line

    today = bar(f"{paying.now:%Y-%m-%d}")
    # $0.22 and $0.78 of $2.00: the bars are as long as that, and the limit is at the end.
    width = today.index("┃") - today.index("█") + 1
    assert today.count("█") == pytest.approx(width * 0.11, abs=1)
    assert today.count("▓") == pytest.approx(width * 0.39, abs=1)
    assert today.rstrip().endswith("$1.0000")
    assert bar("openai").count("█") > 3 * bar("llamaparse").count("█") > 0
    assert "$0.7800" in bar(".pdf")
    most_expensive = drawn[drawn.index("Most expensive documents") + 1 :]
    # Names are displayed literally, also if they look like markup.
    names = [line.split()[0] for line in most_expensive if line]
    assert names == ["a.md", *(f"[{number:02}].pdf" for number in range(11, 2, -1))]
    assert Decimal(most_expensive[0].split("$")[1]) == Decimal("0.22")


def test_costs_without_a_paid_call_say_so(shell: Shell) -> None:
    assert "There are no paid calls yet." in shell.run("costs")
    assert shell.json("costs")["rows"] == []


def test_health_says_which_protections_hold_for_parser_workers(shell: Shell) -> None:
    held = shell.json("health")["parser_workers"]
    assert held.keys() == {"files", "programs", "network", "parent", "account"}
    printed = " ".join(shell.run("health").split())
    for name, holds in held.items():
        assert (f"not enforced on this machine: {name}" in printed) <= (not holds)
    if sys.platform == "linux":
        assert held["programs"]
        assert "confined by:" in printed
