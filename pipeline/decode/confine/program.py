"""Program: the walls around a program that is none of ours, which this process becomes.

It needs files of its own, and system calls that decoding does not: so it has a folder in which it
may write, reads where programs and their fonts lie, and has no list of system calls.
"""

import ctypes
import os
import resource
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pipeline.decode.confine.confinement import prepare
from pipeline.decode.confine.kernel import call
from pipeline.decode.confine.landlock import refuse_files
from pipeline.decode.confine.user import OWN_USER, become_own_user, drop_capabilities

_CLONE_NEWNS: Final = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
_TEMPORARY: Final = Path("/tmp")  # where programs put sockets, whatever they are told
_READ: Final = (
    *("/usr", "/lib", "/lib64", "/bin", "/opt", "/dev/urandom", "/sys/devices/system/cpu"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/var/cache/fontconfig"),
    *("/etc/libreoffice", "/var/lib/libreoffice", "/var/spool/libreoffice"),
)
_FILES: Final = 1024


def become(
    program: str, arguments: Sequence[str], folder: Path, *, memory_bytes: int, cpu_s: int
) -> None:
    """Put up the walls and become the program; returns only by raising.

    Args:
        program: path of the program.
        arguments: for it; `{}` in one stands for the folder as it sees it.
        folder: in which it may write, where it also has its home.
        memory_bytes: address space.
        cpu_s: CPU seconds.

    Raises:
        OSError: the program cannot be started.
    """
    if os.geteuid() == 0:
        os.chown(folder, OWN_USER, OWN_USER)
    prepare()
    if _has_own_temporary(folder):
        folder = _TEMPORARY
    become_own_user()
    drop_capabilities()
    reading, writing = (*_READ, str(_home(Path(program)))), (str(folder), "/dev/null")
    # Without a namespace it may remove files of its user there; of another user it may not.
    refuse_files(reading, writing, sockets=None if folder == _TEMPORARY else _TEMPORARY)
    _limit(memory_bytes, cpu_s)
    place = {"HOME": str(folder), "TMPDIR": str(folder), "PATH": "/usr/bin:/bin"}
    whole = [program, *(one.replace("{}", str(folder)) for one in arguments)]
    os.chdir(folder)
    os.execve(program, whole, {**place, "LC_ALL": "C.UTF-8"})


def _home(program: Path) -> Path:
    """Where a program lies with what belongs to it."""
    folder = program.resolve().parent
    return folder.parent if folder.name == "program" else folder


def _has_own_temporary(folder: Path) -> bool:
    """Show the folder as `/tmp` to this process alone, where the kernel lets it."""
    source, root, target = (
        ctypes.create_string_buffer(os.fsencode(path)) for path in (folder, "/", _TEMPORARY)
    )
    with suppress(OSError):
        call("unshare", _CLONE_NEWNS)
        call("mount", 0, ctypes.addressof(root), 0, _MS_REC | _MS_PRIVATE, 0)
        call("mount", ctypes.addressof(source), ctypes.addressof(target), 0, _MS_BIND, 0)
        return True
    return False


def _limit(memory_bytes: int, cpu_s: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (least, least))
