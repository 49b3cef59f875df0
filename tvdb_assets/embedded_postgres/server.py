"""The embedded Postgres server: created, started, found and stopped under the project's home.

What belongs here: the lifetime of one server. What does not: its files (`data_folder`), accounts,
processes and file locks (`server_process`), schema and statements (`repositories`), or the choice
between this server and a remote one (`repositories.database`).

**Connections.** The server listens on 127.0.0.1 only, with scram-sha-256 and a password of 32
random bytes, and has no Unix socket. The path of a socket is limited to about 100 bytes, so it
would have to be in the temporary folder, where cleanup programs delete it while the server runs,
and where other users can create a file with its name first. A port has neither problem. It stays
the same at each start as long as it is free. The URL requires SCRAM, in which the server also
proves that it knows the password, so another program on that port learns nothing.

**Detection.** The server and each of its children inherit a locked descriptor of ``alive.lock``:
the lock is free exactly when the last of them has ended, for any reason. A process id alone is
never trusted. Every start has a new mark, its ``cluster_name``, which is in the command line of
each Postgres process.

**Configuration.** Every option that runs a program, loads code, lets somebody in or decides what is
logged is set on the command line, and ``postgresql.conf`` and ``pg_hba.conf`` of the data folder
are not read: a data folder may have been written by somebody else.

**Log.** It contains no statements, parameters or details, which would contain document text.
"""

from __future__ import annotations

import errno
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
from psycopg.pq import PGconn, Ping

from tvdb_assets.embedded_postgres.data_folder import DataFolder, StartState
from tvdb_assets.embedded_postgres.server_process import (
    Account,
    file_lock,
    find_binaries,
    is_locked,
    is_serving,
    marked_processes,
    send_signal_to,
    try_lock,
)
from tvdb_assets.embedded_postgres.server_settings import (
    ACCESS_RULES,
    CONFIGURATION,
    SAFE_SETTINGS,
    SETTINGS,
)

_USER = _DATABASE = "tvdb"
_START_SECONDS = 30.0
_STOP_SECONDS = 60.0
_LEFTOVER_SECONDS = 5.0
_INITDB_SECONDS = 120.0
_POLL_SECONDS = 0.01
_PORT_ATTEMPTS = 5
_PORTS = range(20_000, 32_768)
"""Below the ports that systems use for outgoing connections."""


