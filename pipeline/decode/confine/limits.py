"""Limits: how much CPU, memory and descriptors the kernel gives a child."""

import os
import resource
from pathlib import Path
from typing import Final

from pipeline.decode.plan import Limits

_FILES: Final = 64


def limit_resources(limits: Limits, medium_bytes: int, inherited_bytes: int) -> None:
    """Set the limits of this process.

    Args:
        limits: what a medium may cost.
        medium_bytes: its size.
        inherited_bytes: address space that the process has taken before it sees the medium; 0
            if the kernel does not say, then memory cannot be limited.
    """
    total = limits.total_cpu_s + (medium_bytes >> 20) * limits.cpu_s_per_mib
    resource.setrlimit(resource.RLIMIT_CPU, (min(limits.cpu_s, total), total))
    if inherited_bytes:
        memory = inherited_bytes + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def allow_cpu(seconds: int) -> None:
    """Give this process so much more CPU time; beyond it the kernel sends SIGXCPU."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    used = int(usage.ru_utime + usage.ru_stime) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (min(used + seconds, hard), hard))


def address_space() -> int:
    """Bytes of address space that this process has taken; 0 where the kernel does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0
