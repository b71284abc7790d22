"""Flame graph of `reelpage index`: whose functions the processor is in, as SVG.

    pip install py-spy
    python -m benchmarks.flame docs/flame.svg [-- index samples --to LAKE --tasks caption]

py-spy looks at the process 50 times a second and notes the stacks of all threads that run; those
that wait are left out, and so is the decoder's child, which nobody may look into. What has less
than half a percent is not drawn. docs/speed.md says how to read it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from benchmarks.common import ROOT, note

_WIDTH: Final = 1200
_ROW: Final = 17
_LEAST: Final = 0.005
_LETTER: Final = 6.2
_COLOURS: Final = {"ours": "#8fc7a4", "model": "#f2b880", "other": "#d6d6d6"}  # by whose it is
_MODEL: Final = ("torch", "transformers", "safetensors")
_OURS: Final = ("pipeline", "services", "schemas", "reelpage.py")


@dataclass
class Frame:
    """A function under its callers, and in how many samples it was."""

    samples: int = 0
    calls: dict[str, "Frame"] = field(default_factory=dict)

    def add(self, stack: Iterable[str], samples: int) -> None:
        """Count a stack, its outermost function first."""
        frame = self
        frame.samples += samples
        for name in stack:
            frame = frame.calls.setdefault(name, Frame())
            frame.samples += samples


def record(arguments: list[str]) -> str:
    """Stacks of a run, one a line with its samples behind it.

    Raises:
        CalledProcessError: the command failed.
    """
    with tempfile.TemporaryDirectory(prefix="reelpage-") as folder:
        stacks, lake = Path(folder) / "stacks", str(Path(folder) / "lake")
        given = arguments or ["index", "samples", "--to", lake, "--tasks", "caption"]
        spy = ["py-spy", "record", "--rate", "50", "--threads", "--function", "--format", "raw"]
        command = [*spy, "--output", str(stacks), "--", sys.executable, "-m", "reelpage", *given]
        note(" ".join(command))
        one = {"OMP_NUM_THREADS": "1", "REELPAGE_THREADS": "1"}
        subprocess.run(command, cwd=ROOT, env=os.environ | one, check=True, stdout=sys.stderr)
        return stacks.read_text()


def tree(stacks: str) -> Frame:
    """All stacks in one; the steps of Python's imports are left out, the modules stay."""
    root = Frame()
    for line in stacks.splitlines():
        names, _, samples = line.rpartition(" ")
        kept = [_short(name) for name in names.split(";") if "<frozen" not in name]
        root.add(kept, int(samples))
    return root


def _short(name: str) -> str:
    """`function (package/module.py:line)`, wherever the package is installed; a thread's name."""
    if name.startswith("thread ("):
        return name.partition("): ")[2].rstrip(")") or "a thread of a library"
    function, _, place = name.partition(" (")
    path = place.rstrip(")").replace(str(ROOT) + "/", "")
    return f"{function} ({path.rpartition('site-packages/')[2]})" if path else function


def drawn(root: Frame) -> str:
    """The tree as SVG, outermost functions at the top; a rectangle's title has its share."""
    boxes = list(_boxes(root, 0.0, 0, root.samples))
    depth = 1 + max((row for row, _ in boxes), default=0)
    size = f'width="{_WIDTH}" height="{depth * _ROW}"'
    style = 'font-family="monospace" font-size="10"'
    body = "\n".join(box for _, box in boxes)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}\n</svg>\n'


def _boxes(frame: Frame, left: float, row: int, total: int) -> Iterator[tuple[int, str]]:
    for name, one in sorted(frame.calls.items()):
        share = one.samples / total
        if share >= _LEAST:
            yield row, _box(name, left, row, share)
            yield from _boxes(one, left, row + 1, total)
        left += share * _WIDTH


def _box(name: str, left: float, row: int, share: float) -> str:
    width, top = share * _WIDTH, row * _ROW
    shown = escape(name[: int(width / _LETTER)]) if width > 3 * _LETTER else ""
    return (
        f"<g><title>{escape(name)} {share:.1%}</title>"
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_ROW - 1}"'
        f' fill="{_COLOURS[_origin(name)]}"/>'
        f'<text x="{left + 2:.1f}" y="{top + 12}">{shown}</text></g>'
    )


def _origin(name: str) -> str:
    package = name.partition(" (")[2].partition("/")[0].rstrip(")")
    if package in _MODEL:
        return "model"
    return "ours" if package in _OURS else "other"


def main() -> None:
    """Record, and draw."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("out", type=Path, help="SVG to write")
    options.add_argument("command", nargs="*", help="of reelpage; default: index of the samples")
    chosen = options.parse_args()
    chosen.out.write_text(drawn(tree(record(chosen.command))))


if __name__ == "__main__":
    main()
