"""Documents with hostile names and titles, in all outputs of the product.

What belongs here: commands, logs, and what Dagster stores and shows. What does not: one function
alone (`test_hostile_names`).
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tvdb_assets.cli import main, output
from tvdb_assets.redaction import ACTING, printable, printable_json
from tvdb_assets_tests.dagster.project import Project

_FORGED = "2026-11-27 09:00:00 +0000 - tvdb - CRITICAL - forged"
_ACTING = re.compile(f"[{ACTING}]")
_OF_RICH = re.compile("\x1b\\[(?:[0-9;]*m|\\?25[lh]|2K|1A)|\r(?=\x1b)")
"""Colours, and the moves of a progress bar."""
_HOSTILE = [
    "$x_{$", "$$", "_^{", "a\\b", "`id`", "```", "a|b", "[x](javascript:alert(1))",
    "![i](http:e)",
    "<img src=x onerror=alert(1)>", "<script>", "</td><b>", "&lt;", "[red]b[/red]", "[/]",
    "[link=e]",
    "\u202efdp.exe", "\u2066a\u2069", "\u200bz", "\ufeffb", "\u2060w", "\u00ads", "\u061cm",
    "\x9b31m", "\x85n", "\x90q", "\x1b[2J", "\x1b]8;;http:e\x07l\x1b]8;;\x07", "\x1b]52;c;eA==\x07",
    "\x07bell", "\x08back", "\x7fdel", "\rcr", f"inv\n{_FORGED}", "p\u2028q", "p\u2029q", "\tt",
    "%s%d", "{0}{x}", "${HOME}", "'; DROP TABLE x;--", "-rf", "--help", "~", "*?[a]", "\U000e0041g",
    "Übersicht 報告 👩\u200d👧", "x" * 240, "%0A%1b",
]  # fmt: skip


def _is_safe(text: str) -> bool:
    """Whether nothing in a text acts on a terminal; line ends separate its lines."""
    return not _ACTING.search(_OF_RICH.sub("", text).replace("\n", ""))


@pytest.fixture
def hostile(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    for path in project.documents.iterdir():
        path.unlink()
    for number, name in enumerate(_HOSTILE):
        title = name.replace("\n", " ")
        text = f"# Title {title}\n\nThe matter of series {number} is settled.\n"
        project.write(f"{name.replace('/', '_')}.md", text)
    project.write("broken\x1b[2J\n" + _FORGED + ".pdf", "%PDF-1.7 nothing")
    undecodable = os.fsencode(project.documents) + b"/half\xff\x1b[31m.md"
    with open(undecodable, "wb") as file:
        file.write(b"# Undecodable\n")
    # As on a terminal, where escapes would act.
    for console in (output.console, output.notices):
        monkeypatch.setattr(console, "_force_terminal", True)
    return project


class Terminal:
    """Runs ``tvdb`` in this process; each output is checked."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def run(self, *arguments: str) -> str:
        self._monkeypatch.setattr(sys, "argv", ["tvdb", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self._capsys.readouterr()
        assert ended.value.code in (0, 1, 2, 3), captured.err
        for text in (captured.out, captured.err):
            assert _is_safe(text), (arguments, ascii(text))
            assert not any(line.startswith(_FORGED) for line in text.splitlines()), arguments
        return captured.out

    def json(self, *arguments: str) -> dict[str, Any]:
        value = json.loads(self.run(*arguments, "--json"))
        assert isinstance(value, dict)
        return value


@pytest.fixture
def terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Terminal]:
    yield Terminal(capsys, monkeypatch)


def _texts(value: object) -> Iterator[str]:
    """All texts in a value of JSON, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def test_each_command_shows_a_hostile_source_as_data(
    project: Project, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for console in (output.console, output.notices):
        monkeypatch.setattr(console, "_force_terminal", True)
    other, new = (project.documents.parent / f"{n}\x1b[2J\n{_FORGED}" for n in ("other", "new"))
    other.mkdir()
    (other / "0.md").write_text("# Other note\n\nThe other source says so.\n")
    (other / "own.md").write_text("# Own note\n\nOnly the other source has it.\n")
    terminal.run("ingest")
    terminal.run("ingest", str(other))
    terminal.run("status")
    terminal.run("search", "note")
    terminal.run("forget", "own.md")
    other.rename(new)
    terminal.run("source", "list")
    for command in ("move", "drop"):
        terminal.run("source", command, str(other / "unknown"), *[str(new)][: command == "move"])
    moved = terminal.run("source", "move", str(other), str(new))
    assert "2 documents belong to" in moved
    monkeypatch.setenv("TVDB_SOURCE", str(new))
    terminal.run("forget", "0.md")
    terminal.run("ingest")
    assert "document" in terminal.run("source", "drop", str(new))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.timeout(400)
def test_each_command_and_event_shows_hostile_names_as_data(
    hostile: Project, terminal: Terminal, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        found = terminal.json("ingest")
    assert "error" not in found, found
    assert found["documents"]["published"] == len(_HOSTILE)
    assert len(found["failures"]) == 2  # the PDF, and the name that is no text
    assert all(_is_safe(record.getMessage()) for record in caplog.records)
    assert not any("\n" + _FORGED in record.getMessage() for record in caplog.records)

    hostile.write("new\x1b[2J.pdf", "%PDF-1.7 nothing either")
    terminal.run("ingest")
    terminal.run("ingest", str(hostile.documents / "broken\x1b[2J"))
    terminal.run("status")
    terminal.json("status")
    terminal.run("search", "the matter of \x1b[2J series", "-k", "50")
    terminal.json("search", "the matter of series", "-k", "50")
    for name in _HOSTILE[::9]:
        terminal.run("status", f"{name}.md")
    for name in ("broken\x1b[2J\n" + _FORGED + ".pdf", "unknown\x1b[2J\n" + _FORGED):
        for command in ("status", "trace", "show", "retry", "forget"):
            terminal.run(command, name)
    for command in ("estimate", "costs", "health", "limits", "source"):
        terminal.run(command)
    terminal.run("catch-up", "--dry-run")
    terminal.run("source", "list")

    entries = [
        entry
        for run in hostile.instance.get_runs()
        for entry in hostile.instance.all_logs(run.run_id)
    ]
    texts = {text for entry in entries for text in _texts(json.loads(entry.to_json()))}
    texts |= {text for run in hostile.instance.get_runs() for text in _texts(run.tags)}
    texts |= set(hostile.instance.get_dynamic_partitions("documents"))
    assert len(texts) > 100
    assert [text for text in texts if not _is_safe(text)] == []
    assert not any("\n" + _FORGED in text for text in texts)
    assert not _markdown_with_names(entries)


def _markdown_with_names(entries: list[dg.EventLogEntry]) -> list[str]:
    """Metadata that Dagster shows as Markdown or as a link, and that has a name of a document."""
    found = []
    for entry in entries:
        event = entry.dagster_event
        data = getattr(event.event_specific_data, "materialization", None) if event else None
        for value in (data.metadata if data else {}).values():
            if isinstance(value, dg.MarkdownMetadataValue | dg.UrlMetadataValue):
                text = str(value.value)
                found += [name for name in _HOSTILE if printable(name) in text]
    return found


@pytest.mark.parametrize("name", [n for n in _HOSTILE if not n.startswith("-")])
def test_a_name_in_json_reads_back_as_it_is(name: str, tmp_path: Path) -> None:
    text = printable_json({"document": name})
    assert json.loads(text) == {"document": name}
    assert _is_safe(text)
    assert "\n" not in text
