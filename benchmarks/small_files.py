"""CPU of small files, by the whole `index`, against the same decode and model calls alone.

1,000 pictures of 168 x 168 and 1,000 one-page PDFs, each asked for a caption by the shipped model.
The peer opens each file with the same code in its own process, without sandbox, and asks the same
model for the same prompt, 64 pictures at a time; no rows, no tables. CPU seconds are those of a
process of its own and of all that it started, libraries included; one thread. `more` is without
the start: what each file behind the first costs.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from fpdf import FPDF
from PIL import Image

from benchmarks.common import Report, cpu_seconds, note, parser, show

INDEX: Final = """
import sys
from reelpage import main
sys.argv[1:] = ["index", sys.argv[1], "--to", sys.argv[2], "--tasks", sys.argv[3], "--json"]
main()
"""
_SIDE: Final = 168
_BATCH: Final = 64
_WORDS: Final = ("ridership", "harbour", "invoice", "total", "due", "paid", "north", "line")


def picture(number: int) -> bytes:
    """A PNG of coloured squares, no two numbers alike."""
    squares = np.random.default_rng(number).integers(0, 256, (6, 6, 3), np.uint8)
    image = Image.fromarray(squares).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
    written = BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def page(number: int) -> bytes:
    """A PDF of one page with a few lines, no two numbers alike."""
    document = FPDF(format="A4")
    document.add_page()
    document.set_font("helvetica", size=14)
    chance = np.random.default_rng(number)
    for line in range(12):
        words = " ".join(chance.choice(_WORDS, 5))
        document.cell(text=f"{number}.{line} {words}", new_x="LMARGIN", new_y="NEXT")
    return bytes(document.output())


KINDS: Final[dict[str, tuple[str, Callable[[int], bytes]]]] = {
    "pictures": ("png", picture),
    "PDFs": ("pdf", page),
}


def made(folder: Path, kind: str, count: int) -> Path:
    """So many files of a kind."""
    suffix, make = KINDS[kind]
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.{suffix}").write_bytes(make(number))
    return folder


def plain(folder: Path) -> int:
    """Decode and ask in this very process; returns the number of output tokens."""
    from services.ingest.recipe import STANDARD_TASKS
    from services.model.facts import model_facts
    from services.model.reader import Model, set_threads

    set_threads(1)
    facts = model_facts(_checkpoint())
    model, task, tokens = Model(facts, "cpu"), STANDARD_TASKS["caption"], 0
    pictures = _pictures(folder, facts.min_pixels, facts.max_pixels)
    while group := list(islice(pictures, _BATCH)):
        for (answer,) in model.read(group, [task]):
            tokens += answer.output_tokens or 0
    return tokens


def _checkpoint() -> Path:
    from services.checkpoints.found import checkpoint
    from services.settings import Settings

    return checkpoint(Settings()).folder


def _pictures(folder: Path, low: int, high: int) -> Iterator[Any]:
    from pipeline.decode import DecodePlan, Limits, Sampling, model_picture
    from pipeline.decode.images import open_picture
    from pipeline.decode.pages import Document
    from schemas.shards import Shard

    plan = DecodePlan(Sampling("rate", 1.0))
    for path in folder.iterdir():
        with path.open("rb") as file:
            opened: Any = Document if path.suffix == ".pdf" else open_picture
            for one in opened(file, Limits(), ()).shards(plan):
                if isinstance(one, Shard):
                    for image in one.rows.column("image").to_pylist():
                        yield model_picture(image, min_pixels=low, max_pixels=high)


def compare(kind: str, folder: Path, count: int) -> Report:
    """CPU of both ways for so many files and for one, and how they stand to each other."""
    many, one = taken(kind, folder, count), taken(kind, folder, 1)
    ours, peer = ((whole - start) / (count - 1) for whole, start in zip(many, one, strict=True))
    return {
        "kind": kind,
        "files": count,
        "cpu_s": round(many[0], 1),
        "peer_cpu_s": round(many[1], 1),
        "ratio": round(many[0] / many[1], 2),
        "more_ms_each": round(ours * 1000, 1),
        "peer_more_ms_each": round(peer * 1000, 1),
        "more_ratio": round(ours / peer, 2),
    }


def taken(kind: str, folder: Path, count: int) -> tuple[float, float]:
    """CPU seconds of the whole `index`, and of the peer."""
    media = made(folder / f"{count}-{kind}", kind, count)
    ours = cpu_seconds(["-c", INDEX, str(media), str(folder / f"lake-{count}-{kind}"), "caption"])
    peer = cpu_seconds(["-m", "benchmarks.small_files", "--plain", str(media)])
    note(f"{count} {kind}: index {ours:.1f} CPU s, the same calls alone {peer:.1f}")
    return ours, peer


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--count", type=int, default=1000, help="of files of each kind")
    options.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    options.add_argument("--plain", type=Path, metavar="FOLDER", help="the peer's part alone")
    chosen = options.parse_args()
    if chosen.plain:
        print(json.dumps({"output_tokens": plain(chosen.plain)}))
        return
    with tempfile.TemporaryDirectory(prefix="reelpage-") as name:
        rows = [compare(kind, Path(name), chosen.count) for kind in chosen.kinds]
    show("small_files", rows, as_json=chosen.json, peer_batch=_BATCH)


if __name__ == "__main__":
    main()
