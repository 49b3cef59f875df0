"""The confinement of worker processes: what a taken-over parser can't do.

What belongs here: files, account, network and limits of the processes, by means of the kernel, and
which of these hold. What does not: the list of system calls (`parsing.system_calls`), or the
messages of a worker (`parsing.worker_main`).

The fork server is started by exec with a small environment, so no key is ever in its memory or in
that of its parsers. On Linux a parser is confined by:

- Landlock: it reads the interpreter and the installed libraries, nothing else, and writes only
  files of its own temporary folder. It removes none and creates no folder in there, so the parent
  sees all that they occupy, and kills it if that is too much. It executes no file, opens no TCP
  connection, and reads no memory and no environment of a process outside of its Landlock domain,
  such as its parent.
- seccomp: it starts no program and no process, opens no socket, signals no other process.
- Another account: where the parent is root, the worker gets a user id that no account has.
- The parent can't be traced where neither of the others protects its memory.

Each holds only where the kernel has it, so the worker reports which of them hold.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import stat
import struct
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvdb_assets.parsing.system_calls import restrict_system_calls

_MIB = 1024 * 1024
_FILE_MIB = 128
"""A PDF that is read by OCR is written to a file, and may have 100 MiB by default."""
_MAX_FILES = 256
_MAX_THREADS = 4_096
_SIGKILL = 9
_CLONE_NEWNET = 0x40000000
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_KEEPCAPS, _SET_NO_NEW_PRIVS = 1, 4, 8, 38

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_TRUNCATE = 1 << 14
_FOLDER_OF_PARSER = _WRITE_FILE | _READ_FILE | _READ_DIR | _MAKE_REG | _TRUNCATE
_FOLDER_OF_SERVER = _FOLDER_OF_PARSER | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR
_TCP = 0b11
_SCOPED = 0b11  # abstract Unix sockets and signals
_RIGHTS_BY_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}

_FIRST_ACCOUNT, _ACCOUNTS = 61_184, 4_336
"""The range that systemd keeps for services without an account."""
_DAC_READ_SEARCH = 2
_CAPSET = {"x86_64": 126, "aarch64": 91}

_SHARED_FOLDERS = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share", "/nix/store"),
    *("/usr/local/share/fonts", "/etc/fonts", "/etc/ld.so.cache"),
    *(
        os.devnull,
        "/dev/urandom",
        "/dev/zero",
        "/sys/devices/system/cpu",
        "/proc/cpuinfo",
        "/proc/meminfo",
    ),
)


@dataclass(frozen=True, slots=True)
class Confinement:
    """Which protections hold for a worker of this machine."""

    files: bool
    """It reads only libraries, and writes only into its temporary folder."""
    programs: bool
    """It starts no program and no process, and signals no other process."""
    network: bool
    """It opens no connection."""
    parent: bool
    """It reads neither the memory nor the environment of its parent."""
    account: bool
    """It runs under another user id than its parent."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the protections that do not hold."""
        return tuple(name for name in self.__slots__ if not getattr(self, name))


