"""Names of documents are data: on a terminal, in logs, in errors and in charts."""

from __future__ import annotations

import io
import logging
import time

import pytest
from rich.console import Console

from tvdb_assets import error_codes as codes
from tvdb_assets import telemetry
from tvdb_assets.cli.output import plain, table_of
from tvdb_assets.dagster.report_charts import spend_by, spend_by_day
from tvdb_assets.redaction import MARK, display_path, printable, public_name, redact

_FORGED = "inv\n2026-11-27 09:00:00 +0000 - tvdb - CRITICAL - forged log line.pdf"
_NAMES = {
    _FORGED: _FORGED.replace("\n", "\\x0a"),
    "bad\x1b[2J\x1b]0;pwn\x07.pdf": "bad\\x1b[2J\\x1b]0;pwn\\x07.pdf",
    "\u202efdp.exe": "\\u202efdp.exe",
    "a\u2066b\u2069\u200b\ufeff.md": "a\\u2066b\\u2069\\u200b\\ufeff.md",
    "c1\x9b31m.md": "c1\\x9b31m.md",
    "line\u2028break\r.md": "line\\u2028break\\x0d.md",
    "half\ud800.md": "half\\ud800.md",
    # Ordinary names stay as they are, in any script.
    "Übersicht (2024) 報告 می‌خواهم 👩‍👧.md": "Übersicht (2024) 報告 می‌خواهم 👩‍👧.md",
}


@pytest.mark.parametrize(("name", "displayed"), _NAMES.items())
def test_a_name_is_displayed_on_one_line_without_controls(name: str, displayed: str) -> None:
    assert display_path(name) == displayed
    assert printable(displayed) == displayed
    # A key that is stored is made of the name itself.
    assert public_name(name) == name


def test_a_name_forges_no_line_of_an_error_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    error = codes.DOCUMENT_UNKNOWN.error(name=_FORGED).about(_FORGED)
    for text in (str(error), error.message, error.remedy, str(error.args)):
        assert "\n" not in text
    with caplog.at_level(logging.INFO, "tvdb"):
        telemetry.log_event(
            telemetry.DOCUMENT_FAILED, f"{_FORGED} failed", {"document": _FORGED, "code": "a\x1b"}
        )
    (record,) = caplog.records
    assert not {"\n", "\x1b"} & set(record.getMessage())
    assert "\n" not in telemetry.JsonFormatter().format(record)


@pytest.mark.parametrize("name", ["notes.$x_{$", "$$", r"a\$b$c$", r"$\frac$", *_NAMES])
@pytest.mark.filterwarnings("ignore:Glyph")
def test_a_chart_draws_any_name(name: str) -> None:
    assert spend_by("by document", {name: 0.5}).startswith("![by document]")
    assert spend_by_day(["2026-11-27"], {name: [0.5]}, 1.0).startswith("![spend")


@pytest.mark.parametrize(
    "part", ["a.", "a+", "a://", "a://b:", "cookie ", "password='", "sk-", "?key="]
)
def test_redaction_takes_linear_time(part: str) -> None:
    text = part * (500_000 // len(part))
    started = time.process_time()
    redact(text)
    assert time.process_time() - started < 5


def test_a_password_in_a_url_of_any_scheme_is_redacted() -> None:
    for scheme in ("https", "postgresql+psycopg", "x" * 100):
        assert redact(f"see {scheme}://user:secret@host/") == f"see {scheme}://{MARK}@host/"


@pytest.mark.parametrize("name", ["a[/].md", "[red]b[/red].md", "[link=javascript:x]c", *_NAMES])
def test_a_table_shows_any_name_as_it_is(name: str) -> None:
    table = table_of("Document")
    table.add_row(plain(name))
    output = io.StringIO()
    Console(file=output, width=200, force_terminal=True, color_system=None).print(table)
    assert printable(name) in output.getvalue()
