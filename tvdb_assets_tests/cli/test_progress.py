"""The progress display of commands that process documents."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

PROGRAM = """\
import os
import sys
import threading
from decimal import Decimal
from tvdb_assets.cli import progress as display
from tvdb_assets.reporting.run_progress import RunProgress

calls = 0
was_read_often = threading.Event()

def read():
    global calls
    calls += 1
    if calls == (2 if sys.argv[2:] else 5):
        was_read_often.set()
    return RunProgress(min(calls - 1, 2), 7, Decimal("0.25"))

# Lines of a pipe come every ten seconds.
display._LINE_SECONDS = 0.2
with display.progress(read, is_quiet=False) as start:
    start(3)
    # As Dagster does while a step runs, whose output it captures.
    os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 2)
    assert was_read_often.wait(60)
    if sys.argv[2:]:
        raise KeyboardInterrupt
"""


def test_a_terminal_has_a_bar_and_no_lines_also_while_dagster_captures_output(
    tmp_path: Path,
) -> None:
    captured = tmp_path / "captured"
    main, secondary = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, str(captured)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stderr=secondary, stdout=secondary, env=environment) as process:
        os.close(secondary)
        output = b""
        try:
            while block := os.read(main, 65_536):
                output += block
        except OSError:
            pass  # Linux reports the end of a terminal as an error.
        finally:
            os.close(main)
    assert process.returncode == 0, output
    assert b"Documents" in output
    assert b"2/3" in output and b"7 pages $0.2500" in output
    assert captured.read_bytes() == b""


def test_an_interrupted_command_says_how_far_it_came(tmp_path: Path) -> None:
    program = PROGRAM.replace("os.dup2", "0 and os.dup2")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "captured"), "interrupted"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert "Interrupted: 2 of 3 documents are done and stored." in done.stderr