class ServerConfinement:
    """The confinement of the fork server, which its parsers inherit and tighten."""

    def __init__(self, parent: int, memory_mib: int, folder: str) -> None:
        """Confine this process, which must have one thread only.

        Args:
            parent: process id of the parent, with which this process ends.
            memory_mib: limit of the resident memory of a parser in MiB, which the parent watches.
            folder: the only folder that this process may write to.
        """
        sys.addaudithook(_forbid)
        self._is_linux = sys.platform == "linux"
        self._has_no_network = self._has_account = False
        self._abi = 0
        self._readable: list[tuple[int, int]] = []
        if not self._is_linux:
            _end_if_orphan(parent)
            _limit_resources(memory_mib, has_account=False)
            return
        system = ctypes.CDLL(None, use_errno=True)
        self._system = system
        self._has_no_network = system.unshare(_CLONE_NEWNET) == 0
        readable = _library_folders()
        self._abi = max(0, system.syscall(_CREATE_RULESET, None, 0, 1))
        self._has_account = os.geteuid() == 0 and _change_account(
            system, readable, folder, self._abi > 0
        )
        # A change of the account resets it.
        system.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
        _end_if_orphan(parent)
        _limit_resources(memory_mib, has_account=self._has_account)
        system.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if self._abi:
            self._readable = _opened(readable)
            if not self._restrict_files(folder, _FOLDER_OF_SERVER):
                self._abi = 0

    def confine_parser(self, server: int, folder: str) -> Confinement:
        """Confine this process, a fork of the server, before it sees any byte of a document.

        Its files and signals are those of its own domain, so that it reaches no other parser.

        Args:
            server: process id of the server, with which this process ends.
            folder: the only folder that this process may write to.
        """
        sys.addaudithook(_forbid_processes)
        if not self._is_linux:
            return Confinement(False, False, False, False, False)
        self._system.prctl(_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        _end_if_orphan(server)
        files = bool(self._abi) and self._restrict_files(folder, _FOLDER_OF_PARSER)
        programs = restrict_system_calls()
        return Confinement(
            files=files,
            programs=programs,
            network=programs or self._has_no_network,
            parent=files or self._has_account,
            account=self._has_account,
        )

    def _restrict_files(self, folder: str, rights_in_folder: int) -> bool:
        """Landlock: the libraries can be read, the folder can be written to, and nothing else."""
        system, abi = self._system, self._abi
        handled = (1 << _RIGHTS_BY_ABI.get(abi, 16)) - 1
        attributes = struct.pack(
            "<QQQ", handled, _TCP if abi >= 4 else 0, _SCOPED if abi >= 6 else 0
        )
        size = 8 if abi < 4 else 16 if abi < 6 else 24
        ruleset = system.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
        if ruleset < 0:
            return False
        own = _opened((folder,))
        try:
            for descriptor, rights in self._readable:
                _add_rule(system, ruleset, descriptor, rights)
            for descriptor, _ in own:
                _add_rule(system, ruleset, descriptor, rights_in_folder & handled)
            return bool(system.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
        finally:
            for descriptor in (ruleset, *(descriptor for descriptor, _ in own)):
                os.close(descriptor)


def forbid_tracing() -> bool:
    """Keep other processes of this account from reading this process; returns whether they can't.

    The parent calls it where its workers are not confined otherwise. It also stops debuggers.
    """
    if sys.platform != "linux" or os.geteuid() == 0:
        return False
    return bool(ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0) == 0)


def remove_tree(folder: str) -> None:
    """Remove a folder that a parser wrote to; what can't be removed stays."""
    # Without Landlock, a parser can nest folders more deeply than Python can descend.
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)


def occupies_more(folder: str, files: int, size: int) -> bool:
    """Whether a folder has more files, with those in its folders, or more bytes on the disk.

    Args:
        folder: the folder of a parser.
        files: the most files and folders; no more than one above it are looked at.
        size: the most bytes.
    """
    todo = [folder]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    files -= 1
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    else:
                        size -= entry.stat(follow_symlinks=False).st_blocks * 512
                    if files < 0 or size < 0:
                        return True
        except OSError:
            continue  # the parser may change it, or the server may have removed it
    return False


def _end_if_orphan(parent: int) -> None:
    if os.getppid() != parent:
        os._exit(1)


