"""CPU of small pictures, against an earlier commit in the same run.

`decode` only reads the pictures; `index` is the whole command. The pictures have one colour each,
so they count as blank and the model is not asked: what is left is our own. CPU seconds are those
of a process of its own and of all that it started, start and libraries included. The commit
stands before children were forked from a zygote: there each was a Python started anew.
"""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.common import ROOT, Report, cpu_seconds, note, parser, show

ALLOWED: Final = 0.2
_BEFORE: Final = "cdc6cd4"
_SIDE: Final = 64
_DECODE: Final = """
import sys
from pathlib import Path
from pipeline.decode import DecodePlan, Sampling, decode
plan = DecodePlan(Sampling("rate", 1.0))
for path in Path(sys.argv[1]).iterdir():
    assert len(list(decode(path, plan))) == 2
"""
_INDEX: Final = """
import sys
from reelpage import main
sys.argv[1:] = ["index", sys.argv[1], "--to", sys.argv[2], "--json"]
main()
"""
_WAYS: Final = {"decode": _DECODE, "index": _INDEX}


def pictures(folder: Path, count: int) -> Path:
    """Make so many pictures that differ."""
    folder.mkdir()
    for number in range(count):
        colour = (number % 256, number // 256 % 256, 128)
        Image.new("RGB", (_SIDE, _SIDE), colour).save(folder / f"{number}.png")
    return folder


@contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path]:
    """The repository as it was, in a folder of its own."""
    git = ["git", "-C", str(ROOT), "worktree"]
    place = folder / "before"
    subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=True)


def taken(way: str, root: Path, media: Path) -> float:
    """CPU of the code in `root` and of its children."""
    with tempfile.TemporaryDirectory() as lake:
        cpu_s = cpu_seconds(["-c", _WAYS[way], str(media), lake], root)
    note(f"{way} in {root}: {cpu_s:.0f} CPU s")
    return cpu_s


def compare(way: str, media: Path, before: Path) -> Report:
    """CPU now and before, and how they stand to each other."""
    count = len(list(media.iterdir()))
    now, then = (taken(way, root, media) for root in (ROOT, before))
    return {
        "way": way,
        "pictures": count,
        "cpu_s": round(now, 1),
        "before_cpu_s": round(then, 1),
        "ms_each": round(now / count * 1000, 1),
        "before_ms_each": round(then / count * 1000, 1),
        "ratio": round(now / then, 3),
        "within": now / then <= ALLOWED,
    }


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--count", type=int, default=1000, help="of pictures")
    options.add_argument("--ways", nargs="+", choices=_WAYS, default=list(_WAYS))
    options.add_argument("--before", default=_BEFORE, metavar="COMMIT", help="to compare with")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="reelpage-") as name:
        folder = Path(name)
        media = pictures(folder / "pictures", chosen.count)
        with checkout(chosen.before, folder) as before:
            rows = [compare(way, media, before) for way in chosen.ways]
    show("small_pictures", rows, as_json=chosen.json, before=chosen.before, allowed_ratio=ALLOWED)


if __name__ == "__main__":
    main()
