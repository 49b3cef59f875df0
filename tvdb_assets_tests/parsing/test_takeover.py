"""Attacks from inside of a worker process: a parser that is taken over owns nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tvdb_assets.parsing.confinement import Confinement
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets_tests.parsing import hostile_tasks as attack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="protections of Linux")
_WAIT = 60.0


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(workers=1, modules=(attack.__name__,)) as pool:
        yield pool


@pytest.fixture
def held(pool: WorkerPool) -> Confinement:
    held = pool.confinement()
    if held.missing == ("account",) or not held.missing:
        return held
    pytest.skip(f"this kernel lacks: {', '.join(held.missing)}")


def test_a_worker_reads_nothing_of_its_parent(pool: WorkerPool, held: Confinement) -> None:
    for name in ("environ", "mem", "maps", "fd/0", "cmdline", "root/etc/passwd", "cwd/x"):
        result = pool.submit(attack.read_file, f"/proc/{os.getpid()}/{name}").result(_WAIT)
        assert not result.startswith("read"), name


def test_a_worker_reads_no_file_outside_of_the_libraries(
    pool: WorkerPool, held: Confinement, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=a-secret")
    tmp_path.chmod(0o755)
    project = Path(__file__).parents[2]
    for path in (
        *("/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc/self/environ", "/dev/mem"),
        str(tmp_path / ".env"),
        str(Path(__file__)),
        str(project / "pyproject.toml"),
        str(Path.home() / ".bashrc"),
        "/proc/self/root/etc/passwd",
    ):
        result = pool.submit(attack.read_file, path).result(_WAIT)
        assert result in ("EACCES", "ENOENT", "EPERM"), path
    for folder in ("/", "/etc", "/proc", "/tmp", str(Path.home()), str(project), str(tmp_path)):
        assert pool.submit(attack.list_folder, folder).result(_WAIT) == "EACCES", folder
    # The attack itself works: a library can be read.
    assert pool.submit(attack.read_file, os.__file__).result(_WAIT).startswith("read")


def test_a_worker_writes_only_into_its_own_folder(
    pool: WorkerPool, held: Confinement, tmp_path: Path
) -> None:
    for path in (tmp_path / "x", Path("/tmp/tvdb-x"), Path.home() / "tvdb-x"):
        result = pool.submit(attack.write_file, str(path)).result(_WAIT)
        assert result in ("EACCES", "EPERM"), path
    assert pool.submit(attack.write_file, "own").result(_WAIT) == "wrote 1"


def test_a_worker_starts_no_program_and_no_connection(pool: WorkerPool, held: Confinement) -> None:
    results = pool.submit(attack.call_system).result(_WAIT)
    assert {name: how for name, how in results.items() if how == "ok"} == {}


def test_a_worker_has_another_account_and_no_key(
    held: Confinement, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret")
    with WorkerPool(workers=1, modules=(attack.__name__,)) as pool:
        user, group, groups, environment = pool.submit(attack.identity).result(_WAIT)
    assert "a-secret" not in "".join(environment.values())
    assert held.account == (os.geteuid() == 0)
    if held.account:
        assert user == group != 0
        assert not groups


def test_without_landlock_the_parent_of_an_ordinary_user_can_not_be_traced() -> None:
    code = """
        import ctypes, os
        from tvdb_assets.parsing.confinement import forbid_tracing
        if os.geteuid() == 0:
            os.setuid(65534)
        assert ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == 0
        assert forbid_tracing()
        assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, check=True)
