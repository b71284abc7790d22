"""Seccomp: the kernel refuses this process all system calls but those that decoding needs.

A list of what is allowed, not of what is refused, so that calls of kernels to come are refused
too. What is not on it fails with EPERM: no socket, no program, no fork, no signal, no ptrace.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from typing import Final

from pipeline.decode.confine.kernel import call

_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2
_KILL, _ERROR, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_REFUSE, _UNKNOWN = _ERROR | errno.EPERM, _ERROR | errno.ENOSYS

# Instructions of classic BPF: load a word of the call's record, compare, answer.
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _ANSWER = 0x20, 0x15, 0x45, 0x06
_NUMBER_AT, _MACHINE_AT, _FIRST_AT, _THIRD_AT = 0, 4, 16, 32  # low words of little-endian fields
_MACHINES: Final = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_ALLOWED: Final = {  # x86_64, aarch64
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "getppid": (110, 173),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "set_robust_list": (273, 99),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "rseq": (334, 293),
}
_TO_READ: Final = {  # the first is an old form that only x86_64 has
    "stat": (4, 79),
    "getdents64": (217, 61),
    "newfstatat": (262, 79),
    "statx": (332, 291),
}
_OPENAT: Final = (257, 56)
_CLONE: Final = (56, 220)
_CLONE3: Final = 435
_CLONE_THREAD: Final = 0x00010000
_TGKILL: Final = (234, 131)  # how a process aborts
_PRLIMIT64: Final = (302, 261)
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def refuse_calls(*, opening: bool) -> bool:
    """Refuse this process, for ever, all calls that decoding does not need.

    Needs `PR_SET_NO_NEW_PRIVS`.

    Args:
        opening: whether files may be opened for reading, because something else says which.

    Returns:
        Whether it holds: the kernel has it, and this kind of machine is known.
    """
    if platform.machine() not in _MACHINES:
        return False
    code = b"".join(_filter(*_MACHINES[platform.machine()], opening))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    try:
        call("prctl", _PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program), 0, 0)
    except OSError:
        return False
    return True


def _filter(column: int, machine: int, opening: bool) -> Iterator[bytes]:
    yield _instruction(_LOAD, _MACHINE_AT)
    yield _instruction(_IF_EQUAL, machine, 1, 0)
    yield _instruction(_ANSWER, _KILL)  # a call in the manner of another machine
    yield _instruction(_LOAD, _NUMBER_AT)
    for numbers in (_ALLOWED | _TO_READ if opening else _ALLOWED).values():
        yield _instruction(_IF_EQUAL, numbers[column], 0, 1)
        yield _instruction(_ANSWER, _ALLOW)
    yield _instruction(_IF_EQUAL, _CLONE3, 0, 1)
    yield _instruction(_ANSWER, _UNKNOWN)  # its flags cannot be seen; libraries fall back on clone
    yield from _only(_CLONE[column], _FIRST_AT, _IF_ANY_BIT, _CLONE_THREAD)
    yield from _only(_TGKILL[column], _FIRST_AT, _IF_EQUAL, os.getpid())
    yield from _only(_PRLIMIT64[column], _FIRST_AT, _IF_EQUAL, 0)  # its own limits
    if opening:
        yield from _only(_OPENAT[column], _THIRD_AT, _IF_ANY_BIT, _WRITING, is_allowed=False)
    yield _instruction(_ANSWER, _REFUSE)


def _only(
    number: int, argument_at: int, test: int, value: int, *, is_allowed: bool = True
) -> Iterator[bytes]:
    """Allow a call only if one of its arguments passes a test, or only if it does not."""
    then, otherwise = (0, 1) if is_allowed else (1, 0)
    yield _instruction(_IF_EQUAL, number, 0, 4)
    yield _instruction(_LOAD, argument_at)
    yield _instruction(test, value, then, otherwise)
    yield _instruction(_ANSWER, _ALLOW)
    yield _instruction(_ANSWER, _REFUSE)


def _instruction(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction; `if_true` and `if_false` are how many of the next ones to leave out."""
    return struct.pack("=HBBI", code, if_true, if_false, operand)
