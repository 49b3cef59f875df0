"""The progress display: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

PROGRAM = """\
import threading
from tvdb_assets.cli.run_summary import progress

class Registry:
    calls = 0
    was_read_often = threading.Event()

    def finished(self, run_ids):
        self.calls += 1
        if self.calls == 5:
            self.was_read_often.set()
        return min(self.calls, 3)

registry = Registry()
with progress(registry, ["run"], is_quiet=False) as start:
    start(3)
    assert registry.was_read_often.wait(60)
"""


def test_a_terminal_has_a_bar_and_no_lines() -> None:
    main, secondary = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-c", PROGRAM]
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
    assert b"2/3" in output
    assert b"documents done" not in output
