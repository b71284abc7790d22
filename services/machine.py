"""Machine: this computer's own address, its memory and that of this process, Linux and macOS."""

import os
import re
import resource
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
_STATUS: Final = Path("/proc/self/status")


def total_memory() -> int:
    """Memory of the computer in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def peak_memory(status: Path = _STATUS) -> int:
    """Largest resident memory of this process so far, in bytes.

    Args:
        status: the kernel's report on the process. macOS has none, but an honest `ru_maxrss`;
            that of Linux counts what the parent held as well.
    """
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    return int(found[1]) * 1024 if found else 0
