"""The worker pool with real processes: limits, crashes and closing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tvdb_assets.errors import ParseError, ServiceError, TvdbError
from tvdb_assets.parsing.worker_pool import WorkerPool
from tvdb_assets_tests.fuzzing.samples import samples
from tvdb_assets_tests.parsing import worker_pool_tasks as tasks
from tvdb_assets_tests.parsing.sample_files import make_pdf

_WAIT = 30.0


def _pool(**options: Any) -> WorkerPool:
    return WorkerPool(workers=1, modules=(tasks.__name__,), **options)


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    with _pool(timeout_seconds=20, memory_mib=256) as pool:
        yield pool


def _error(pool: WorkerPool, fn: Callable[..., object], *args: object) -> TvdbError:
    error = pool.submit(fn, *args).exception(_WAIT)
    assert isinstance(error, TvdbError)
    assert error.remedy
    return error


def _wait_for_worker(pool: WorkerPool) -> int:
    """The process id of the worker that is about to start."""
    while not pool.process_ids():
        os.sched_yield()
    return pool.process_ids()[0]


def test_each_task_has_its_own_process_that_ends_with_it(pool: WorkerPool) -> None:
    big = b"x" * 5_000_000
    assert pool.submit(tasks.echo_bytes, big).result(_WAIT) == big
    ids = [pool.submit(tasks.process_id).result(_WAIT) for _ in range(5)]
    assert len({*ids, os.getpid()}) == 6
    assert not any(map(psutil.pid_exists, ids))
    assert pool.process_ids() == ()


def test_tasks_that_may_share_a_process_do(pool: WorkerPool) -> None:
    assert [pool.submit(tasks.add_line, "a").result(_WAIT) for _ in range(3)] == [1, 2, 3]
    assert len(pool.process_ids()) == 1
    # One that turns out to need its own is moved, and does not see what the others left.
    assert pool.submit(tasks.add_line, "own").result(_WAIT) == 1
    assert pool.submit(tasks.add_line, "a").result(_WAIT) == 4


def test_an_early_task_runs_once_and_its_future_is_returned_once(pool: WorkerPool) -> None:
    pool.submit_early([(tasks.add_line, ("a",))])
    assert pool.submit(tasks.add_line, "a").result(_WAIT) == 1
    # A second submission runs the task again, and another task was not started early.
    assert pool.submit(tasks.add_line, "a").result(_WAIT) == 2
    assert pool.submit(tasks.add_line, "b").result(_WAIT) == 1
    pool.submit_early([(tasks.die_by_signal, (signal.SIGKILL,))])
    assert _error(pool, tasks.die_by_signal, signal.SIGKILL).code == "parser_crashed"


def test_each_task_of_a_batch_ends_as_it_would_alone(pool: WorkerPool) -> None:
    pool.submit_early([(tasks.add_line, ("a",)), (tasks.refuse, ()), (tasks.process_id, ())])
    assert pool.submit(tasks.add_line, "a").result(_WAIT) == 1
    assert _error(pool, tasks.refuse).code == "encrypted"
    assert pool.submit(tasks.process_id).result(_WAIT) not in pool.process_ids()
    # A task that kills the worker does not fail the others.
    pool.submit_early(
        [
            (tasks.process_id, ()),
            (tasks.die_by_signal, (signal.SIGKILL,)),
            (tasks.add_line, ("a",)),
        ]
    )
    assert _error(pool, tasks.die_by_signal, signal.SIGKILL).code == "parser_crashed"
    assert pool.submit(tasks.add_line, "a").result(_WAIT) == 2
    # Neither does one that kills a shared process, whose tasks are run again.
    pool.submit_early([(tasks.add_line, ("a",)), (tasks.die_in_shared_process, ())])
    assert _error(pool, tasks.die_in_shared_process).code == "parser_crashed"
    assert pool.submit(tasks.add_line, "a").result(_WAIT) == 1


def test_a_task_with_unhashable_arguments_runs_next_to_early_tasks(pool: WorkerPool) -> None:
    pool.submit_early([(tasks.add_line, ("a",))])
    assert pool.submit(tasks.echo, ["a list"]).result(_WAIT) == ["a list"]


def test_a_shared_process_is_replaced_after_its_number_of_tasks() -> None:
    with _pool(tasks_per_worker=2) as pool:
        counts = [pool.submit(tasks.add_line, "a").result(_WAIT) for _ in range(4)]
    assert counts == [1, 2, 1, 2]


def test_a_task_whose_fork_server_was_killed_is_run_again(pool: WorkerPool) -> None:
    server = psutil.Process(pool.submit(tasks.parent_process_id).result(_WAIT))
    future = pool.submit(tasks.spin_unless_again, str(server.pid))
    _wait_for_worker(pool)
    server.kill()
    assert future.result(_WAIT) == 1


def test_a_slow_task_is_killed_and_the_next_one_runs() -> None:
    with _pool(timeout_seconds=0.3) as pool:
        slow = pool.submit(tasks.spin)
        worker = _wait_for_worker(pool)
        after = pool.submit(tasks.echo, 1)
        error = slow.exception(_WAIT)
        assert isinstance(error, ParseError)
        assert error.code == "parse_timeout"
        assert "0.3 seconds" in error.message
        assert "TVDB_PARSE_TIMEOUT_SECONDS" in error.remedy
        assert not psutil.pid_exists(worker)
        assert after.result(_WAIT) == 1


@pytest.mark.parametrize(("fn", "args"), [(tasks.grow, ()), (tasks.allocate, (5_800,))])
def test_a_task_over_the_memory_limit_is_killed(
    pool: WorkerPool, fn: Callable[..., int], args: tuple[int, ...]
) -> None:
    error = _error(pool, fn, *args)
    assert error.code == "parse_memory"
    assert "256 MiB" in error.message
    assert "TVDB_PARSE_MEMORY_MIB" in error.remedy
    assert pool.submit(tasks.echo, 1).result(_WAIT) == 1


def test_a_crash_fails_one_task_and_its_error_names_the_signal(pool: WorkerPool) -> None:
    futures = [pool.submit(tasks.echo, number) for number in range(3)]
    dying = pool.submit(tasks.die_by_signal, int(signal.SIGSEGV))
    futures += [pool.submit(tasks.echo, number) for number in range(3, 6)]
    error = dying.exception(_WAIT)
    assert isinstance(error, ParseError)
    assert (error.code, "SIGSEGV" in error.message) == ("parser_crashed", True)
    assert [future.result(_WAIT) for future in futures] == list(range(6))
    assert "exit status 3" in _error(pool, tasks.exit_with_status_3).message


def test_a_worker_killed_from_outside_fails_its_task(pool: WorkerPool) -> None:
    future = pool.submit(tasks.spin)
    os.kill(_wait_for_worker(pool), signal.SIGKILL)
    error = future.exception(_WAIT)
    assert isinstance(error, ParseError)
    assert (error.code, "SIGKILL" in error.message) == ("parser_crashed", True)
    assert pool.submit(tasks.echo, 1).result(_WAIT) == 1


def test_a_shared_process_that_died_while_idle_fails_no_task(pool: WorkerPool) -> None:
    pool.submit(tasks.add_line, "a").result(_WAIT)
    process = psutil.Process(*pool.process_ids())
    process.kill()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        os.sched_yield()
    assert pool.submit(tasks.add_line, "a").result(_WAIT) == 1


def test_errors_contain_no_document_text(pool: WorkerPool) -> None:
    refused = _error(pool, tasks.refuse)
    assert (refused.code, refused.message) == (
        "encrypted",
        "The PDF is encrypted and needs a password.",
    )
    unexpected = _error(pool, tasks.fail_with_text)
    assert (unexpected.code, "KeyError" in unexpected.message) == ("corrupt", True)
    assert "own words" not in str(unexpected)
    assert _error(pool, tasks.unpicklable).code == "corrupt"


def test_workers_get_no_secret_and_import_little_code(
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


def test_workers_can_not_connect_to_a_server(pool: WorkerPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        assert _error(pool, tasks.connect, server.getsockname()[1]).code == "corrupt"
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_closed_pool_has_no_processes_and_refuses_tasks() -> None:
    pool = WorkerPool(workers=2, modules=(tasks.__name__,))
    future = pool.submit(tasks.spin)
    worker = _wait_for_worker(pool)
    pool.close(cancel=True)
    assert isinstance(future.exception(_WAIT), ServiceError)
    assert not psutil.pid_exists(worker)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(tasks.echo, 1)


def test_tasks_that_a_worker_can_not_import_are_refused(pool: WorkerPool) -> None:
    with pytest.raises(ValueError, match="top of an importable module"):
        pool.submit(lambda: None)


def test_workers_die_with_a_killed_parent() -> None:
    code = """
        from tvdb_assets.parsing.worker_pool import WorkerPool
        from tvdb_assets_tests.parsing import worker_pool_tasks as tasks
        pool = WorkerPool(workers=1, modules=(tasks.__name__,))
        future = pool.submit(tasks.spin)
        while not pool.process_ids():
            pass
        print(*pool.process_ids(), flush=True)
        future.result()
    """
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait(_WAIT)
        # The process that adopts the dead worker may reap it late.
        while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
            os.sched_yield()


def test_a_process_for_a_document_has_its_libraries_already() -> None:
    """A library that is imported after the fork would be imported for each document."""
    documents = {**samples(), "a.pdf": make_pdf(["A page", "with text"])}
    with _pool() as pool:
        late = {
            name: pool.submit(tasks.imports_while_parsing, data, name).result(_WAIT)
            for name, data in documents.items()
        }
    python = sys.stdlib_module_names
    assert {name: found for name, found in late.items() if not python.issuperset(found)} == {}
