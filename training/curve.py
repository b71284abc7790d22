"""Curve: the learning curves of runs, one after the other, as a picture.

Use: `python -m training.curve runs/letters runs/copying --to curve.png`.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

WIDTH: Final = 1200
HEIGHT: Final = 520
LEFT: Final = 50
TOP: Final = 20
BOTTOM: Final = 480
_COLOURS: Final = (
    *("#888888", "#d62728", "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd"),
    *("#17becf", "#e377c2", "#8c564b", "#bcbd22", "#000080", "#000000", "#00a000"),
)
_SMOOTH: Final = 5
"""Reports that one point of the picture is the mean of."""


def read(runs: Sequence[Path]) -> tuple[list[dict[str, float]], list[int]]:
    """Points of runs in order, with steps counted on, and the steps at which runs end."""
    points: list[dict[str, float]] = []
    ends: list[int] = []
    for run in runs:
        before = ends[-1] if ends else 0
        curve = json.loads((run / "curve.json").read_text())
        points += [point | {"step": point["step"] + before} for point in curve]
        ends.append(before + curve[-1]["step"])
    return points, ends


def draw(points: Sequence[dict[str, float]], ends: Sequence[int]) -> Image.Image:
    """Over steps: accuracy of the dense labels and of each group's tokens, attention on marks."""
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    last = max(ends)

    def place(step: float, value: float) -> tuple[float, float]:
        right = WIDTH - 130
        return LEFT + (right - LEFT) * step / last, BOTTOM - (BOTTOM - TOP) * value

    for tenth in range(11):
        y = place(0, tenth / 10)[1]
        pen.line([(LEFT, y), place(last, tenth / 10)], fill="#dddddd")
        pen.text((10, y - 8), f"{tenth * 10} %", fill="black", font=font)
    for end in ends:
        pen.line([place(end, 0), place(end, 1)], fill="#aaaaaa")
        pen.text((place(end, 0)[0] - 45, BOTTOM + 8), str(end), fill="black", font=font)
    names = sorted({name for point in points for name in point} - {"step", "loss"})
    for index, name in enumerate(names):
        colour = _COLOURS[index % len(_COLOURS)]
        pen.line([place(*one) for one in _smooth(points, name)], fill=colour, width=2)
        pen.text((WIDTH - 115, TOP + 18 * index), name, fill=colour, font=font)
    return image


def _smooth(points: Sequence[dict[str, float]], name: str) -> list[tuple[float, float]]:
    known = [(point["step"], point[name]) for point in points if name in point]
    chunks = [known[n : n + _SMOOTH] for n in range(0, len(known), _SMOOTH)]
    return [
        (chunk[-1][0], sum(value for _, value in chunk) / len(chunk)) for chunk in chunks if chunk
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of runs, in order")
    parser.add_argument("--to", type=Path, required=True, help="picture to write")
    options = parser.parse_args()
    draw(*read(options.runs)).save(options.to)


if __name__ == "__main__":
    main()
