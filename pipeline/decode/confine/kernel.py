"""Kernel: calls of Linux that Python does not offer; elsewhere each of them fails."""

import ctypes
import errno
import os
import sys
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: int) -> int:
    """Call a function of the C library that gives a negative number when it fails.

    Args:
        name: `prctl`, `syscall`, `unshare`, `mount` or `capset`.
        arguments: numbers and addresses.

    Raises:
        OSError: it failed, or this is not Linux.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, f"{sys.platform} lacks {name}")
    result = int(getattr(_LIBC, name)(*map(ctypes.c_ulong, arguments)))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
