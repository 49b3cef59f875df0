"""Tasks of a worker that was taken over: they stand for native code that runs in a parser."""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import os
import signal
import socket
import struct
import sys
import threading
from hashlib import sha256

from tvdb_assets.models import Heading
from tvdb_assets.parsing.container_members import Member
from tvdb_assets.parsing.parse_tasks import PreparedDocument


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


def open_descriptors() -> list[int]:
    """The descriptors that this process has."""
    found = []
    for number in range(4_096):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


def poison(forged: str) -> int:
    """Replace what parses the next document, leave a file for it, and stay alive."""
    tasks = sys.modules["tvdb_assets.parsing.parse_tasks"]
    honest = tasks.parse_document

    def lie(*args: object) -> object:
        return dataclasses.replace(honest(*args), text=forged)

    tasks.parse_document = lie
    with open("sitecustomize.py", "w") as file:
        file.write("raise SystemExit")
    threading.Thread(target=threading.Event().wait).start()
    return os.getpid()


def reply_twice() -> int:
    """Write a reply that nobody has asked for yet, next to the true one."""
    main = sys.modules["__main__"]
    honest = main.pack

    def pack(replies: list[bytes]) -> bytes:
        message: bytes = honest(replies)
        forged: bytes = honest([honest([b'["result",666]'])])
        os.write(int(sys.argv[1]), struct.pack("!i", len(message)) + message)
        return forged

    main.pack = pack
    return 1


def reach_process(process: int, folder: str) -> dict[str, str]:
    """How an attack on another process of this account ends."""
    system = ctypes.CDLL(None, use_errno=True)
    is_x86 = os.uname().machine == "x86_64"
    room = ctypes.create_string_buffer(64)
    calls = {
        "kill": lambda: system.kill(process, 9),
        "tgkill": lambda: system.syscall(234 if is_x86 else 131, process, process, 9),
        "ptrace": lambda: system.ptrace(16, process, 0, 0),
        "process_vm_readv": lambda: system.process_vm_readv(process, room, 1, room, 1, 0),
        "process_vm_writev": lambda: system.process_vm_writev(process, room, 1, room, 1, 0),
        "pidfd_open": lambda: system.syscall(434, process, 0),
        "prlimit": lambda: system.prlimit(process, 7, None, room),
        "setpriority": lambda: system.setpriority(0, process, 19),
    }
    results = {}
    for name, call in calls.items():
        ctypes.set_errno(0)
        results[name] = "ok" if call() >= 0 else errno.errorcode.get(ctypes.get_errno(), "failed")
    for name in ("mem", "environ", "maps", "fd/0", "root/etc/passwd", "cwd/x"):
        results[name] = read_file(f"/proc/{process}/{name}")
    results["list"] = list_folder(folder)
    results["write"] = write_file(f"{folder}/x")
    return results


