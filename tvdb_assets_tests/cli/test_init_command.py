"""The commands that a person runs once: a configuration, and completion."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tvdb_assets.cli.init_command import TEMPLATE
from tvdb_assets.settings import Settings, load_settings


def _tvdb(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("tvdb")), *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_init_writes_a_private_file_once(tmp_path: Path) -> None:
    assert _tvdb(tmp_path, "init").returncode == 0
    file = tmp_path / ".env"
    assert file.read_text("utf-8") == TEMPLATE
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "documents").is_dir()
    file.write_text("TVDB_SOURCE=mine", "utf-8")
    again = _tvdb(tmp_path, "init")
    assert again.returncode == 2 and "env_file_exists" in again.stderr
    assert file.read_text("utf-8") == "TVDB_SOURCE=mine"


def test_the_written_settings_exist_and_have_their_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    defaults = load_settings()
    (tmp_path / ".env").write_text(TEMPLATE, "utf-8")
    assert load_settings() == defaults
    names = re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", TEMPLATE, re.MULTILINE)
    known = {field.validation_alias or f"TVDB_{name.upper()}": name
             for name, field in Settings.model_fields.items()}  # fmt: skip
    assert {name for name, _ in names} <= set(known)
    for name, value in names:
        if name not in ("TVDB_DATABASE_URL",) and value:
            assert str(getattr(defaults, known[name])) == value


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(tmp_path: Path, shell: str) -> None:
    script = _tvdb(tmp_path, "completion", shell)
    assert script.returncode == 0 and "_TVDB_COMPLETE" in script.stdout


def test_a_shell_completes_commands(tmp_path: Path) -> None:
    completed = _tvdb(
        tmp_path, _TVDB_COMPLETE="bash_complete", COMP_WORDS="tvdb inge", COMP_CWORD="1"
    )
    assert completed.stdout.strip() == "plain,ingest"
