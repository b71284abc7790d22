"""Evaluate: the table of what a checkpoint has to do, with the figures that it reaches.

Answers come from the pipeline's own encoder and generator. `--blank` shows every picture blank,
so that only guessing is left.

Use: `python -m training.evaluate --count 200`.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline.encode import Encoder
from pipeline.generate import Generator, Prompt, WorkItem
from pipeline.vlm.clip import Clip
from pipeline.vlm.facts import read_processor
from pipeline.vlm.preprocess import resize, smart_resize
from training.canvas import Example
from training.table import ABSENT, PARTS, Draw, Part, exact

TINY: Final = Path(__file__).parent.parent / "pipeline" / "vlm" / "tiny"
NEW_TOKENS: Final = 72
BATCH: Final = 50
RATIOS: Final = ((1.0, 1.0), (1.0, 1.6), (1.6, 1.0))
SCALES: Final = (0.85, 1.0, 1.25)
"""Height and width of a canvas, and scales, under which an answer should not change."""


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        part: kind of picture.
        measure: what the share is of.
        target: of the issue.
        reached: share in 0..1.
        count: answers behind it.
        wrong: some wrong answers, each after its prompt and the right one.
    """

    part: str
    measure: str
    target: float
    reached: float
    count: int
    wrong: tuple[tuple[str, str, str], ...] = ()

    def __str__(self) -> str:
        """A line for the terminal."""
        mark = "" if self.reached >= self.target else "  not reached"
        name = f"{self.part}: {self.measure}"
        return f"{name:44} {self.reached:6.1%}  target {self.target:.0%}  of {self.count}{mark}"


class Reader:
    """A checkpoint that answers examples by the pipeline's encoder and generator."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._encoder = Encoder(folder, cache_bytes=0)
        self._generator = Generator(folder)

    def read(self, examples: Sequence[Example]) -> list[str]:
        """Greedy answers; one that reached its bound of tokens ends with an ellipsis."""
        features = self._encoder.encode([_item(drawn) for drawn in examples])
        items = [
            WorkItem([one], [Prompt(drawn.prompt, NEW_TOKENS, tools=drawn.tools)])
            for one, drawn in zip(features, examples, strict=True)
        ]
        given = [generations[0] for generations in self._generator.generate(items)]
        return [one.text + ("" if one.finish_reason == "stop" else "…") for one in given]


def _item(drawn: Example) -> NDArray[np.uint8] | Clip:
    return drawn.picture if drawn.fps is None else Clip(drawn.picture, drawn.fps)


def draw(part: str, one: Draw, count: int, seed: int) -> list[Example]:
    """Held-out examples of a part."""
    return [one(random.Random(f"held out/{part}/{seed}/{n}"), n) for n in range(count)]


def blanked(drawn: Example) -> Example:
    """The example with nothing in its picture."""
    return replace(drawn, picture=np.full_like(drawn.picture, 255))


def answer_all(reader: Reader, examples: Sequence[Example]) -> list[str]:
    """Answers, some dozens at a time."""
    starts = range(0, len(examples), BATCH)
    return [text for n in starts for text in reader.read(examples[n : n + BATCH])]


def figures(part: Part, pairs: Sequence[tuple[Example, str]]) -> list[Figure]:
    """All measures of a part on its answers."""
    there = [(drawn, text) for drawn, text in pairs if drawn.answer not in ABSENT]
    found = []
    for measure in part.measures:
        scores = [measure.judge(drawn, text) for drawn, text in there]
        wrong = [pair for pair, score in zip(there, scores, strict=True) if score < 1]
        reached = sum(scores) / max(1, len(scores))
        shown = tuple((drawn.prompt, drawn.answer, text) for drawn, text in wrong[:20])
        found.append(Figure(part.name, measure.name, measure.target, reached, len(there), shown))
    return found


def evaluate(
    reader: Reader,
    count: int,
    seed: int = 0,
    *,
    blank: bool = False,
    parts: Sequence[Part] = PARTS,
) -> list[Figure]:
    """The whole table, `count` examples a part."""
    found: list[Figure] = []
    absent: list[tuple[Example, str]] = []
    for part in tqdm(parts, unit="part"):
        examples = draw(part.name, part.draw, count, seed)
        shown = [blanked(drawn) for drawn in examples] if blank else examples
        pairs = list(zip(examples, answer_all(reader, shown), strict=True))
        found += figures(part, pairs)
        absent += [(drawn, text) for drawn, text in pairs if drawn.answer in ABSENT]
    if absent:
        right = sum(exact(drawn, text) for drawn, text in absent) / len(absent)
        wrong = tuple((d.prompt, d.answer, text) for d, text in absent if d.answer != text)
        found.append(Figure("what is absent", "not shown", 0.90, right, len(absent), wrong[:20]))
    return found


def agreement(reader: Reader, count: int, seed: int = 0, *, blank: bool = False) -> Figure:
    """Share of nine views of a picture (three sizes, three aspect ratios) that agree."""
    names = ("English, one clean line", "one shape", "two or three shapes", "arithmetic")
    parts = [part for part in PARTS if part.name in names]
    agreed = 0.0
    for index in range(count):
        part = parts[index % len(parts)]
        drawn = part.draw(random.Random(f"held out/sizes/{seed}/{index}"), index)
        views = [
            replace(drawn, picture=view(reader.folder, drawn.picture, ratio, scale))
            for ratio in RATIOS
            for scale in SCALES
        ]
        answers = reader.read([blanked(one) for one in views] if blank else views)
        agreed += Counter(answers).most_common(1)[0][1] / len(answers)
    return Figure("three sizes, three aspect ratios", "agreement", 0.95, agreed / count, count)


def view(
    folder: Path, picture: NDArray[np.uint8], ratio: tuple[float, float], scale: float
) -> NDArray[np.uint8]:
    """A picture on a larger canvas of its own colour, scaled, as the model would see it."""
    height, width = picture.shape[:2]
    tall, wide = round(height * ratio[0]), round(width * ratio[1])
    canvas = np.empty((tall, wide, 3), np.uint8)
    canvas[:] = np.median(picture.reshape(-1, 3), axis=0).astype(np.uint8)
    canvas[:height, :width] = picture
    settings = read_processor(folder)
    size = smart_resize(
        round(tall * scale),
        round(wide * scale),
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
    )
    return resize(canvas, *size)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--checkpoint", type=Path, default=TINY)
    parser.add_argument("--count", type=int, default=200, help="examples of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", action="append", help="only parts whose names begin so")
    parser.add_argument("--blank", action="store_true", help="blank pictures: what guessing gives")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    parser.add_argument("--out", type=Path, help="file to write the JSON to")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    reader = Reader(options.checkpoint)
    wanted = tuple(options.part or [""])
    parts = [part for part in PARTS if part.name.startswith(wanted)]
    found = evaluate(reader, options.count, options.seed, blank=options.blank, parts=parts)
    if not options.part:
        found.append(agreement(reader, options.count // 2, options.seed, blank=options.blank))
    text = json.dumps([asdict(figure) for figure in found], indent=1, ensure_ascii=False)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text if options.json else "\n".join(map(str, found)))


if __name__ == "__main__":
    main()
