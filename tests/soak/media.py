"""Tiny media for a soak: pictures, clips, documents, and what cannot be read."""

from pathlib import Path

import av
import numpy as np
from PIL import Image

_SIDE = 64


def make_media(folder: Path, pictures: int, seed: int) -> None:
    """Fill a folder; no two files have equal content, and two seeds share none."""
    folder.mkdir(parents=True)
    chance = np.random.default_rng(seed)
    for number in range(pictures):
        Image.fromarray(_noise(chance)).save(folder / f"picture-{number:03}.png")
    for number in range(2):
        _clip(folder / f"clip-{number}.mp4", chance, seconds=25)
    pages = [Image.fromarray(_noise(chance)) for _ in range(10)]
    pages[0].save(folder / "pages.pdf", save_all=True, append_images=pages[1:])
    poison(folder / "poison.pdf", seed)
    (folder / "words.mp4").write_text(f"these are words, no video: {seed}\n" * 20)


def poison(path: Path, seed: int = 0, depth: int = 60_000) -> None:
    """A page that ends the decoder with SIGSEGV: colour spaces, each an alternative of another."""
    drawn = "/C cs 1 scn 10 10 100 100 re f"
    objects = [
        f"<</Type/Catalog/Pages 2 0 R/Seed {seed}>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R"
        "/Resources<</ColorSpace<</C 6 0 R>>>>>>",
        f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream",
        "<</FunctionType 2/Domain[0 1]/C0[0]/C1[1]/N 1>>",
        *(f"[/Separation/A {number + 7} 0 R 5 0 R]" for number in range(depth)),
        "/DeviceGray",
    ]
    parts, offsets, size = [b"%PDF-1.4\n"], [], 9
    for number, text in enumerate(objects, 1):
        parts.append(f"{number} 0 obj\n{text}\nendobj\n".encode())
        offsets.append(size)
        size += len(parts[-1])
    parts.append(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    parts += [b"%010d 00000 n \n" % offset for offset in offsets]
    parts.append(f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{size}\n".encode())
    path.write_bytes(b"".join([*parts, b"%%EOF\n"]))


def _noise(chance: np.random.Generator) -> np.ndarray:
    return chance.integers(0, 255, (_SIDE, _SIDE, 3), dtype=np.uint8)


def _clip(path: Path, chance: np.random.Generator, seconds: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        for _ in range(seconds):
            frame = av.VideoFrame.from_ndarray(_noise(chance), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
