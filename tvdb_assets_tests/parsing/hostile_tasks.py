"""Tasks of a worker that was taken over: they stand for native code that runs in a parser."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys


def reply_with(message: bytes) -> int:
    """Replace the function that frames the replies, so that the parent reads ``message``."""
    sys.modules["__main__"].pack = lambda _replies: message  # type: ignore[attr-defined]
    return 1


def flood(announced: int) -> int:
    """Announce a reply of so many bytes, and write until the parent stops reading."""
    descriptor = int(sys.argv[1])
    os.write(descriptor, struct.pack("!iQ", -1, announced))
    block = bytes(1 << 20)
    for _ in range(announced >> 20):
        os.write(descriptor, block)
    return 1


def read_file(path: str) -> str:
    """How reading a file ends: its first bytes, or the name of the error."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        return f"read {os.read(descriptor, 9)!r}"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def list_folder(path: str) -> str:
    """How listing a folder ends."""
    try:
        return f"listed {len(os.listdir(path))}"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def write_file(path: str) -> str:
    """How writing a file ends."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
        return f"wrote {os.write(descriptor, b'x')}"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def call_system() -> dict[str, str]:
    """How calls that a parser does not need end, called without Python's own checks."""
    system = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()
    room = ctypes.create_string_buffer(64)
    vector = (ctypes.c_char_p * 2)(b"/bin/true", None)
    is_x86 = os.uname().machine == "x86_64"
    numbers = {"fork": (57,), "clone": (56,), "tgkill": (234,)}
    if not is_x86:
        numbers = {"fork": (220,), "clone": (220,), "tgkill": (131,)}
    calls = {
        "execve": lambda: system.execve(b"/bin/true", vector, vector),
        "fork": lambda: system.syscall(*numbers["fork"], 17, 0),
        "clone": lambda: system.syscall(*numbers["clone"], 17, 0),
        "posix_spawn": lambda: -1 if system.posix_spawn(0, b"/bin/sh", 0, 0, vector, vector) else 0,
        "tcp socket": lambda: system.socket(socket.AF_INET, socket.SOCK_STREAM, 0),
        "udp socket": lambda: system.socket(socket.AF_INET, socket.SOCK_DGRAM, 0),
        "unix socket": lambda: system.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0),
        "netlink socket": lambda: system.socket(16, socket.SOCK_RAW, 0),
        "ptrace": lambda: system.ptrace(16, parent, 0, 0),
        "process_vm_readv": lambda: system.process_vm_readv(parent, room, 1, room, 1, 0),
        "kill": lambda: system.kill(parent, 0),
        "stop": lambda: system.syscall(
            234 if os.uname().machine == "x86_64" else 131, parent, parent, 0
        ),
        "prlimit": lambda: system.prlimit(parent, 7, None, room),
        "owner of signals": lambda: system.fcntl(int(sys.argv[1]), 8, parent),
        "chmod": lambda: system.chmod(b"/tmp", 0o1777),
        "link": lambda: system.symlink(b"/etc/passwd", b"link"),
        "setuid": lambda: system.setresuid(0, 0, 0),
        "unshare": lambda: system.unshare(0x10000000),
        "mount": lambda: system.mount(b"a", b"/", b"tmpfs", 0, None),
        "shared memory": lambda: system.shmget(0, 4096, 0o1777),
        "dumpable": lambda: system.prctl(4, 1, 0, 0, 0),
    }
    results = {}
    for name, call in calls.items():
        ctypes.set_errno(0)
        results[name] = "ok" if call() >= 0 else errno.errorcode.get(ctypes.get_errno(), "failed")
    return results


def identity() -> tuple[int, int, list[int], dict[str, str]]:
    """User id, group id, groups and environment."""
    return os.getuid(), os.getgid(), os.getgroups(), dict(os.environ)
