"""The system calls of a worker process: a seccomp filter that permits what parsing needs.

What belongs here: the list of calls, and the filter program. What does not: files and accounts
(`parsing.confinement`).

A call that is not listed fails with EPERM, as programs expect of a call that is not permitted: no
program can be started, no process forked, no socket opened or connected, no other process read or
traced, no attribute of a file changed. A call that is newer than this list fails with ENOSYS, as on
an older kernel, and so does ``clone3``, whose arguments a filter can't see: the C library then uses
``clone``. ``fallocate`` is not permitted, because it takes a disk faster than the parent can
notice; programs then write. Calls that are harmless only with some arguments are in `_BY_ARGUMENT`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

# Name, number on x86_64, number on aarch64, from the headers of Linux.
_ALLOWED = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69,
pwritev 296 70, preadv2 327 286, pwritev2 328 287, open 2 -, openat 257 56, creat 85 -,
close 3 57, close_range 436 436, stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79,
statx 332 291, access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -,
readlinkat 267 78, getdents 78 -, getdents64 217 61, getcwd 79 17, chdir 80 49, fchdir 81 50,
lseek 8 62, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -, unlinkat 263 35, rename 82 -,
renameat 264 38, renameat2 316 276, ftruncate 77 46, fsync 74 82,
fdatasync 75 83, fadvise64 221 223, statfs 137 43, fstatfs 138 44, dup 32 23, dup2 33 -,
dup3 292 24, flock 73 32, umask 95 166, sendto 44 206, recvfrom 45 207, poll 7 -,
ppoll 271 73, select 23 -, pselect6 270 72,
pipe 22 -, pipe2 293 59, eventfd2 290 19, epoll_create1 291 20, epoll_ctl 233 21,
epoll_wait 232 -, epoll_pwait 281 22, mmap 9 222, munmap 11 215, mremap 25 216, mprotect 10 226,
madvise 28 233, msync 26 227, mincore 27 232, brk 12 214, membarrier 324 283, futex 202 98,
set_robust_list 273 99, get_robust_list 274 100, rseq 334 293, set_tid_address 218 96,
exit 60 93, exit_group 231 94, sched_yield 24 124, sched_getaffinity 204 123,
sched_getparam 143 121, sched_getscheduler 145 120, sched_get_priority_max 146 125,
sched_get_priority_min 147 126, getpriority 140 141, getcpu 309 168, clock_gettime 228 113,
clock_getres 229 114, clock_nanosleep 230 115, nanosleep 35 101, gettimeofday 96 169, time 201 -,
times 100 153, getitimer 36 102, setitimer 38 103, alarm 37 -, pause 34 -, rt_sigaction 13 134,
rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136, rt_sigsuspend 130 133,
rt_sigtimedwait 128 137, sigaltstack 131 132, restart_syscall 219 128, getpid 39 172,
getppid 110 173, gettid 186 178, getpgrp 111 -, getpgid 121 155, getsid 124 156, getuid 102 174,
geteuid 107 175, getgid 104 176, getegid 108 177, getgroups 115 158, getresuid 118 148,
getresgid 120 150, getrlimit 97 163, getrusage 98 165, sysinfo 99 179, uname 63 160,
getrandom 318 278, arch_prctl 158 -
"""
_CLONE3 = 435
_NEWEST = 451
"""The newest call that this list has considered."""
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_TCGETS, _TCGETS2, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX = (
    *(0x5401, 0x802C542A),
    *(0x541B, 0x5421, 0x5450, 0x5451),
)
_SET_NAME, _GET_NAME, _GET_DUMPABLE, _SET_VMA = 15, 16, 3, 0x53564D41
_UNIX, _STREAM, _SOCKET_FLAGS = 1, 1, (0x800, 0x80000)
_CLONE_VM, _CLONE_FILES, _CLONE_THREAD = 0x100, 0x400, 0x10000
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_HUGETLB = 0x1, 0x20, 0x40000
_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_GETLK, _F_SETLK, _F_SETLKW = range(8)
_F_DUPFD_CLOEXEC = 1030

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP = (317, 277)


