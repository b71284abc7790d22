"""What the code knows of a machine, where the kernel reports it and where it does not."""

import resource
import subprocess
import sys
from pathlib import Path

from services.machine import peak_memory, total_memory
from tests.conftest import ROOT

MIB = 1 << 20


def test_total_memory_is_what_the_kernel_reports() -> None:
    report = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    assert total_memory() == int(report["MemTotal"].split()[0]) * 1024


def test_peak_memory_counts_what_was_given_back() -> None:
    block = bytearray(b"x") * (300 * MIB)
    del block
    assert peak_memory() >= 300 * MIB


def test_peak_memory_without_a_report_is_that_of_rusage(tmp_path: Path) -> None:
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert peak_memory(tmp_path / "no status") >= held > 0


def test_windows_is_refused_in_one_line() -> None:
    code = "import sys; sys.modules['fcntl'] = None; import reelpage; reelpage.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr == "reelpage runs on Linux and macOS; on Windows, run it inside WSL\n"
