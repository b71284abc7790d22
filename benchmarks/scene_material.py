"""Scene material: generated shots and edits of real videos whose cuts are known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from benchmarks.common import MEDIA

WIDTH: Final = 320
HEIGHT: Final = 180
FPS: Final = 25
_MARGIN: Final = 160
_REAL: Final = ("bunny_10s_360p.mp4", "cars.mp4", "bottles.mp4", "counting.mp4", "gesture_book.mkv")
_WHOLE: Final = (*_REAL, "wpt_test.webm", "wpt_test.ogv")

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Material:
    """A video and its cuts.

    Attributes:
        name: what it tries.
        path: the file.
        cuts: first and last second of every change of shot; the same second for a hard cut.
    """

    name: str
    path: Path
    cuts: tuple[tuple[float, float], ...]


class Edit:
    """Frames and the cuts between them."""

    def __init__(self) -> None:
        self.frames: list[Picture] = []
        self.cuts: list[tuple[float, float]] = []

    def shot(self, frames: list[Picture]) -> None:
        """Append frames behind a hard cut."""
        if self.frames:
            self.cuts.append((len(self.frames) / FPS,) * 2)
        self.frames += frames

    def dissolve(self, frames: list[Picture], length: int) -> None:
        """Lay the first frames over the last ones."""
        start = len(self.frames) - length
        for index in range(length):
            share = (index + 1) / (length + 1)
            self.frames[start + index] = _mix(self.frames[start + index], frames[index], share)
        self.cuts.append((start / FPS, len(self.frames) / FPS))
        self.frames += frames[length:]

    def through_black(self, frames: list[Picture], length: int) -> None:
        """Fade out, then in."""
        black = np.zeros_like(frames[0])
        start = len(self.frames) - length
        for index in range(length):
            share = (index + 1) / length
            self.frames[start + index] = _mix(self.frames[start + index], black, share)
            frames[index] = _mix(black, frames[index], share)
        self.cuts.append((start / FPS, (start + 2 * length) / FPS))
        self.frames += frames


def _mix(one: Picture, other: Picture, share: float) -> Picture:
    return (one * (1 - share) + other * share).astype(np.uint8)


def _canvas(seed: int, hue: int | None = None, *, dark: bool = False) -> Picture:
    """A wide picture: a soft ground with shapes; with a hue, all of its colours are near it."""
    random = np.random.default_rng(seed)
    size = (WIDTH + 2 * _MARGIN, HEIGHT + 2 * _MARGIN)
    tones = random.integers(0, 255, (5, 8, 3))
    if hue is not None:
        tones[..., 0] = (hue + tones[..., 0] % 16) % 256
        tones[..., 1] = 60 + tones[..., 1] % 40
    tones[..., 2] = 15 + tones[..., 2] % 30 if dark else 60 + tones[..., 2] % 160
    image = Image.fromarray(tones.astype(np.uint8), "HSV").resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(14):
        left, top = (int(value) for value in random.integers(0, size))
        wide, high = (int(value) for value in random.integers(20, 130, 2))
        tone = tuple(int(value) for value in tones[random.integers(5), random.integers(8)])
        draw.ellipse((left, top, left + wide, top + high), fill=tone)
    return np.asarray(image.convert("RGB").filter(ImageFilter.GaussianBlur(1)))


def _take(canvas: Picture, count: int, step: tuple[float, float] = (0.5, 0.0)) -> list[Picture]:
    """A camera that moves over a canvas by `step` pixels a frame, to and fro."""
    frames = []
    for index in range(count):
        across, down = (_bounce(step[axis] * index) for axis in (0, 1))
        frames.append(canvas[down : down + HEIGHT, across : across + WIDTH].copy())
    return frames


def _bounce(way: float) -> int:
    turn = way % (4 * _MARGIN)
    return int(min(turn, 4 * _MARGIN - turn) if turn > 0 else 0)


def _shaken(frames: list[Picture], canvas: Picture, seed: int, reach: int) -> list[Picture]:
    random = np.random.default_rng(seed)
    places = (_MARGIN + random.integers(-reach, reach + 1, (len(frames), 2))).tolist()
    return [canvas[y : y + HEIGHT, x : x + WIDTH].copy() for x, y in places]


def _hard(base: int) -> Edit:
    edit = Edit()
    for seed in range(10):
        edit.shot(_take(_canvas(base + seed), 40))
    return edit


def _quick(base: int) -> Edit:
    edit = Edit()
    for seed in range(12):
        edit.shot(_take(_canvas(base + 20 + seed), 15 + seed % 5, (2, 1)))
    return edit


def _similar(base: int) -> Edit:
    edit = Edit()
    for seed in range(10):
        edit.shot(_take(_canvas(base + 40 + seed, hue=100), 40))
    return edit


def _grey(base: int) -> Edit:
    edit = Edit()
    for seed in range(10):
        grey = (
            _canvas(base + 60 + seed).mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, axis=2)
        )
        edit.shot(_take(grey, 40))
    return edit


def _dark_and_noisy(base: int) -> Edit:
    edit, random = Edit(), np.random.default_rng(base + 1)
    for seed in range(8):
        frames = _take(_canvas(base + 80 + seed, dark=True), 40)
        grain = [random.normal(0, 9, frame.shape) for frame in frames]
        edit.shot(
            [
                (frame + noise).clip(0, 255).astype(np.uint8)
                for frame, noise in zip(frames, grain, strict=True)
            ]
        )
    return edit


def _fades(base: int) -> Edit:
    edit = Edit()
    edit.shot(_take(_canvas(base + 100), 60))
    for seed in range(1, 8):
        edit.through_black(_take(_canvas(base + 100 + seed), 60), 6 + 2 * seed)
    return edit


def _dissolves(base: int) -> Edit:
    edit = Edit()
    edit.shot(_take(_canvas(base + 120), 60))
    for seed in range(1, 8):
        edit.dissolve(_take(_canvas(base + 120 + seed), 60), 8 + 2 * seed)
    return edit


def _flashes(base: int) -> Edit:
    """Camera flashes of one to three frames; one hard cut, so that finding nothing is no art."""
    edit = Edit()
    for seed in (140, 141):
        frames = _take(_canvas(base + seed), 120)
        for length, at in ((1, 20), (2, 50), (3, 80), (1, 105)):
            for index in range(at, at + length):
                frames[index] = _mix(frames[index], np.full_like(frames[index], 255), 0.85)
        edit.shot(frames)
    return edit


def _pans(base: int) -> Edit:
    edit = Edit()
    for seed, speed in enumerate((6, 12, 20, 30)):
        edit.shot(_take(_canvas(base + 160 + seed), 75, (speed, speed / 5)))
    return edit


def _shakes(base: int) -> Edit:
    edit = Edit()
    for seed, reach in enumerate((4, 8, 14, 20)):
        canvas = _canvas(base + 180 + seed)
        edit.shot(_shaken(_take(canvas, 75), canvas, base + seed, reach))
    return edit


def _passing(base: int) -> Edit:
    """Something large goes past the camera, close by."""
    edit = Edit()
    for seed in (200, 201, 202):
        frames = _take(_canvas(base + seed), 75)
        for index in range(20, 45):
            left = (index - 20) * 28 - 240
            frames[index][:, max(0, left) : max(0, left + 240)] = (25, 20, 30)
        edit.shot(frames)
    return edit


def _slides(base: int) -> Edit:
    """White slides with text: little of the picture changes."""
    edit = Edit()
    for seed in range(8):
        random = np.random.default_rng(base + 220 + seed)
        image = Image.new("RGB", (WIDTH, HEIGHT), (250, 250, 250))
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, WIDTH, 24), fill=(30, 60, 120))
        for line in range(int(random.integers(3, 8))):
            words = " ".join("abcdefghij"[: int(n)] for n in random.integers(2, 10, 6))
            draw.text((16, 36 + 18 * line), words, fill=(20, 20, 20))
        if seed % 3 == 0:
            draw.rectangle((180, 60, 300, 160), fill=tuple(random.integers(40, 220, 3).tolist()))
        edit.shot([np.asarray(image)] * 40)
    return edit


def _real_takes() -> dict[str, list[Picture]]:
    """The first seconds of each real video, at one size."""
    return {name: list(_read(MEDIA / name, 240)) for name in _REAL if (MEDIA / name).exists()}


def _read(path: Path, count: int) -> Iterator[Picture]:
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == count:
                return
            yield (
                frame.reformat(width=WIDTH, height=HEIGHT, format="rgb24")
                .to_ndarray()
                .astype(np.uint8)
            )


def _montage(join: str) -> Edit:
    """Real videos cut into each other: 2 s of one, then of the next, three times over."""
    edit, takes = Edit(), _real_takes()
    for turn in range(3):
        for take in takes.values():
            start = min(turn * 60, max(0, len(take) - 60))
            frames = [frame.copy() for frame in take[start : start + 60]]
            if join == "cut" or not edit.frames:
                edit.shot(frames)
            elif join == "dissolve":
                edit.dissolve(frames, 15)
            else:
                edit.through_black(frames, 10)
    return edit


_GENERATED: Final[dict[str, Callable[[int], Edit]]] = {
    "hard cuts": _hard,
    "quick cuts": _quick,
    "similar colours": _similar,
    "grey": _grey,
    "dark, noisy": _dark_and_noisy,
    "flashes": _flashes,
    "pans": _pans,
    "shakes": _shakes,
    "passing object": _passing,
    "slides": _slides,
    "fades": _fades,
    "dissolves": _dissolves,
}


def generated(folder: Path, base: int) -> Iterator[Material]:
    """Synthetic material, written below `folder`; `base` is added to all seeds."""
    for name, make in _GENERATED.items():
        yield _written(folder, name, make(base))


def real(folder: Path) -> Iterator[Material]:
    """Edits of real videos, and the videos themselves, which hold no cut; nothing without them."""
    if not MEDIA.is_dir():
        return
    for join in ("cut", "dissolve", "fade"):
        yield _written(folder, f"real, {join}", _montage(join))
    for name in _WHOLE:
        if (MEDIA / name).exists():
            yield Material(name, MEDIA / name, ())


def _written(folder: Path, name: str, edit: Edit) -> Material:
    path = folder / f"{name.replace(',', '').replace(' ', '-')}.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "26"}
        for index, picture in enumerate(edit.frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Material(name, path, tuple(edit.cuts))