def _by_argument(own_process: int) -> tuple[tuple[int, int, int, tuple[int, ...]], ...]:
    """Number on x86_64 and on aarch64, position of the argument, and its permitted values."""
    return (
        (62, 129, 0, (own_process,)),  # kill
        (200, 130, 0, (own_process,)),  # tkill
        (234, 131, 0, (own_process,)),  # tgkill
        (302, 261, 0, (0, own_process)),  # prlimit64
        (157, 167, 0, (_SET_NAME, _GET_NAME, _GET_DUMPABLE, _SET_VMA)),  # prctl
        (16, 29, 1, (_TCGETS, _TCGETS2, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX)),  # ioctl
        # Pairs of connected stream sockets, by which the threads of a library wake each other.
        (53, 199, 1, tuple(_STREAM | flags for flags in (0, *_SOCKET_FLAGS, sum(_SOCKET_FLAGS)))),
        # fcntl, without those that choose a process to be sent signals.
        (
            *(72, 25, 1),
            (
                *(_F_DUPFD, _F_DUPFD_CLOEXEC, _F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL),
                *(_F_GETLK, _F_SETLK, _F_SETLKW),
            ),
        ),
    )


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("<HBBI", code, then, otherwise, value)


def _program(machine: str, own_process: int) -> bytes:
    column, architecture = _MACHINES[machine]
    steps = [
        _step(_LOAD, 4),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL),
        _step(_LOAD, 0),
    ]
    # Memory that is shared with nobody, or huge pages: neither counts as resident.
    steps += [
        _step(_EQUAL, (9, 222)[column], 0, 6),
        _step(_LOAD, 16 + 8 * 3),
        _step(_ANY_BIT, _MAP_HUGETLB, 2, 0),
        _step(_ANY_BIT, _MAP_ANONYMOUS, 0, 2),
        _step(_ANY_BIT, _MAP_SHARED, 0, 1),
        _step(_RETURN, _ERRNO | errno.EPERM),
        _step(_LOAD, 0),
    ]
    for entry in _ALLOWED.replace("\n", " ").split(","):
        number = entry.split()[1 + column]
        if number != "-":
            steps += [_step(_EQUAL, int(number), 0, 1), _step(_RETURN, _ALLOW)]
    # No other family of sockets than Unix, whichever the kernel has.
    steps += [
        _step(_EQUAL, (53, 199)[column], 0, 4),
        _step(_LOAD, 16),
        _step(_EQUAL, _UNIX, 1, 0),
        _step(_RETURN, _ERRNO | errno.EPERM),
        _step(_LOAD, 0),
    ]
    for *numbers, position, permitted in _by_argument(own_process):
        # Skipped unless it is this call: load, two steps per value, and the refusal.
        steps.append(_step(_EQUAL, numbers[column], 0, 2 * len(permitted) + 2))
        steps.append(_step(_LOAD, 16 + 8 * position))
        for value in permitted:
            steps += [_step(_EQUAL, value, 0, 1), _step(_RETURN, _ALLOW)]
        steps.append(_step(_RETURN, _ERRNO | errno.EPERM))
    # A new thread is permitted, a new process is not. It must share the table of descriptors, whose
    # limit would otherwise be one for each thread.
    steps += [
        _step(_EQUAL, (56, 220)[column], 0, 5),
        _step(_LOAD, 16),
        _step(_ANY_BIT, _CLONE_THREAD, 0, 5),
        _step(_ANY_BIT, _CLONE_FILES, 0, 4),
        _step(_ANY_BIT, _CLONE_VM, 0, 3),
        _step(_RETURN, _ALLOW),
        _step(_EQUAL, _CLONE3, 2, 0),
        _step(_AT_LEAST, _NEWEST + 1, 1, 0),
        _step(_RETURN, _ERRNO | errno.EPERM),
        _step(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    return b"".join(steps)


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def restrict_system_calls() -> bool:
    """Permit only the listed system calls from now on; returns whether the kernel does so.

    The process must have set PR_SET_NO_NEW_PRIVS before.
    """
    machine = platform.machine()
    if machine not in _MACHINES or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    steps = _program(machine, os.getpid())
    buffer = ctypes.create_string_buffer(steps, len(steps))
    program = _FilterProgram(len(steps) // 8, ctypes.addressof(buffer))
    number = _SECCOMP[_MACHINES[machine][0]]
    system = ctypes.CDLL(None, use_errno=True)
    return bool(system.syscall(number, _SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(program)) == 0)