def call_new_system() -> dict[str, str]:
    """How calls end by which other programs escaped from a sandbox."""
    system = ctypes.CDLL(None, use_errno=True)
    is_x86 = os.uname().machine == "x86_64"
    room = ctypes.create_string_buffer(256)
    pair = (ctypes.c_int * 2)()
    calls = {
        "io_uring_setup": lambda: system.syscall(425, 8, room),
        "userfaultfd": lambda: system.syscall(323 if is_x86 else 282, 0),
        "bpf": lambda: system.syscall(321 if is_x86 else 280, 0, room, 64),
        "perf_event_open": lambda: system.syscall(298 if is_x86 else 241, room, 0, -1, -1, 0),
        "keyctl": lambda: system.syscall(250 if is_x86 else 219, 0, -3, 0),
        "memfd_create": lambda: system.memfd_create(b"x", 0),
        "pidfd_getfd": lambda: system.syscall(438, 0, 0, 0),
        "clone3": lambda: system.syscall(435, room, 88),
        "seccomp": lambda: system.syscall(317 if is_x86 else 277, 1, 0, room),
        "mknod": lambda: system.mknod(b"fifo", 0o10600, 0),
        "sendmsg": lambda: system.sendmsg(int(sys.argv[1]), room, 0),
        "recvmsg": lambda: system.recvmsg(int(sys.argv[1]), room, 0),
        "abstract socket": lambda: system.socket(1, 2, 0),
        "pair of datagram sockets": lambda: system.socketpair(1, 2, 0, pair),
        "pair of another family": lambda: system.socketpair(30, 1, 0, pair),
        "setns": lambda: system.setns(0, 0),
        "chroot": lambda: system.chroot(b"."),
        # Memory that does not count as that of the process.
        "shared memory": lambda: system.mmap(None, 4096, 3, 0x21, -1, 0),
        "huge pages": lambda: system.mmap(None, 2 << 20, 3, 0x40022, -1, 0),
        # A thread that shares memory and signals, but not the descriptors.
        "descriptors of one thread": lambda: system.syscall(
            56 if is_x86 else 220, 0x10900, 0, 0, 0, 0
        ),
        "terminal": lambda: system.ioctl(0, 0x5412, room),
    }
    if is_x86:
        calls["fork of the 32-bit interface"] = lambda: system.syscall(0x40000000 + 57)
    results = {}
    for name, call in calls.items():
        ctypes.set_errno(0)
        results[name] = "ok" if call() >= 0 else errno.errorcode.get(ctypes.get_errno(), "failed")
    return results


def fill_disk(count: int, mebibytes: int, is_hidden: bool) -> str:
    """Write files, hidden ones without a name; how it ends."""
    block = bytes(1 << 20)
    held = []
    for number in range(count):
        try:
            descriptor = os.open(f"part-{number}", os.O_WRONLY | os.O_CREAT)
            if is_hidden:
                held.append(descriptor)
                os.unlink(f"part-{number}")  # noqa: PTH108
            for _ in range(mebibytes):
                os.write(descriptor, block)
            if not is_hidden:
                os.close(descriptor)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
    return "written"


def allocate_disk() -> str:
    """How reserving blocks of a disk without writing them ends."""
    descriptor = os.open("reserved", os.O_WRONLY | os.O_CREAT)
    system = ctypes.CDLL(None, use_errno=True)
    if system.fallocate(descriptor, 0, ctypes.c_long(0), ctypes.c_long(1 << 20)) == 0:
        return "ok"
    return errno.errorcode[ctypes.get_errno()]


def nest_folders(depth: int) -> int:
    """Create folders inside of each other, more deeply than a path can name; how many."""
    for number in range(depth):
        try:
            os.mkdir("d", 0o700)  # noqa: PTH102
            os.chdir("d")
        except OSError:
            return number
    return depth


def forge_results(kind: str) -> None:
    """Falsify, in all parsers, each result for a text that has the word FORGED.

    It stands for a parser that such a document has taken over.
    """
    main = sys.modules["__main__"]
    honest = main.encode_result

    def encode_result(task: object, value: object) -> bytes:
        if isinstance(value, PreparedDocument) and "FORGED" in value.parsed.text:
            value = forged(value, kind)
        reply: bytes = honest(task, value)
        return reply

    main.encode_result = encode_result  # type: ignore[attr-defined]


def forge_listing(sha256_hex: str) -> None:
    """Falsify the listing of each container: its documents have the bytes with this digest."""
    main = sys.modules["__main__"]
    honest = main.encode_result

    def encode_result(task: object, value: object) -> bytes:
        if isinstance(value, list) and all(isinstance(each, Member) for each in value):
            digest = bytes.fromhex(sha256_hex)
            value = [dataclasses.replace(each, sha256=digest) for each in value]
        reply: bytes = honest(task, value)
        return reply

    main.encode_result = encode_result  # type: ignore[attr-defined]


