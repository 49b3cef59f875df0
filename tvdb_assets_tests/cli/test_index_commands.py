"""JSON and exit codes of ``tvdb switch``, and of ``tvdb search`` while there are two indexes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tvdb_assets.cli import main
from tvdb_assets.repositories.index_catalog import IndexCatalog
from tvdb_assets_tests.paid_router import DocumentFolder, PaidServicesFixture

Command = Callable[..., tuple[int, dict[str, Any]]]
NAMES = ("a.md", "b.md")
LOCAL = {"service_mode": "local"}


@pytest.fixture
def command(
    paid: PaidServicesFixture, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command with ``--json``; returns its exit code and its JSON document."""
    monkeypatch.setenv("TVDB_DATABASE_URL", paid.database.url)

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        monkeypatch.setattr(sys, "argv", ["tvdb", *arguments, "--json"])
        with pytest.raises(SystemExit) as caught:
            main()
        assert isinstance(caught.value.code, int)
        out = capsys.readouterr().out
        return caught.value.code, json.loads(out) if out else {}

    return run


@pytest.fixture
def filled(folder: DocumentFolder) -> DocumentFolder:
    """Two documents in an index of the local embedder."""
    for number, name in enumerate(NAMES):
        folder.write(name, f"# Rule {number}\n\nDamage by water up to floor {number} is covered.\n")
    assert folder.codes(folder.ingest(**LOCAL)) == {}
    return folder


def test_a_switch_is_refused_until_nothing_is_missing(
    filled: DocumentFolder, command: Command
) -> None:
    filled.ingest(["a.md"], **LOCAL, chunk_tokens=32)

    code, answer = command("switch")
    assert (code, answer["error"]["code"]) == (2, "index_incomplete")
    assert "1 of the documents" in answer["error"]["message"]
    assert "tvdb ingest" in answer["error"]["remedy"]

    filled.ingest(**LOCAL, chunk_tokens=32)
    code, answer = command("switch")
    assert (code, answer["switched"], answer["index"]["chunk_tokens"]) == (0, True, 32)
    code, answer = command("switch")
    assert (code, answer["switched"]) == (0, False)

    code, answer = command("switch", "--list")
    listed = [(i["documents"], i["missing"], i["is_current"], i["is_complete"], i["cost_usd"])
        for i in answer["indexes"]]  # fmt: skip
    assert (code, listed) == (0, [(2, 0, True, True, "0.00"), (2, 0, False, True, "0.00")])
    old = answer["indexes"][1]["index"]
    assert command("switch", "--drop")[0] == 2
    assert command("switch", "--drop", str(old))[1]["dropped"]["index"] == old
    assert command("switch", str(old))[1]["error"]["code"] == "index_unknown"


def test_status_lists_both_indexes(filled: DocumentFolder, command: Command) -> None:
    before = command("status")[1]
    filled.ingest(**LOCAL, chunk_tokens=32)

    after = command("status")[1]

    assert before["documents"]["published"] == after["documents"]["published"] == 2
    assert before["chunks"] == after["chunks"] == 2
    [space] = after["vector_spaces"]
    assert (space["is_current"], space["is_mock"], space["documents"]) == (True, False, 2)
    assert [(i["is_current"], i["is_complete"]) for i in after["indexes"]] == [
        (True, True),
        (False, True),
    ]


def test_a_search_uses_the_embedder_of_the_current_index(
    filled: DocumentFolder, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TVDB_EMBEDDER_MODE", "real")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    # Nothing listens on this port, so a request would be an error.
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    code, answer = command("search", "water damage")

    assert code == 0
    assert {hit["document"] for hit in answer["results"]} == set(NAMES)


def test_a_search_in_a_free_mode_does_not_pay(
    paid: PaidServicesFixture, filled: DocumentFolder, command: Command
) -> None:
    filled.ingest()
    IndexCatalog(paid.database).switch()
    spent = paid.spent

    code, answer = command("search", "water damage")

    assert (code, answer["error"]["code"]) == (2, "other_vector_space")
    assert "TVDB_EMBEDDER_MODE" in answer["error"]["remedy"]
    assert paid.spent == spent
