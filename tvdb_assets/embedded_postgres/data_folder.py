"""The folder of the embedded Postgres: which files it holds, and how they are written.

What belongs here: paths, the state of the last start, the password, the log. What does not:
the server's processes (`embedded_process`) and when they start or end (`embedded`).

::

    <home>/postgres/            ours, 0700 (0711 when root starts it: its server must pass)
    ├── data/                   the server's own
    ├── password                of the one database user, 0600
    ├── access.conf             who may connect, and how
    ├── state.json              port and mark of the last start
    ├── starting.lock           held by whoever starts or stops the server
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
    """The last start, as its starter wrote it down."""

    mark: str
    """In the command line of each of the server's processes, and new at every start."""
    port: int
    device: int
    inode: int
    """With ``device``, which data folder was served."""
    pid: int | None = None
    ready: bool = False
    """The database and its extension were seen."""


class DataFolder:
    """Files of one server."""

    def __init__(self, home: Path) -> None:
        """Nothing is looked at yet."""
        self.path = home.expanduser().absolute() / "postgres"
        self.data = self.path / "data"
        self.access = self.path / "access.conf"
        self.starting_lock = self.path / "starting.lock"
        self.alive_lock = self.path / "alive.lock"
        self.log = self.path / "server.log"
        self._state = self.path / "state.json"
        self._password = self.path / "password"

    def make(self) -> None:
        """Make the folder, for this user alone."""
        # 0711 lets the account of root's server pass through to its data, not look around.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        self.path.mkdir(parents=True, exist_ok=True, mode=mode)
        if self.path.stat().st_mode & 0o777 != mode:
            self.path.chmod(mode)

    def last_start(self) -> StartState | None:
        """The last start of whatever data folder was here."""
        try:
            return StartState(**json.loads(self._state.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def state(self) -> StartState | None:
        """The last start of this very data folder; a copied folder brings another's state."""
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
            StorageError: ``embedded_postgres_failed``, it is gone.
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
        """The process id in the server's own lock file, which may be a stranger's by now."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def write(self, path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
        """Replace the file as a whole; with the mode as given, nobody else ever reads it."""
        descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(descriptor)
                os.fchmod(descriptor, mode)
            self.own(Path(name))
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def own(self, path: Path) -> None:
        """Give what root makes in an ordinary user's home to that user."""
        owner = self.path.stat()
        if os.geteuid() == 0 and owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)

    def open_log(self) -> int:
        """A descriptor that appends to the log; the caller closes it."""
        self.bound_log()
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.own(self.log)
        return log

    def bound_log(self) -> None:
        """Keep the log small. The server appends to it, so it may be cut under its hands."""
        if self.log_size() <= _LOG_BYTES:
            return
        with self.log.open("rb") as log:
            log.seek(-_LOG_BYTES, os.SEEK_END)
            self.write(self.log.with_name(f"{self.log.name}.1"), log.read(_LOG_BYTES))
        os.truncate(self.log, 0)

    def log_size(self) -> int:
        """Bytes in the log."""
        return self.log.stat().st_size if self.log.exists() else 0

    def log_since(self, offset: int) -> str:
        """What the server wrote after the first ``offset`` bytes of its log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(offset)
            return log.read(_LOG_BYTES).decode(errors="replace").strip()

    def failure(self, reason: str) -> StorageError:
        """An error that says why, by the last lines of ``reason``, and where the log is."""
        lines = [line[:_LINE_CHARACTERS] for line in reason.strip().splitlines()]
        why = " | ".join(lines[-_LOG_LINES:]) or "it gave no reason."
        return codes.EMBEDDED_POSTGRES_FAILED.error(folder=self.path, why=why, log=self.log)

    @contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Turn what the system says of the folder into a `StorageError`."""
        try:
            yield
        except (OSError, subprocess.SubprocessError, psutil.Error) as error:
            full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
            code = codes.EMBEDDED_POSTGRES_DISK_FULL if full else codes.EMBEDDED_POSTGRES_UNWRITABLE
            raise code.error(folder=self.path, why=error) from error
