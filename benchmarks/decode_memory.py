"""Peak memory of decoding, and of a whole `index`, for a 3-hour video against a 3-minute one.

Each measurement is a process of its own, started afresh. `decode` only reads the shards; `index`
runs all stages, with a reader that answers at once, because a model on a CPU would take days for
the long video; `index-late` has a reader that starts only when decoding has run as far ahead as
it may, which is what any slower model leads to. No model is loaded, nor the recogniser of
text, which alone takes more memory than all of this.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from benchmarks.clips import clip
from benchmarks.common import ROOT, Report, note, parser, show, status, watch
from pipeline.decode import DecodePlan, Sampling, decode
from pipeline.decode.launch import zygote
from schemas.shards import Shard

MINUTES: Final = 3
RATES: Final = (0.1, 1.0)
KINDS: Final = ("decode", "index", "index-late")
_WIDTH: Final = 168
_MIB: Final = 1024  # KiB
_STILL_S: Final = 5.0


class Children:
    """The highest resident size of the decoding children of this process, KiB.

    What a child shares with its zygote is in it.
    """

    def __init__(self) -> None:
        self.peak = 0

    def look(self) -> None:
        """Update the peak: the kernel's own high-water mark, so that looking seldom is enough."""
        parent = zygote().pid
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if parent in status(folder.name, "PPid"):
                    self.peak = max([self.peak, *status(folder.name, "VmHWM")])  # it may end


@contextmanager
def watched() -> Iterator[Children]:
    """Look at the children while a block runs."""
    children, done = Children(), threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            children.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield children
    finally:
        done.set()
        thread.join()


def _decode(path: Path, rate: float) -> int:
    plan = DecodePlan(Sampling("rate", rate), _WIDTH)
    return sum(item.rows.num_rows for item in decode(path, plan) if isinstance(item, Shard))


def _index(path: Path, rate: float, *, late: bool) -> int:
    from benchmarks.silent_reader import SilentReader, index

    with tempfile.TemporaryDirectory(prefix="reelpage-") as folder:
        reader = SilentReader(_STILL_S if late else 0.0)
        return index(path, Path(folder) / "lake", f"{rate:g}fps", reader)


_RUNS: Final[dict[str, Callable[[Path, float], int]]] = {
    "decode": _decode,
    "index": lambda path, rate: _index(path, rate, late=False),
    "index-late": lambda path, rate: _index(path, rate, late=True),
}


def measure(kind: str, path: Path, rate: float) -> Report:
    """Measure this very process; call it in a fresh one.

    `ru_maxrss` would not do: it starts from the memory of whoever started the process.
    """
    with watched() as children, watch() as taken:
        frames = _RUNS[kind](path, rate)
    return {
        "frames": frames,
        "seconds": round(taken.seconds, 1),
        "parent_mib": round(status("self", "VmHWM")[0] / _MIB, 1),
        "child_mib": round(children.peak / _MIB, 1),
    }


def _fresh(kind: str, path: Path, rate: float) -> Report:
    command = [sys.executable, "-m", "benchmarks.decode_memory", "--measure", kind, str(path)]
    started = time.monotonic()
    done = subprocess.run(
        [*command, str(rate)], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True
    )
    note(f"{kind} {path.name} at {rate:g} fps: {time.monotonic() - started:.0f} s")
    found: Report = json.loads(done.stdout)
    return found


def compare(
    kinds: Sequence[str], rates: Sequence[float], minutes: int, folder: Path
) -> list[Report]:
    """A row for each kind and rate: short against long, and the ratio of peaks."""
    short, long = clip(folder, MINUTES), clip(folder, minutes)
    rows: list[Report] = []
    for kind in kinds:
        for rate in rates:
            few, many = _fresh(kind, short, rate), _fresh(kind, long, rate)
            ratios = {
                f"{who}_ratio": round(many[f"{who}_mib"] / few[f"{who}_mib"], 3)
                for who in ("parent", "child")
            }
            worst = max(ratios.values())
            rows.append(
                {"kind": kind, "fps": rate, "short": few, "long": many, **ratios, "ratio": worst}
            )
    return rows


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--minutes", type=int, default=180, help="of the long video")
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    options.add_argument("--rates", nargs="+", type=float, default=RATES, metavar="FPS")
    folder = Path(tempfile.gettempdir()) / "reelpage-benchmarks"
    options.add_argument("--folder", type=Path, default=folder, help="where clips are kept")
    options.add_argument("--measure", nargs=3, metavar=("KIND", "PATH", "FPS"), help="one of them")
    chosen = options.parse_args()
    if chosen.measure:
        kind, path, rate = chosen.measure
        print(json.dumps(measure(kind, Path(path), float(rate))))
        return
    rows = compare(chosen.kinds, chosen.rates, chosen.minutes, chosen.folder)
    show("decode_memory", rows, as_json=chosen.json, reader="stub")


if __name__ == "__main__":
    main()
