"""The folder of the embedded Postgres server: the paths and contents of its files.

What belongs here: paths, the state of the last start, the password, the log. What does not: the
processes of the server (`server_process`), and when they start and stop (`server`).

::

    <home>/postgres/            owned by the user, 0700 (0711 if root, for the server's account)
    ├── data/                   the files of Postgres
    ├── password                of the one database user, 0600
    ├── access.conf             the rules for connections (pg_hba.conf)
    ├── server.conf             in place of postgresql.conf in data/
    ├── users.conf              empty, in place of pg_ident.conf in data/
    ├── state.json              port and mark of the last start
    ├── starting.lock           held by the process that starts or stops the server
    ├── alive.lock              held by the server and each of its children
    └── server.log, server.log.1
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tvdb_assets import error_codes as codes
from tvdb_assets.errors import StorageError

_LOG_BYTES = 10 * 1024 * 1024
_LOG_LINES = 6
_LINE_CHARACTERS = 300


@dataclass(frozen=True)
class StartState:
    """The state that the last start recorded."""

    mark: str
    """A name that is new at each start and is in the command line of each server process."""
    port: int
    device: int
    inode: int
    """Together with ``device`` the identity of the data folder."""
    pid: int | None = None
    ready: bool = False
    """The database and its extension exist."""


class DataFolder:
    """Reads and writes the files of one server."""

    def __init__(self, home: Path) -> None:
        """Reads nothing yet."""
        self.path = home.expanduser().absolute() / "postgres"
        self.data = self.path / "data"
        self.access = self.path / "access.conf"
        self.configuration = self.path / "server.conf"
        self.no_users = self.path / "users.conf"
        self.starting_lock = self.path / "starting.lock"
        self.alive_lock = self.path / "alive.lock"
        self.log = self.path / "server.log"
        self._state = self.path / "state.json"
        self._password = self.path / "password"

    def create(self) -> None:
        """Create the folder, for this user only."""
        # With 0711, the account of root's server can enter its data folder, but not list this one.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        self.path.mkdir(parents=True, exist_ok=True, mode=mode)
        if self.path.stat().st_mode & 0o777 != mode:
            self.path.chmod(mode)

    def last_start(self) -> StartState | None:
        """Read the state of the last start in this folder, which may be of another data folder."""
        try:
            return StartState(**json.loads(self._state.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def state(self) -> StartState | None:
        """Read the state of the last start of this data folder; None in a copied folder."""
        state = self.last_start()
        try:
            data = self.data.stat()
        except FileNotFoundError:
            return None
        same = state and (state.device, state.inode) == (data.st_dev, data.st_ino)
        return state if same else None

    def save(self, state: StartState) -> None:
        """Replace the state."""
        self.write(self._state, json.dumps(asdict(state)))

    def password(self, *, create: bool = False) -> str:
        """The password of the database user.

        Raises:
            StorageError: ``embedded_postgres_failed``, the file is missing.
        """
        if create and not self._password.exists():
            self.write(self._password, secrets.token_urlsafe(32))
        try:
            return self._password.read_text()
        except FileNotFoundError:
            raise codes.EMBEDDED_POSTGRES_PASSWORD_MISSING.error(
                file=self._password, folder=self.path
            ) from None

    def server_pid(self) -> int | None:
        """Read the process id in the lock file of Postgres; another process may have it now."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def write(self, path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
        """Replace a file atomically; it has the given mode at all times."""
        descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(descriptor)
                os.fchmod(descriptor, mode)
            self.give_to_owner(Path(name))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def give_to_owner(self, path: Path) -> None:
        """Give a file that root created in the home of an ordinary user to that user."""
        owner = self.path.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def open_log(self) -> int:
        """Open the log for appending and return the descriptor, which the caller closes."""
        self.truncate_log()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.give_to_owner(self.log)
        return log

    def truncate_log(self) -> None:
        """Truncate a log over 10 MiB. The server appends to it, so this is safe while it runs."""
        if self.log_size() <= _LOG_BYTES:
            return
        with self.log.open("rb") as log:
            log.seek(-_LOG_BYTES, os.SEEK_END)
            self.write(self.log.with_name(f"{self.log.name}.1"), log.read(_LOG_BYTES))
        os.truncate(self.log, 0)

    def log_size(self) -> int:
        """The size of the log in bytes."""
        return self.log.stat().st_size if self.log.exists() else 0

    def log_since(self, offset: int) -> str:
        """Read the log after its first ``offset`` bytes."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read(_LOG_BYTES).decode(errors="replace").strip()

    def failure(self, reason: str) -> StorageError:
        """An error with the last lines of ``reason`` and the path of the log."""
        lines = [line[:_LINE_CHARACTERS] for line in reason.strip().splitlines()]
        why = " | ".join(lines[-_LOG_LINES:]) or "it gave no reason."
        return codes.EMBEDDED_POSTGRES_FAILED.error(folder=self.path, why=why, log=self.log)

    @contextmanager
    def as_storage_errors(self) -> Iterator[None]:
        """Raise errors of the operating system as `StorageError`."""
        try:
            yield
        except (OSError, subprocess.SubprocessError, psutil.Error) as error:
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            code = codes.EMBEDDED_POSTGRES_DISK_FULL if full else codes.EMBEDDED_POSTGRES_UNWRITABLE
            raise code.error(folder=self.path, why=error) from error
