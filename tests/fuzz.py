"""`python -m tests.fuzz --count 1000`: damaged media, which kill nothing but their own child."""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.decode_memory import watched
from pipeline.decode import DecodePlan, Limits, Sampling, decode
from schemas.errors import InputError
from services.machine import peak_memory
from tests.conftest import MEDIA, SAMPLES

PLAN = DecodePlan(Sampling("rate", 0.5), stop_part=2)
LIMITS = Limits(silence_s=20.0, cpu_s=10, restarts=2)
_GROWTH = 256 << 20  # bytes that the parent may grow by, whatever its children are given
_CHILD = 2 << 30  # bytes that no child may take: its limit, and what it shares with its zygote
_EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Data with some bytes flipped, set to an edge, cut out, repeated, or cut off at the end."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 3, 10, 40))):
        # Heads and tails say where the rest is.
        near = chance.choice((64, 1024, len(changed)))
        at = chance.randrange(min(near, len(changed)))
        at = len(changed) - 1 - at if chance.random() < 0.25 else at
        what = chance.random()
        if what < 0.5:
            changed[at] ^= 1 << chance.randrange(8)
        elif what < 0.8:
            changed[at] = chance.choice(_EDGES)
        elif what < 0.9:
            del changed[at : at + chance.randrange(1, 64)]
        else:
            changed[at:at] = changed[at : at + chance.randrange(1, 64)]
        if not changed:
            break
    if chance.random() < 0.1:
        del changed[chance.randrange(len(changed)) :]
    return bytes(changed)


def fuzz(media: Iterable[Path], count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Decode so many damaged media; yields the name of each and how it ended.

    Raises:
        Exception: anything but an `InputError`, which is a fault of ours.
    """
    paths, chance = sorted(media), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for number in range(count):
            source = paths[number % len(paths)]
            path = Path(folder) / f"damaged{source.suffix}"
            path.write_bytes(mutated(source.read_bytes(), chance))
            try:
                for _ in decode(path, PLAN, limits=LIMITS):
                    pass
            except InputError as error:
                yield f"{number} {source.name}", error.code
            else:
                yield f"{number} {source.name}", "decoded"


def grown(before: int) -> int:
    """Bytes by which this process has grown too much; 0 if it has not."""
    return max(0, peak_memory() - before - _GROWTH)


def whole_media() -> list[Path]:
    """Media that are small enough to be decoded many times."""
    folders = [SAMPLES, *([MEDIA] if MEDIA.is_dir() else [])]
    kinds = (".pdf", ".mkv", ".mp4", ".webm", ".ogv", ".png", ".jpg")
    return [path for folder in folders for path in folder.iterdir() if path.suffix in kinds]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("media", nargs="*", type=Path, help="files to damage, else those of tests")
    args = parser.parse_args()
    began, before, ends = time.monotonic(), peak_memory(), Counter[str]()
    with watched() as children:
        for name, end in fuzz(args.media or whole_media(), args.count, args.seed):
            ends[end] += 1
            sys.stderr.write(f"{name}: {end}\n")
    largest = children.peak << 10
    report = {"count": args.count, "seed": args.seed, "ends": ends, "largest_child": largest}
    report |= {"seconds": round(time.monotonic() - began, 1), "grown_bytes": grown(before)}
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 1 if grown(before) or largest > _CHILD or not largest else 0


if __name__ == "__main__":
    sys.exit(main())