def forged(made: PreparedDocument, kind: str) -> PreparedDocument:
    """A false result of the declared type."""
    parsed, chunks = made.parsed, made.chunks or ()
    by = parsed.produced_by
    wide, nul = 1 << 40, "a\0b"
    texts: dict[str, dict[str, object]] = {
        "no text": {"text": " \n"},
        "title": {"title": nul},
        "encoding": {"encoding": nul},
        "long media type": {"media_type": "text/" + "x" * 1_000},
        "control character": {"media_type": "text/plain\x1b[2J"},
        "note": {"notes": (nul,)},
        "long title": {"title": "x" * 301},
        "long heading": {"headings": (Heading(0, 1, "x" * 301),)},
        "long notes": {"notes": ("x" * 1_000_001,)},
        "many notes": {"notes": ("",) * 1_000_001},
        "many headings": {"headings": (Heading(0, 1, "A"),) * (len(parsed.text) + 1)},
        "many facts": {"facts": {f"fact {number}": 1 for number in range(1_001)}},
        "heading": {"headings": (Heading(0, 1, nul),)},
        "level": {"headings": (Heading(0, -1, "A"),)},
        "order of headings": {"headings": (Heading(9, 1, "A"), Heading(0, 1, "B"))},
        "order of pages": {"page_starts": (9, 0)},
        "name of a fact": {"facts": {nul: 1}},
        "large fact": {"facts": {"attachments": wide}},
        "negative fact": {"facts": {"pages": -1}},
        "service": {"produced_by": dataclasses.replace(by, service="llamaparse")},
        "mode": {"produced_by": dataclasses.replace(by, mode="real")},
        "version": {"produced_by": dataclasses.replace(by, version="99")},
        "model": {"produced_by": dataclasses.replace(by, model=nul)},
        "degraded": {"produced_by": dataclasses.replace(by, is_degraded=not by.is_degraded)},
    }
    parts: dict[str, dict[str, object]] = {
        "tokens": {"token_count": wide},
        "few tokens": {"token_count": 0},
        "page": {"page_first": wide, "page_last": wide},
        "heading path": {"heading_path": (nul,)},
        "header": {"repeated_header": nul, "sha256": sha256((nul + parsed.text).encode()).digest()},
    }
    if kind in texts:
        return dataclasses.replace(
            made,
            parsed=dataclasses.replace(parsed, **texts[kind]),  # type: ignore[arg-type]
            chunks=() if kind == "no text" and made.chunks is not None else made.chunks,
        )
    if kind in parts:
        changed = [dataclasses.replace(each, **parts[kind]) for each in chunks]  # type: ignore[arg-type]
        return dataclasses.replace(made, chunks=changed)
    if kind == "no chunks":
        return dataclasses.replace(made, chunks=None)
    if kind == "empty chunks":
        return dataclasses.replace(made, chunks=())
    return dataclasses.replace(made, parse_seconds=-1.0 if kind == "seconds" else 1e300)


FORGED_KINDS = (
    *("no text", "title", "encoding", "long media type", "control character", "note", "heading"),
    *("level", "order of headings", "order of pages", "name of a fact", "large fact"),
    *("negative fact", "service", "mode", "version", "model", "degraded", "tokens", "few tokens"),
    *("page", "heading path", "header", "seconds", "long"),
    *("long title", "long heading", "long notes", "many notes", "many headings", "many facts"),
    *("no chunks", "empty chunks"),
)


def start_threads() -> int:
    """Start threads for ever."""
    while True:
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def open_pipes() -> int:
    """The number of pipes that can be filled; their buffers are no memory of the process."""
    count = 0
    while True:
        try:
            _, write = os.pipe()
        except OSError:
            return count
        count += 1
        os.set_blocking(write, False)
        os.write(write, bytes(1 << 16))


def write_large_file() -> str:
    """How writing a file of more than the limit ends."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open("large", "wb") as file:
        try:
            for _ in range(192):
                file.write(bytes(1 << 20))
                file.flush()
        except OSError as error:
            return errno.errorcode[error.errno or 0]
    return "written"
