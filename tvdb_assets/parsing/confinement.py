"""The confinement of a worker process: what a taken-over parser can't do.

What belongs here: files, account, network and limits of the process, by means of the kernel, and
which of these hold. What does not: the list of system calls (`parsing.system_calls`), or the
messages of a worker (`parsing.worker_main`).

A worker is started by exec with a small environment, so no key is ever in its memory. On Linux:

- Landlock: it reads the interpreter and the installed libraries, nothing else, and writes only
  into its own temporary folder. It executes no file, opens no TCP connection, and reads no memory
  and no environment of a process outside of its Landlock domain, such as its parent.
- seccomp: it starts no program and no process, opens no socket, signals no other process.
- Another account: where the parent is root, the worker gets a user id that no account has.
- The parent can't be traced where neither of the others protects its memory.

Each holds only where the kernel has it, so the worker reports which of them hold.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvdb_assets.parsing.system_calls import restrict_system_calls

_MIB = 1024 * 1024
_FILE_MIB = 64
_SIGKILL = 9
_CLONE_NEWNET = 0x40000000
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_KEEPCAPS, _SET_NO_NEW_PRIVS = 1, 4, 8, 38

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_TRUNCATE = 1 << 14
_OWN_FOLDER = (
    *(_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE),
    *(_MAKE_DIR, _MAKE_REG, _TRUNCATE),
)
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
    *("/dev/urandom", "/dev/zero", "/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo"),
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


def confine(parent: int, memory_mib: int, folder: str) -> Confinement:
    """Confine this process, which must have one thread only.

    Args:
        parent: process id of the parent, with which this process ends.
        memory_mib: limit of the resident memory in MiB, which the parent watches.
        folder: the only folder that this process may write to.
    """
    sys.addaudithook(_forbid)
    if sys.platform != "linux":
        _end_if_orphan(parent)
        _limit_resources(memory_mib)
        return Confinement(False, False, False, False, False)
    system = ctypes.CDLL(None, use_errno=True)
    no_network = system.unshare(_CLONE_NEWNET) == 0
    readable = _library_folders()
    abi = system.syscall(_CREATE_RULESET, None, 0, 1)
    account = os.geteuid() == 0 and _change_account(system, readable, folder, abi > 0)
    # A change of the account resets both.
    system.prctl(_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    system.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    _end_if_orphan(parent)
    _limit_resources(memory_mib)
    system.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    files = abi > 0 and _restrict_files(system, abi, readable, folder)
    programs = restrict_system_calls()
    return Confinement(files, programs, programs or no_network, files or account, account)


def forbid_tracing() -> bool:
    """Keep other processes of this account from reading this process; returns whether they can't.

    The parent calls it where its workers are not confined otherwise. It also stops debuggers.
    """
    if sys.platform != "linux" or os.geteuid() == 0:
        return False
    return bool(ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0) == 0)


def _end_if_orphan(parent: int) -> None:
    if os.getppid() != parent:
        os._exit(1)


def _forbid(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: the Python code of a parser, on every system, is confined at least so far."""
    if event in {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"}:
        raise PermissionError(f"a parser may not use {event}")


def _limit_resources(memory_mib: int) -> None:
    """Write no core dump and no large file, and allocate no huge block of memory."""
    with contextlib.suppress(ImportError):
        import resource

        limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, _FILE_MIB * _MIB)]
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


def _restrict_files(system: ctypes.CDLL, abi: int, readable: Sequence[str], folder: str) -> bool:
    """Landlock: these paths can be read, the folder can be written to, and nothing else."""
    handled = (1 << _RIGHTS_BY_ABI.get(abi, 16)) - 1
    attributes = struct.pack("<QQQ", handled, _TCP if abi >= 4 else 0, _SCOPED if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = system.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            is_folder = Path(path).is_dir()
            _add_rule(system, ruleset, path, _READ_FILE | (_READ_DIR if is_folder else 0))
        _add_rule(system, ruleset, os.devnull, _READ_FILE | _WRITE_FILE)
        _add_rule(system, ruleset, folder, sum(_OWN_FOLDER) & handled)
        return bool(system.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _add_rule(system: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    # A path that can't be opened gets no rule, so it stays forbidden.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = struct.pack("<Qi", rights, descriptor)
            system.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
        finally:
            os.close(descriptor)


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
