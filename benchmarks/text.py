"""Text: how right lines are read, and how fast, beside the same library run plainly.

    python -m benchmarks.text [--pages 12] [--seconds 60] [--json]

Pages are drawn in five languages that the models know; the talk has slides of which one stands for
several seconds. `plain` calls `rapidocr` on every picture, with as many threads; both see the same
pictures. Errors are counted in characters (edit distance by the length of what is there).
"""

import random
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from benchmarks.common import Report, note, parser, show, watch
from pipeline.decode import DecodePlan, Sampling, decode, pixels
from pipeline.recognise import Recogniser, shard_text
from samples.typefaces import (
    DEJAVU_SERIF,
    NOTO_SANS,
    NOTO_SANS_CHINESE,
    NOTO_SANS_JAPANESE,
    Typeface,
)
from schemas.shards import Shard

WORDS: Final[dict[str, tuple[Typeface, str, str]]] = {
    "English": (NOTO_SANS, " ", "the report of station north has more trains than last week total"),
    "German": (DEJAVU_SERIF, " ", "größere Verspätungen über fünf Züge täglich außer Straßenbahn"),
    "French": (NOTO_SANS, " ", "les trains à l'été déjà complétés où façade élève garçon tableau"),
    "Chinese": (NOTO_SANS_CHINESE, "", "每 一 页 都 成为 表格 中 的 一行 出口 左边 车站 时间"),
    "Japanese": (NOTO_SANS_JAPANESE, "", "すべて の ページ が 表 東京 駅 ホーム 時間"),
}
"""By language: face, what stands between words, and words."""
_LINES: Final = 24
_PAGE: Final = (1240, 1754)
_SLIDE: Final = (1280, 720)
_STANDS_S: Final = 10

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Page:
    """A drawn page and what stands on it."""

    language: str
    picture: Picture
    lines: list[str]


def drawn(language: str, size: tuple[int, int], count: int, chance: random.Random) -> Page:
    """A page of so many lines."""
    face, gap, words = WORDS[language]
    image = Image.new("RGB", size, "white")
    pen, lines = ImageDraw.Draw(image), []
    step = (size[1] - 120) // count
    font = face.at(min(30, step // 2))
    for number in range(count):
        some = chance.choices(words.split(), k=8 if gap else 6)
        lines.append(gap.join(some))
        pen.text((90, 60 + step * number), lines[-1], "black", font)
    return Page(language, np.asarray(image), lines)


def talk(path: Path, seconds: int, chance: random.Random) -> list[Page]:
    """A video of slides, a frame a second; returns the slide of each second."""
    slides: list[Page] = []
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=1)
        stream.width, stream.height, stream.pix_fmt = *_SLIDE, "yuv420p"
        for second in range(seconds):
            if second % _STANDS_S == 0:
                slide = drawn("English", _SLIDE, 6, chance)
            slides.append(slide)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(slide.picture, format="rgb24")))
        container.mux(stream.encode(None))
    return slides


def distance(one: str, other: str) -> int:
    """Insertions, deletions and replacements from one text to another (V. Levenshtein, 1966)."""
    before = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        now = [row]
        for column, wanted in enumerate(other, start=1):
            change = before[column - 1] + (letter != wanted)
            now.append(min(before[column] + 1, now[-1] + 1, change))
        before = now
    return before[-1]


def error_rate(pages: Sequence[Page], read: Sequence[Sequence[str]]) -> dict[str, float]:
    """Character error rate by language; spaces, which Chinese has none of, are left out."""
    wrong: dict[str, int] = {}
    there: dict[str, int] = {}
    for page, lines in zip(pages, read, strict=True):
        wanted, found = ("".join("".join(some).split()) for some in (page.lines, lines))
        wrong[page.language] = wrong.get(page.language, 0) + distance(found, wanted)
        there[page.language] = there.get(page.language, 0) + len(wanted)
    return {language: round(wrong[language] / there[language], 4) for language in there}