def _forbid(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: the Python code of a parser, on every system, is confined at least so far."""
    if event in {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"}:
        raise PermissionError(f"a parser may not use {event}")


def _forbid_processes(event: str, args: tuple[Any, ...]) -> None:
    if event in {"os.fork", "os.forkpty", "os.exec", "os.posix_spawn"}:
        raise PermissionError(f"a parser may not use {event}")


def _limit_resources(memory_mib: int, *, has_account: bool) -> None:
    """Write no core dump and no large file, and allocate no huge block of memory.

    Open files are limited because the buffers of pipes and sockets are no resident memory. The
    number of threads is limited per account, so only where no other program runs under it.
    """
    with contextlib.suppress(ImportError):
        import resource

        limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _FILE_MIB * _MIB)]
        limits.append((resource.RLIMIT_NOFILE, _MAX_FILES))
        if has_account:
            limits.append((resource.RLIMIT_NPROC, _MAX_THREADS))
        if sys.platform == "linux":
            # The parent watches resident memory; this limit only stops a single huge allocation.
            # Mapped libraries and arenas reserve much more address space than they use.
            limits.append((resource.RLIMIT_AS, (2 * memory_mib + 1_024) * _MIB))
        for limit, value in limits:
            hard = resource.getrlimit(limit)[1]
            allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(limit, (allowed, allowed))


def _library_folders() -> tuple[str, ...]:
    """The interpreter, the libraries and this package; never a whole project or home folder."""
    paths = sysconfig.get_paths()
    folders = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    for prefix in {sys.prefix, sys.base_prefix}:
        # The prefix itself may be a project's folder.
        folders += [f"{prefix}/lib", f"{prefix}/lib64", f"{prefix}/share"]
    folders += [path for path in sys.path if _holds_libraries(path)]
    folders.append(str(Path(__file__).parent.parent))
    real = {os.path.realpath(path) for path in (*folders, *_SHARED_FOLDERS)}
    return tuple(sorted(path for path in real if Path(path).exists()))


def _holds_libraries(path: str) -> bool:
    if path.endswith((".zip", "/site-packages", "/dist-packages")):
        return True
    try:
        return any(name.endswith(".dist-info") for name in os.listdir(path))
    except OSError:
        return False


def _opened(paths: Iterable[str]) -> list[tuple[int, int]]:
    """Descriptors of paths, and the rights that a parser has beneath each."""
    opened = []
    for path in paths:
        # A path that can't be opened gets no rule, so it stays forbidden.
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            rights = _READ_FILE | (_READ_DIR if is_folder else 0)
            opened.append((descriptor, rights | (_WRITE_FILE if path == os.devnull else 0)))
    return opened


def _add_rule(system: ctypes.CDLL, ruleset: int, descriptor: int, rights: int) -> None:
    rule = struct.pack("<Qi", rights, descriptor)
    system.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)


def _change_account(
    system: ctypes.CDLL, readable: Iterable[str], folder: str, has_landlock: bool
) -> bool:
    """Give up root: a user id without an account, and no capability.

    Libraries in a folder of root alone, such as ``/root/.venv``, need a capability to be read. It
    is kept only where Landlock restricts reading.
    """
    import platform
    import pwd

    taken = {entry.pw_uid for entry in pwd.getpwall()}
    first = os.getppid() % _ACCOUNTS
    number = next(
        _FIRST_ACCOUNT + (first + step) % _ACCOUNTS
        for step in range(_ACCOUNTS)
        if _FIRST_ACCOUNT + (first + step) % _ACCOUNTS not in taken
    )
    is_readable = all(map(_is_readable_by_others, readable))
    capset = _CAPSET.get(platform.machine())
    if not is_readable and not (has_landlock and capset is not None):
        return False
    kept = 0 if is_readable else 1 << _DAC_READ_SEARCH
    try:
        os.chown(folder, number, number)
        if kept:
            system.prctl(_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setgroups([])
        os.setresgid(number, number, number)
        os.setresuid(number, number, number)
    except OSError:
        return os.geteuid() != 0
    if kept:
        header = struct.pack("<Ii", 0x20080522, 0)
        system.syscall(capset, header, struct.pack("<6I", kept, kept, 0, 0, 0, 0))
    return True


def _is_readable_by_others(path: str) -> bool:
    """Whether every account can reach a path and read it."""
    place = Path(path)
    with contextlib.suppress(OSError):
        reachable = all(each.stat().st_mode & stat.S_IXOTH for each in place.parents)
        return bool(reachable and place.stat().st_mode & stat.S_IROTH)
    return False
