"""Landlock: the kernel refuses this process all files, whatever its user may open.

Descriptors that are open already stay usable. See landlock(7); system calls 444 to 446 have the
same number on every machine.
"""

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipeline.decode.confine.kernel import call

_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION: Final = 1
_BENEATH: Final = 1
_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_SOCKET, _MAKE_DEVICES = 1 << 5, 1 << 9, 1 << 6 | 1 << 11
_OF_FILES: Final = _EXECUTE | _WRITE | _READ | 1 << 14  # and to cut them
_ALL_NETWORK: Final = 0b11  # bind and connect of TCP
_ALL_SCOPES: Final = 0b11  # abstract sockets and signals do not reach outside


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def refuse_files(
    but: Iterable[str] = (), writing: Iterable[str] = (), sockets: Path | None = None
) -> int:
    """Refuse this process, for ever, every file, and signals and TCP where the kernel can.

    Needs `PR_SET_NO_NEW_PRIVS`.

    Args:
        but: files and folders that may still be read; those that do not exist are left out.
        writing: those that may be written too; whoever has any may run programs of the others.
        sockets: a folder in which sockets may be made, and files removed.

    Returns:
        The version of Landlock that holds, or 0 if the kernel has none.
    """
    writing = tuple(writing)
    try:
        version = call("syscall", _CREATE, 0, 0, _ASK_VERSION)
        rules = _create(version)
    except OSError:
        return 0
    try:
        for path in but:
            _allow(rules, path, _READ | _LIST | (_EXECUTE if writing else 0))
        for path in writing:
            _allow(rules, path, _file_rights(version) & ~_EXECUTE & ~_MAKE_DEVICES)
        if sockets:
            _allow(rules, str(sockets), _MAKE_SOCKET | _REMOVE_FILE)
        call("syscall", _RESTRICT_SELF, rules, 0)
    except OSError:
        return 0
    finally:
        os.close(rules)
    return version


def _create(version: int) -> int:
    """A ruleset that refuses all that this version knows of; it must not name more."""
    rules = _Ruleset(_file_rights(version), _ALL_NETWORK, _ALL_SCOPES)
    size = 8 if version < 4 else 16 if version < 6 else 24
    return call("syscall", _CREATE, ctypes.addressof(rules), size, 0)


def _file_rights(version: int) -> int:
    """13 rights at first, then one more with each of the versions 2, 3 and 5."""
    return (1 << 13 + (version >= 2) + (version >= 3) + (version >= 5)) - 1


def _allow(rules: int, path: str, rights: int) -> None:
    with suppress(FileNotFoundError):
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            of_kind = rights if Path(path).is_dir() else rights & _OF_FILES
            rule = _Beneath(of_kind, opened)
            call("syscall", _ADD_RULE, rules, _BENEATH, ctypes.addressof(rule), 0)
        finally:
            os.close(opened)