def plain(threads: int) -> Callable[[Picture], list[str]]:
    """The library as its documentation calls it."""
    from rapidocr import RapidOCR

    engine: Any = RapidOCR(
        params={
            "Global.log_level": "critical",
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        }
    )
    return lambda picture: list(engine(picture[:, :, ::-1]).txts or ())


def shards_of(path: Path) -> list[Shard]:
    """The parts of a medium, at reading size."""
    plan = DecodePlan(Sampling("rate", 1.0))
    return [one for one in decode(path, plan) if isinstance(one, Shard)]


def compare_pages(count: int, threads: int) -> list[Report]:
    """Pages of a scan by both ways, in turns, so that what else the machine does meets both."""
    chance = random.Random(4)
    pages = [drawn(language, _PAGE, _LINES, chance) for _ in range(count) for language in WORDS]
    ours, theirs = Recogniser(threads), plain(threads)
    first, *others = [Image.fromarray(page.picture) for page in pages]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.pdf"
        first.save(path, save_all=True, append_images=others, resolution=150, quality=95)
        shards = shards_of(path)
    warm_up = pages[0].picture
    ours.read(warm_up)
    theirs(warm_up)
    seconds, read = {"ours": 0.0, "plain": 0.0}, {"ours": [], "plain": []}  # type: ignore[var-annotated]
    for shard in shards:
        kept = [pixels(image) for image in shard.rows.column("image").to_pylist()]
        with watch() as took:
            lines = shard_text(shard, pixels, ours).lines
        seconds["ours"] += took.seconds
        numbers = shard.rows.column("page_no").to_pylist()
        read["ours"] += [[one.text for one in lines if one.unit_no == no] for no in numbers]
        with watch() as took:
            read["plain"] += [theirs(picture) for picture in kept]
        seconds["plain"] += took.seconds
    return [
        {
            "what": "pages",
            "way": way,
            "pages_per_minute": round(60 * len(pages) / seconds[way], 1),
            **{f"error {name}": rate for name, rate in error_rate(pages, read[way]).items()},
            "ratio": round(seconds["plain"] / seconds[way], 2),
        }
        for way in seconds
    ]


def compare_talk(length: int, threads: int) -> list[Report]:
    """A talk by both ways: lines of a shard, or each of its frames."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "talk.mp4"
        slides = talk(path, length, random.Random(5))
        shards = shards_of(path)
    ours, theirs = Recogniser(threads), plain(threads)
    frames = [pixels(image) for shard in shards for image in shard.rows.column("image").to_pylist()]
    ours.read(frames[0])
    theirs(frames[0])
    with watch() as mine:
        lines = [line for shard in shards for line in shard_text(shard, pixels, ours).lines]
    with watch() as whole:
        plainly = [theirs(frame) for frame in frames]
    seen = [
        [line.text for line in lines if (line.start_us or 0) <= at * 10**6 < (line.end_us or 0)]
        for at in range(length)
    ]
    return [
        {
            "what": "talk",
            "way": way,
            "frames_per_minute": round(60 * length / took.seconds, 1),
            **{f"error {name}": rate for name, rate in error_rate(slides, read).items()},
            "ratio": round(whole.seconds / took.seconds, 2),
        }
        for way, took, read in (("ours", mine, seen), ("plain", whole, plainly))
    ]


def main() -> None:
    """Command line."""
    options = parser(__doc__)
    options.add_argument("--pages", type=int, default=3, help="of each language")
    options.add_argument("--seconds", type=int, default=60, help="of the talk")
    options.add_argument("--threads", type=int, default=2)
    args = options.parse_args()
    note("pages, by both ways in turns")
    rows = compare_pages(args.pages, args.threads)
    note("the talk")
    rows += compare_talk(args.seconds, args.threads)
    show("text", rows, as_json=args.json)


if __name__ == "__main__":
    main()
