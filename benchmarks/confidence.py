"""Confidence: how sure the recogniser is of lines that it reads rightly, wrongly, and cannot read.

Lines of one to five words are drawn in languages that its models know and in four that they do not,
of several sizes, plain, blurred, noisy, and out of a poor JPEG. For each least confidence: right
lines (a character error rate below 0.2) that it would cost, wrong ones (above 0.5) and lines of
unknown scripts that it would let through.
"""

import random
from collections.abc import Sequence
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.common import Report, parser, show
from benchmarks.text import WORDS, distance
from pipeline.recognise.engine import Recogniser
from samples.typefaces import NASKH, NOTO_SANS, NOTO_SANS_KOREAN, Typeface, visible

_UNKNOWN: Final[dict[str, tuple[Typeface, str]]] = {
    "Russian": (NOTO_SANS, "Вокзал поезд отправление платформа билеты касса время прибытие"),
    "Greek": (NOTO_SANS, "Σταθμός τρένο έξοδος αναχώρηση εισιτήρια αεροδρόμιο"),
    "Korean": (NOTO_SANS_KOREAN, "출구 기차 역 시간 표 도착 서울 공항 승강장 매표소"),
    "Arabic": (NASKH, "محطة قطار المطار خروج تذاكر وصول رصيف وقت السفر"),
}
_SIZES: Final = (12, 16, 24, 40)
_LINES: Final = 8
_LEAST: Final = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
_WAYS: Final = ("plain", "blurred", "noisy", "poor JPEG")

Scored = list[tuple[float, float]]
"""Confidence and character error rate of each line; the rate is 1 of what cannot be read."""


def sheet(lines: Sequence[str], face: Typeface, size: int, way: str) -> Image.Image:
    """A picture of lines."""
    image = Image.new("RGB", (1000, 60 + 2 * size * len(lines)), "white")
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        pen.text((40, 30 + 2 * size * number), line, "black", face.at(size))
    if way == "blurred":
        return image.filter(ImageFilter.GaussianBlur(1.2))
    if way == "noisy":
        noise = np.random.default_rng(1).normal(0, 45, (image.height, image.width, 3))
        return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    if way == "poor JPEG":
        buffer = BytesIO()
        image.resize((image.width // 2, image.height // 2)).save(buffer, "JPEG", quality=25)
        return Image.open(buffer).convert("RGB").resize(image.size)
    return image


def rate(text: str, lines: Sequence[str]) -> float:
    """Character error rate beside the line that is nearest; spaces are left out."""
    found, *wanted = ("".join(one.split()) for one in (text, *lines))
    return min(distance(found, one) / len(one) for one in wanted)


def phrases(words: str, most: int, gap: str, chance: random.Random) -> list[str]:
    """Lines of one to so many of some words."""
    few = [chance.choices(words.split(), k=chance.randint(1, most)) for _ in range(_LINES)]
    return [gap.join(one) for one in few]


def known(recogniser: Recogniser, chance: random.Random) -> Scored:
    """Lines of the languages of `benchmarks.text`."""
    found: Scored = []
    for face, gap, words in WORDS.values():
        for size in _SIZES:
            for way in _WAYS:
                lines = phrases(words, 5, gap, chance)
                read = recogniser.read(np.asarray(sheet(lines, face, size, way)))
                found += [(one.confidence, rate(one.text, lines)) for one in read]
    return found


def unknown(recogniser: Recogniser, chance: random.Random) -> Scored:
    """Lines of scripts that no model here knows."""
    found: Scored = []
    for name, (face, words) in _UNKNOWN.items():
        for size in _SIZES:
            for way in _WAYS[:2]:
                lines = phrases(words, 4, " ", chance)
                shown = [visible(one) for one in lines] if name == "Arabic" else lines
                read = recogniser.read(np.asarray(sheet(shown, face, size, way)))
                found += [(one.confidence, 1.0) for one in read]
    return found


def main() -> None:
    """Run the benchmark."""
    chosen = parser(__doc__).parse_args()
    recogniser, chance = Recogniser(least=0.0), random.Random(7)
    of_known, of_unknown = known(recogniser, chance), unknown(recogniser, chance)
    rows: list[Report] = [
        {
            "least": least,
            "right_lines_lost": sum(score < least and wrong < 0.2 for score, wrong in of_known),
            "wrong_lines_kept": sum(score >= least and wrong > 0.5 for score, wrong in of_known),
            "lines": len(of_known),
            "unknown_lines_kept": sum(score >= least for score, _ in of_unknown),
            "unknown_lines": len(of_unknown),
        }
        for least in _LEAST
    ]
    show("confidence", rows, as_json=chosen.json)


if __name__ == "__main__":
    main()
