"""Media that the tests make themselves: videos of uneven pace, documents, one with a password."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from fpdf import FPDF

LOCKED = "password_protected.pdf"
VIDEOS = (".mp4", ".mkv", ".webm", ".ogv")
_EVEN = [40 * index for index in range(125)]
_UNEVEN = [3000 + t for t in (0, 130, 480, 510, 999, 1004, 1700, 3100, 3120, 5200, 5240)]
_CLIPS = {
    "even.mp4": ("libx264", _EVEN),
    "late.mkv": ("libx265", _UNEVEN),
    "uneven.mkv": ("libx264", _UNEVEN),
    "uneven.webm": ("libvpx", _UNEVEN),
    "vp9.webm": ("libvpx-vp9", _EVEN),
}


def make_media(folder: Path) -> Path:
    """Five videos, and two documents of which one asks for a password."""
    for name, (codec, times_ms) in _CLIPS.items():
        _video(folder / name, codec, times_ms)
    for name in ("pages.pdf", LOCKED):
        pdf = FPDF(format=(120, 160))
        for page in range(3):
            pdf.add_page(orientation="landscape" if page == 1 else "portrait")
            pdf.set_font("helvetica", size=20)
            pdf.cell(text=f"Page {page + 1} of three")
        if name == LOCKED:
            pdf.set_encryption(owner_password="owner", user_password="reader")
        pdf.output(str(folder / name))
    return folder


def inputs(folder: Path) -> list[Path]:
    """The media of a folder, which may hold other files too."""
    return sorted(path for path in folder.iterdir() if path.suffix in (*VIDEOS, ".pdf"))


def _video(path: Path, codec: str, times_ms: Sequence[int]) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 168, 112, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, time in enumerate(times_ms):
            picture = np.full((112, 168, 3), 230, dtype=np.uint8)
            picture[20:90, 4 * index % 120 : 4 * index % 120 + 40] = (200, 30, 30)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
