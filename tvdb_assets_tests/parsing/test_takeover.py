"""Attacks from inside of a worker process: a parser that is taken over owns nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tvdb_assets.core.chunking import Chunker
from tvdb_assets.document_limits import DocumentLimits
from tvdb_assets.errors import ParseError, TvdbError
from tvdb_assets.parsing.confinement import Confinement
from tvdb_assets.parsing.parse_isolation import OwnProcessNeededError, sharing_process
from tvdb_assets.parsing.parse_tasks import PreparedDocument, prepare_document
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets_tests.fuzzing.samples import samples
from tvdb_assets_tests.parsing import hostile_tasks as attack
from tvdb_assets_tests.parsing import worker_pool_tasks as tasks
from tvdb_assets_tests.parsing.sample_files import make_pdf

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


def test_a_worker_reaches_nothing_by_unusual_calls(pool: WorkerPool, held: Confinement) -> None:
    results = pool.submit(attack.call_new_system).result(_WAIT)
    assert {name: how for name, how in results.items() if how == "ok"} == {}


def test_a_worker_inherits_nothing_but_its_channel(pool: WorkerPool) -> None:
    assert len(pool.submit(attack.open_descriptors).result(_WAIT)) == 4


@pytest.mark.parametrize("name", ["a.md", "a.html", "a.pdf"])
def test_a_parser_that_one_document_took_over_falsifies_no_other(name: str) -> None:
    documents = {
        "a.md": b"# A\n\nThe true text of the policy.",
        "a.html": b"<html><body><p>The true text of the policy.</p></body></html>",
        "a.pdf": make_pdf(["The true text of the policy."]),
    }
    with WorkerPool(workers=1, modules=(attack.__name__, prepare_document.__module__)) as pool:
        for _ in range(2):
            evil = pool.submit(attack.poison, "A forged text of another document.").result(_WAIT)
            made = pool.submit(
                prepare_document, documents[name], name, "local", Chunker(128, 16)
            ).result(_WAIT)
            assert isinstance(made, PreparedDocument)
            assert "The true text" in made.parsed.text
            assert not psutil.pid_exists(evil)


def test_a_reply_that_nobody_asked_for_is_no_reply_to_the_next_document() -> None:
    with WorkerPool(workers=1, modules=(attack.__name__, tasks.__name__)) as pool:
        assert pool.submit(attack.reply_twice).result(_WAIT) == 1
        assert pool.submit(tasks.add_line, "a").result(_WAIT) == 1
        assert pool.submit(tasks.echo, 2).result(_WAIT) == 2


def test_what_c_code_reads_shares_no_process() -> None:
    others = {**samples(), "a.pdf": make_pdf(["A page"])}
    alone = set()
    for name, data in others.items():
        # A name that hides the kind, and the true one.
        for shown in (name, "x.md"):
            with sharing_process(True), suppress(ParseError):
                try:
                    prepare_document(data, shown, "local", None)
                except OwnProcessNeededError:
                    alone.add(name.rpartition(".")[2])
    assert alone >= {"pdf", "docx", "xlsx", "html", "rtf", "eml", "msg", "xls", "odt", "epub"}
    assert not alone & {"txt", "md", "csv", "json", "srt"}


def test_one_parser_reaches_no_other(held: Confinement) -> None:
    with WorkerPool(workers=2, modules=(attack.__name__, tasks.__name__)) as pool:
        spinning = pool.submit(tasks.spin)
        while not pool.process_ids():
            os.sched_yield()
        (victim,) = pool.process_ids()
        folder = psutil.Process(victim).cwd()
        results = pool.submit(attack.reach_process, victim, folder).result(_WAIT)
        assert psutil.Process(victim).is_running()
        pool.close(cancel=True)
        assert isinstance(spinning.exception(_WAIT), TvdbError)
    assert results
    assert {name: how for name, how in results.items() if how[:4] in ("ok", "read", "list")} == {}
    assert not results["write"].startswith("wrote")


def test_bombs_of_threads_files_and_buffers_end_within_their_parser() -> None:
    with WorkerPool(workers=1, modules=(attack.__name__, tasks.__name__)) as pool:
        error = pool.submit(attack.start_threads).exception(_WAIT)
        assert isinstance(error, ParseError)
        assert error.code in ("parse_memory", "corrupt")
        assert pool.submit(attack.open_pipes).result(_WAIT) < 256
        assert pool.submit(attack.write_large_file).result(_WAIT) == "EFBIG"
        assert pool.submit(tasks.echo, 1).result(_WAIT) == 1


@pytest.mark.parametrize(
    ("count", "mebibytes", "is_hidden"), [(16, 60, False), (16, 60, True), (20_000, 0, False)]
)
def test_a_parser_fills_no_disk(
    pool: WorkerPool, held: Confinement, count: int, mebibytes: int, is_hidden: bool
) -> None:
    future = pool.submit(attack.fill_disk, count, mebibytes, is_hidden)
    if is_hidden:
        assert future.result(_WAIT) in ("EACCES", "EPERM")
    else:
        error = future.exception(_WAIT)
        assert isinstance(error, ParseError)
        assert (error.code, "too large files" in error.message) == ("parser_crashed", True)
    assert pool.submit(attack.allocate_disk).result(_WAIT) == "EPERM"


def test_the_largest_document_can_be_read_by_ocr() -> None:
    most = DocumentLimits().max_document_mib
    with WorkerPool(workers=1, modules=(tasks.__name__,)) as pool:
        for _ in range(2):
            assert pool.submit(tasks.write_for_ocr, most).result(_WAIT) == most << 20


def test_folders_inside_of_each_other_end_no_pool(pool: WorkerPool, held: Confinement) -> None:
    assert pool.submit(attack.nest_folders, 5_000).result(_WAIT) == 0


def test_a_tree_that_is_too_deep_for_python_stops_nobody(tmp_path: Path) -> None:
    code = """
        import os, resource, sys
        from tvdb_assets.parsing.confinement import occupies_more, remove_tree
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        os.chdir(sys.argv[1])
        for _ in range(3_000):
            os.mkdir("d")
            os.chdir("d")
        assert occupies_more(sys.argv[1], 64, 1 << 20)
        remove_tree(sys.argv[1])
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    subprocess.run(command, env=environment, check=True)
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)


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
