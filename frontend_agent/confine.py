"""A process that decodes what a stranger made gives everything else up first (threat D8). For child processes that do one thing.

What is left to it: its memory, its processor seconds, and the files that are open already. It cannot open another, start or
signal a process, or reach a network; and nothing that takes it over can, either. Two things hold it: resource limits
(POSIX), and on Linux a list of the system calls that it may still make (seccomp), which not even root gets around.
"""

import ctypes
import os
import platform
import struct
import sys

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_FILTER = 2  # SECCOMP_MODE_FILTER
_ALLOW, _REFUSE, _KILL = 0x7FFF_0000, 0x0005_0001, 0x8000_0000  # refused calls read as EPERM
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF: load a word, jump if equal, return
_ARCHITECTURES = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}

# What reading, computing and writing to what is open needs: numbers on x86_64 and on aarch64 (-1: not there).
# clone is not among them: numbers of threads are what they were.
_CALLS = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62), "mmap": (9, 222), "mprotect": (10, 226),
    "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139),
    "pread64": (17, 67), "readv": (19, 65), "writev": (20, 66), "sched_yield": (24, 124), "mremap": (25, 216), "madvise": (28, 233),
    "getpid": (39, 172), "exit": (60, 93), "gettimeofday": (96, 169), "getrusage": (98, 165), "times": (100, 153),
    "sigaltstack": (131, 132), "gettid": (186, 178), "futex": (202, 98), "clock_gettime": (228, 113), "clock_nanosleep": (230, 115),
    "exit_group": (231, 94), "newfstatat": (262, -1), "getrandom": (318, 278), "restart_syscall": (219, 128),
}  # fmt: skip


def confine(memory: int, seconds: int) -> None:
    """From here on, for good: so many bytes of memory more than now, so many seconds of processor time, nothing new.

    OSError: it cannot be done here; then nothing may be decoded.
    """
    if sys.platform == "win32":
        raise OSError("processes cannot be confined on this system")
    import resource

    _limit(resource.RLIMIT_CPU, seconds)
    _limit(resource.RLIMIT_AS, _address_space() + memory)
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
        _limit(limit, 0)  # no core with pixels in it, no file written, no process, no descriptor
    if sys.platform == "linux":
        _only_these_calls()


def _limit(which: int, most: int) -> None:
    if sys.platform == "win32":
        raise OSError("not on this system")
    import resource

    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(which, (most, most))


def _address_space() -> int:
    """Bytes mapped now: the limit counts them, also those of libraries and files."""
    if sys.platform == "win32":
        raise OSError("not on this system")
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0  # not Linux: the limit is then of everything


def _only_these_calls() -> None:
    """seccomp(2), mode filter. On a machine whose numbers we do not have, the limits alone hold."""
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        return
    column = 0 if platform.machine() == "x86_64" else 1
    numbers = sorted({call[column] for call in _CALLS.values() if call[column] >= 0})
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    program += [(_EQUAL, len(numbers) - at, 0, number) for at, number in enumerate(numbers)]
    program += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))

    told = Program(len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    steps = (
        (_PR_SET_DUMPABLE, zero, zero),
        (_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero),
        (_PR_SET_SECCOMP, ctypes.c_ulong(_FILTER), ctypes.byref(told)),
    )
    for what, first, second in steps:
        if libc.prctl(what, first, second, zero, zero):
            raise OSError(ctypes.get_errno(), "this process cannot be confined")
