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
from tvdb_assets.cli.run_summary import progress

class Registry:
    calls = 0
    was_read_often = threading.Event()

    def count_finished(self, run_ids):
        self.calls += 1
        if self.calls == 5:
            self.was_read_often.set()
        return min(self.calls, 3)

registry = Registry()
with progress(registry, ["run"], is_quiet=False) as start:
    start(3)
    # As Dagster does while a step runs, whose output it captures.
    os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 2)
    assert registry.was_read_often.wait(60)
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
    assert b"documents done" not in output + captured.read_bytes()
