"""Common: facts of the machine, and one way to report."""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from schemas import __version__

ROOT: Final = Path(__file__).resolve().parents[1]
MEDIA: Final = ROOT.parent / "shared" / "media"
_PACKAGES: Final = (
    *("av", "deltalake", "duckdb", "numpy", "pillow", "pyarrow", "scenedetect", "torch"),
    "transformers",
)

Report = dict[str, Any]


def machine() -> Report:
    """Facts without which a figure says nothing; `load` tells whether others were at work."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "reelpage": __version__,
        **{name: found for name in _PACKAGES if (found := _version(name))},
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def commit() -> str:
    """What is checked out, short; with a + behind it if files differ from that."""
    given = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(given, capture_output=True, check=False, text=True).stdout.strip()


@dataclass
class Watch:
    """Wall-clock seconds of a block."""

    seconds: float = 0.0


@contextmanager
def watch() -> Iterator[Watch]:
    """Time a block."""
    found, start = Watch(), time.perf_counter()
    yield found
    found.seconds = time.perf_counter() - start


def cpu_seconds(command: Sequence[str], root: Path = ROOT) -> float:
    """CPU of a Python of its own, by the code in `root`, and of all whose end it waits for.

    The model has one thread, so that none of them spins while it waits for another.

    Raises:
        RuntimeError: it did not end well.
    """
    process = subprocess.Popen(
        [sys.executable, *command],
        env=os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "REELPAGE_THREADS": "1"},
        cwd=root,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        message = f"{command} in {root} ended with {process.returncode}"
        raise RuntimeError(message)
    return usage.ru_utime + usage.ru_stime


def parser(text: str | None) -> argparse.ArgumentParser:
    """A parser of options with `--json`."""
    made = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def note(text: str) -> None:
    """Say on stderr what goes on."""
    print(text, file=sys.stderr, flush=True)


def show(name: str, rows: Sequence[Mapping[str, Any]], *, as_json: bool, **more: object) -> None:
    """Print a report: the rows, one a measurement, and the machine's facts."""
    facts = machine()
    if as_json:
        report = {"benchmark": name, "machine": facts, "results": list(rows), **more}
        print(json.dumps(report, indent=1))
        return
    for row in rows:
        print("  ".join(f"{key}={_plain(value)}" for key, value in row.items()))
    for key, value in more.items():
        print(f"{key}: {value}")
    print("machine: " + ", ".join(f"{key} {value}" for key, value in facts.items()))


def _plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def status(process: str, key: str) -> list[int]:
    """Numbers of a line of `/proc/PROCESS/status`: KiB of memory, or a process; none without it."""
    text = (Path("/proc") / process / "status").read_text()
    return [int(value) for value in re.findall(rf"^{key}:\s+(\d+)", text, re.MULTILINE)]
