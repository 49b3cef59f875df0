"""Worker processes: limits, deaths and endings, all with real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tvdb_assets.errors import ParseError, ServiceError, TvdbError
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets_tests.parsing import worker_pool_tasks as tasks

_WAIT = 30.0


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(workers=1, timeout_seconds=20, memory_mib=256) as pool:
        yield pool


def _error(pool: WorkerPool, fn: Callable[..., object], *args: object) -> TvdbError:
    error = pool.submit(fn, *args).exception(_WAIT)
    assert isinstance(error, TvdbError)
    assert error.remedy
    return error


def _wait_for_file(path: Path) -> int:
    """The process id in a file that another process is about to write."""
    while not (path.exists() and path.read_text()):
        os.sched_yield()
    return int(path.read_text())


def test_results_come_back_in_one_reused_process(pool: WorkerPool) -> None:
    big = b"x" * 5_000_000
    assert pool.submit(tasks.echo, big).result(_WAIT) == big
    ids = {pool.submit(tasks.process_id).result(_WAIT) for _ in range(20)}
    assert len(ids) == 1
    assert ids != {os.getpid()}


def test_a_task_that_was_begun_early_is_done_once_and_given_once(
    pool: WorkerPool, tmp_path: Path
) -> None:
    path = tmp_path / "lines"
    pool.submit_early([(tasks.add_line, (str(path),))])
    assert pool.submit(tasks.add_line, str(path)).result(_WAIT) == 1
    # Who asks again wants it done again; and another task was not begun.
    assert pool.submit(tasks.add_line, str(path)).result(_WAIT) == 2
    assert pool.submit(tasks.add_line, str(tmp_path / "others")).result(_WAIT) == 1
    pool.submit_early([(tasks.die, (signal.SIGKILL,))])
    assert _error(pool, tasks.die, signal.SIGKILL).code == "parser_crashed"


def test_of_tasks_that_are_handed_on_together_each_ends_as_it_would_alone(
    pool: WorkerPool, tmp_path: Path
) -> None:
    path = str(tmp_path / "lines")
    pool.submit_early([(tasks.add_line, (path,)), (tasks.refuse, ()), (tasks.process_id, ())])
    assert pool.submit(tasks.add_line, path).result(_WAIT) == 1
    assert _error(pool, tasks.refuse).code == "encrypted"
    first = pool.submit(tasks.process_id).result(_WAIT)
    # One that dies takes no other with it.
    pool.submit_early(
        [(tasks.process_id, ()), (tasks.die, (signal.SIGKILL,)), (tasks.add_line, (path,))]
    )
    assert _error(pool, tasks.die, signal.SIGKILL).code == "parser_crashed"
    assert pool.submit(tasks.process_id).result(_WAIT) != first
    assert pool.submit(tasks.add_line, path).result(_WAIT) == 2


def test_a_task_whose_arguments_have_no_hash_is_done_beside_those_that_were_begun_early(
    pool: WorkerPool, tmp_path: Path
) -> None:
    pool.submit_early([(tasks.add_line, (str(tmp_path / "lines"),))])
    assert pool.submit(tasks.echo, ["a list"]).result(_WAIT) == ["a list"]


def test_a_worker_is_recycled_after_its_tasks() -> None:
    with WorkerPool(workers=1, tasks_per_worker=2) as pool:
        ids = [pool.submit(tasks.process_id).result(_WAIT) for _ in range(4)]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert not any(map(psutil.pid_exists, ids))


def test_a_slow_task_is_killed_and_the_next_one_runs(tmp_path: Path) -> None:
    with WorkerPool(workers=1, timeout_seconds=0.3) as pool:
        slow = pool.submit(tasks.spin_after_telling, str(tmp_path / "pid"))
        after = pool.submit(tasks.echo, 1)
        error = slow.exception(_WAIT)
        assert isinstance(error, ParseError)
        assert error.code == "parse_timeout"
        assert "0.3 seconds" in error.message
        assert "TVDB_PARSE_TIMEOUT_SECONDS" in error.remedy
        assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
        assert after.result(_WAIT) == 1


@pytest.mark.parametrize(("fn", "args"), [(tasks.grow, ()), (tasks.allocate, (5_800,))])
def test_a_greedy_task_is_stopped(
    pool: WorkerPool, fn: Callable[..., int], args: tuple[int, ...]
) -> None:
    error = _error(pool, fn, *args)
    assert error.code == "parse_memory"
    assert "256 MiB" in error.message
    assert "TVDB_PARSE_MEMORY_MIB" in error.remedy
    assert pool.submit(tasks.echo, 1).result(_WAIT) == 1


def test_a_death_takes_one_task_and_names_the_signal(pool: WorkerPool) -> None:
    futures = [pool.submit(tasks.echo, number) for number in range(3)]
    dying = pool.submit(tasks.die, int(signal.SIGSEGV))
    futures += [pool.submit(tasks.echo, number) for number in range(3, 6)]
    error = dying.exception(_WAIT)
    assert isinstance(error, ParseError)
    assert (error.code, "SIGSEGV" in error.message) == ("parser_crashed", True)
    assert [future.result(_WAIT) for future in futures] == list(range(6))
    assert "exit status 3" in _error(pool, tasks.leave).message


def test_kill_from_outside_in_mid_task(pool: WorkerPool, tmp_path: Path) -> None:
    future = pool.submit(tasks.spin_after_telling, str(tmp_path / "pid"))
    os.kill(_wait_for_file(tmp_path / "pid"), signal.SIGKILL)
    error = future.exception(_WAIT)
    assert isinstance(error, ParseError)
    assert (error.code, "SIGKILL" in error.message) == ("parser_crashed", True)
    assert pool.submit(tasks.echo, 1).result(_WAIT) == 1


def test_a_worker_that_died_while_idle_costs_no_task(pool: WorkerPool) -> None:
    process = psutil.Process(pool.submit(tasks.process_id).result(_WAIT))
    process.kill()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        os.sched_yield()
    assert pool.submit(tasks.echo, 1).result(_WAIT) == 1


def test_errors_come_back_without_document_text(pool: WorkerPool) -> None:
    refused = _error(pool, tasks.refuse)
    assert (refused.code, refused.message) == ("encrypted", "It is locked.")
    unexpected = _error(pool, tasks.fail_with_text)
    assert (unexpected.code, "KeyError" in unexpected.message) == ("corrupt", True)
    assert "own words" not in str(unexpected)
    assert _error(pool, tasks.unpicklable).code == "corrupt"


def test_workers_see_no_secret_and_little_code(
    pool: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret")
    monkeypatch.setenv("TVDB_DATABASE_URL", "postgresql://a-secret")
    environment, folder, modules = pool.submit(tasks.surroundings).result(_WAIT)
    assert "a-secret" not in "".join(environment.values())
    assert not {"dagster", "pandas", "lxml", "liteparse"} & set(modules)
    assert folder != str(Path.cwd())
    pool.close()
    assert not Path(folder).exists()


def test_workers_reach_no_server(pool: WorkerPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        assert _error(pool, tasks.connect, server.getsockname()[1]).code == "corrupt"
        with pytest.raises(BlockingIOError):
            server.accept()


def test_closing_ends_processes_and_refuses_more(tmp_path: Path) -> None:
    pool = WorkerPool(workers=2)
    future = pool.submit(tasks.spin_after_telling, str(tmp_path / "pid"))
    worker = _wait_for_file(tmp_path / "pid")
    pool.close(cancel=True)
    assert isinstance(future.exception(_WAIT), ServiceError)
    assert not psutil.pid_exists(worker)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(tasks.echo, 1)


def test_tasks_that_no_worker_could_import_are_refused(pool: WorkerPool) -> None:
    with pytest.raises(ValueError, match="top of an importable module"):
        pool.submit(lambda: None)


def test_workers_die_with_a_killed_parent(tmp_path: Path) -> None:
    code = f"""
        from tvdb_assets.parsing.worker_pool import WorkerPool
        from tvdb_assets_tests.parsing import worker_pool_tasks as tasks
        pool = WorkerPool(workers=1)
        pool.submit(tasks.spin_after_telling, {str(tmp_path / "pid")!r}).result()
    """
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=environment) as parent:
        worker = psutil.Process(_wait_for_file(tmp_path / "pid"))
        parent.kill()
        parent.wait(_WAIT)
        # Whoever adopts the dead worker may take its time to bury it.
        while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
            os.sched_yield()