class EmbeddedPostgres:
    """One Postgres server per home folder, shared by all processes that use the home."""

    def __init__(self, home: Path) -> None:
        """Reads nothing yet.

        Args:
            home: folder of the Dagster instance; created if it does not exist.
        """
        self._folder = DataFolder(home)

    def ensure_running(self) -> str:
        """Start the server if it is not running, and return the URL of its database ``tvdb``.

        The database has the extension ``vector``. The URL contains the password, so it is a
        secret. Any number of processes may call this concurrently.

        Raises:
            StorageError: ``embedded_postgres_missing``, ``embedded_postgres_unreachable``,
                ``embedded_postgres_unwritable`` or ``embedded_postgres_failed``.
        """
        with self._folder.as_storage_errors():
            if (state := self._running_state()) is not None:
                self._folder.truncate_log()
                return self._url(state.port)
            self._folder.create()
            with file_lock(self._folder.starting_lock):
                self._folder.give_to_owner(self._folder.starting_lock)
                return self._url((self._running_state() or self._start()).port)

    def stop(self) -> bool:
        """Stop the server, also if another process started it. Open connections are closed.

        Returns:
            Whether a server was running.

        Raises:
            StorageError: the server does not stop, or it belongs to another user.
        """
        with self._folder.as_storage_errors():
            if not self._folder.path.is_dir():
                return False
            with file_lock(self._folder.starting_lock):
                self._folder.give_to_owner(self._folder.starting_lock)
                state = self._folder.last_start()
                if state is None or not is_locked(self._folder.alive_lock):
                    return False
                postmasters, _ = marked_processes(state.mark)
                # Fast shutdown, then immediate shutdown: the next start recovers from the log.
                for number in (signal.SIGINT, signal.SIGQUIT) if postmasters else ():
                    send_signal_to(postmasters, number)
                    if self._wait_until_stopped(_STOP_SECONDS):
                        break
                else:
                    self._kill_leftovers(state.mark)
                self._folder.save(replace(state, ready=False, pid=None))
                return bool(postmasters)

    def is_running(self) -> bool:
        """Whether the server runs and accepts connections."""
        with self._folder.as_storage_errors():
            return self._running_state() is not None

    def _running_state(self) -> StartState | None:
        state = self._folder.state()
        if state is None or not state.ready or state.pid is None:
            return None
        if not is_locked(self._folder.alive_lock) or not psutil.pid_exists(state.pid):
            return None
        return state if _ping(state.port) == Ping.OK else None

    def _url(self, port: int, database: str = _DATABASE) -> str:
        # Without these, variables of the environment (PGSSLMODE, ...) would apply.
        rules = "require_auth=scram-sha-256&sslmode=disable&gssencmode=disable"
        password = self._folder.password()
        return f"postgresql://{_USER}:{password}@127.0.0.1:{port}/{database}?{rules}"

    # Starting; the caller holds the starting lock

    def _start(self) -> StartState:
        if (state := self._wait_for_other_process()) is None:
            binaries = find_binaries()
            account = Account.choose(self._folder.path, self._folder.data)
            account = account.with_access_to(self._folder.path, binaries)
            is_new = not self._folder.data.exists()
            if is_new:
                self._create(account, binaries)
            account.take(self._folder.data)
            state = self._launch_on_free_port(account, binaries)
            if is_new:
                # initdb ran without fsync. This writes its files to the disk in the background, so
                # that commits of the ledger do not wait for them.
                arguments = (str(binaries / "initdb"), "--sync-only", "-D", str(self._folder.data))
                account.detach(arguments, log=subprocess.DEVNULL)
        self._create_database(state.port)
        state = replace(state, pid=self._folder.server_pid(), ready=True)
        self._folder.save(state)
        return state

    def _wait_for_other_process(self) -> StartState | None:
        """Wait for a server that another process starts or stops, or that was killed."""
        deadline = time.monotonic() + _START_SECONDS
        while is_locked(self._folder.alive_lock):
            last, state = self._folder.last_start(), self._folder.state()
            postmasters = marked_processes(last.mark)[0] if last else []
            if state is not None and postmasters and _ping(state.port) == Ping.OK:
                return state
            # It was killed, or its data folder was deleted or replaced.
            if last is not None and (state is None or not postmasters):
                self._kill_leftovers(last.mark)
            if time.monotonic() > deadline:
                raise self._folder.failure("A server that neither answers nor stops is using it.")
            time.sleep(_POLL_SECONDS)
        return None

    def _create(self, account: Account, binaries: Path) -> None:
        """Create the data folder under another name and rename it, so it is never incomplete."""
        for abandoned in self._folder.path.glob("new-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix="new-", dir=self._folder.path))
        creator = account.creator()
        try:
            work = staging / "work"
            work.mkdir(mode=0o700)
            password = work / "password"
            self._folder.write(password, self._folder.password(create=True))
            creator.enter_alone(staging)
            # The folder last: its new owner could replace the file with a link.
            for path in (password, work):
                creator.take(path)
            arguments = [
                *(str(binaries / "initdb"), "-D", str(work / "data"), "-U", _USER),
                *("--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C"),
                *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                *("--auth=scram-sha-256", f"--pwfile={password}"),
                *("-c", "scram_iterations=1"),
            ]
            result = creator.run(arguments, timeout=_INITDB_SECONDS)
            if result.returncode != 0:
                raise self._folder.failure(result.stdout.decode(errors="replace"))
            account.take(work / "data")
            (work / "data").rename(self._folder.data)
        except subprocess.TimeoutExpired:
            raise self._folder.failure(f"initdb took over {_INITDB_SECONDS:.0f} s.") from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _launch_on_free_port(self, account: Account, binaries: Path) -> StartState:
        self._folder.write(self._folder.access, ACCESS_RULES, mode=0o644)
        self._folder.write(self._folder.configuration, CONFIGURATION, mode=0o644)
        self._folder.write(self._folder.no_users, "", mode=0o644)
        # Always read, but not needed. The options on the command line would win, but a value that
        # this build does not know would keep the server from starting.
        (self._folder.data / "postgresql.auto.conf").unlink(missing_ok=True)
        pid = self._folder.server_pid()
        if pid is None or not is_serving(pid, self._folder.data):
            # Postgres would treat any process of its user as the server.
            (self._folder.data / "postmaster.pid").unlink(missing_ok=True)
        last = self._folder.state()
        ports = [last.port] if last else []
        for _ in range(_PORT_ATTEMPTS):
            mark, data = f"tvdb-{secrets.token_hex(8)}", self._folder.data.stat()
            state = StartState(mark, _free_port(ports), data.st_dev, data.st_ino)
            ports = []
            self._folder.save(state)
            self._folder.truncate_log()
            log_start = self._folder.log_size()
            self._launch(account, binaries, state)
            if self._wait_until_ready(state):
                return state
            if "could not bind" not in self._folder.log_since(log_start):
                break  # otherwise another program took the port after the check
        raise self._folder.failure(self._folder.log_since(log_start))

    def _launch(self, account: Account, binaries: Path, state: StartState) -> None:
        settings = {
            **SETTINGS,
            **SAFE_SETTINGS,
            "config_file": str(self._folder.configuration),
            "data_directory": str(self._folder.data),
            "hba_file": str(self._folder.access),
            "ident_file": str(self._folder.no_users),
            "port": str(state.port),
            "cluster_name": state.mark,
        }
        arguments = [str(binaries / "postgres"), "-D", str(self._folder.data)]
        arguments += [part for k, v in settings.items() for part in ("-c", f"{k}={v}")]
        deadline = time.monotonic() + _LEFTOVER_SECONDS
        while (alive := try_lock(self._folder.alive_lock)) is None:
            # Another process checks the lock at this moment.
            if time.monotonic() > deadline:
                raise self._folder.failure("Another server is using it.")
            time.sleep(_POLL_SECONDS)
        try:
            self._folder.give_to_owner(self._folder.alive_lock)
            log = self._folder.open_log()
            try:
                account.detach(arguments, log=log, keep_open=[alive])
            finally:
                os.close(log)
        finally:
            os.close(alive)

    def _wait_until_ready(self, state: StartState) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while (answer := _ping(state.port)) != Ping.OK:
            if not is_locked(self._folder.alive_lock):
                return False
            if time.monotonic() > deadline:
                # A server that answers is replaying its log, and would have to start over.
                if answer != Ping.REJECT:
                    self._kill_leftovers(state.mark)
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _create_database(self, port: int) -> None:
        try:
            with psycopg.connect(self._url(port, "postgres"), autocommit=True) as connection:
                query = "SELECT FROM pg_database WHERE datname = %s"
                if connection.execute(query, (_DATABASE,)).fetchone() is None:
                    connection.execute(f"CREATE DATABASE {_DATABASE}")
            with psycopg.connect(self._url(port), autocommit=True) as connection:
                query = "SELECT FROM pg_extension WHERE extname = 'vector'"
                if connection.execute(query).fetchone() is None:
                    connection.execute("CREATE EXTENSION vector")
        except psycopg.Error as error:
            raise self._folder.failure(str(error)) from error

    # Stopping

    def _wait_until_stopped(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while is_locked(self._folder.alive_lock):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def _kill_leftovers(self, mark: str) -> None:
        """Kill the children of a killed postmaster. A new one must not run next to them."""
        for number in (signal.SIGQUIT, signal.SIGKILL):
            postmasters, children = marked_processes(mark)
            send_signal_to([*postmasters, *children], number)
            if self._wait_until_stopped(_LEFTOVER_SECONDS):
                return
        raise self._folder.failure("Processes of an earlier server do not stop.")


def _ping(port: int) -> Ping:
    """Check without a login whether a server accepts connections; takes 1-2 ms."""
    target = f"host=127.0.0.1 port={port} user={_USER} dbname=postgres connect_timeout=5"
    return Ping(PGconn.ping(f"{target} sslmode=disable gssencmode=disable".encode()))


def _free_port(preferred: list[int]) -> int:
    for port in [*preferred, *random.SystemRandom().sample(_PORTS, 50), 0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(errno.EADDRINUSE, "no free port on 127.0.0.1")
