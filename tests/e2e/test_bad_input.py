"""Bad input: one clear line with the remedy, a row in `failures`, and the rest goes on."""

import json
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipeline.land.store import local_place
from pipeline.query.sql import query
from tests.conftest import CAPTION, SAMPLES, run
from tests.media import LOCKED


def zero_bytes(folder: Path) -> Path:
    path = folder / "zero.mp4"
    path.touch()
    return path


def truncated(folder: Path) -> Path:
    path = folder / "cut.mkv"
    path.write_bytes((SAMPLES / "scenes.mkv").read_bytes()[:300])
    return path


def text_called_mp4(folder: Path) -> Path:
    path = folder / "words.mp4"
    path.write_text("these are words, no video\n" * 50)
    return path


def missing(folder: Path) -> Path:
    return folder / "nowhere.mp4"


def empty_directory(folder: Path) -> Path:
    path = folder / "empty"
    path.mkdir()
    return path


def thin_image(folder: Path) -> Path:
    path = folder / "thin.png"
    Image.new("RGB", (1, 4000), "red").save(path)
    return path


def huge_image(folder: Path) -> Path:
    """30,000 x 30,000 pixels in a few hundred kilobytes."""
    path, side = folder / "huge.png", 30_000

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    lines = zlib.compress(bytes((side // 8 + 1) * side), 9)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")
    )
    return path


def audio_only(folder: Path) -> Path:
    import av
    import numpy as np

    path = folder / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


CASES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (missing, "not_found"),
    "empty directory": (empty_directory, "empty_directory"),
    "zero bytes": (zero_bytes, "empty_input"),
    "truncated": (truncated, "truncated"),
    "no video stream": (audio_only, "no_video_stream"),
    "text as mp4": (text_called_mp4, "unsupported_format"),
    "1x4000": (thin_image, "aspect_ratio"),
    "30,000x30,000": (huge_image, "too_large"),
}


def test_each_bad_input_is_a_failure_and_the_rest_goes_on(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    odd = tmp_path / "a name with\nnewline 🎬.png"
    odd.write_bytes((SAMPLES / "phone.png").read_bytes())
    paths = {name: make(tmp_path) for name, (make, _) in CASES.items()}
    result = run("index", *paths.values(), odd, "--to", lake, "--tasks", "caption", "--json")
    assert result.code == 1
    assert result.json["inputs"] == len(CASES) + 1
    assert (result.json["indexed"], result.json["failed"]) == (1, len(CASES))
    failures = query(local_place(lake), "select uri, code, message from failures").to_pylist()
    found = {row["uri"]: row["code"] for row in failures}
    assert found == {str(paths[name]): code for name, (_, code) in CASES.items()}
    for row in failures:
        assert "\n" not in row["message"]
        assert Path(row["uri"]).name in row["message"]
    shown = run("errors", lake, "--json").json
    assert len(shown) == len(CASES)


def test_a_mended_input_is_indexed_by_retry(tmp_path: Path) -> None:
    lake, path = tmp_path / "lake", tmp_path / "later.png"
    assert run("index", path, "--to", lake, "--tasks", "caption").code == 1
    path.write_bytes((SAMPLES / "phone.png").read_bytes())
    assert run("retry", lake).code == 0
    assert run("errors", lake, "--json").json == []


def test_password(media: Path, tmp_path: Path) -> None:
    result = run("index", media / LOCKED, "--to", tmp_path / "lake")
    assert result.code == 1
    assert "needs a password" in result.err


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://169.254.169.254/latest/meta-data", "not on the public internet"),
        ("http://127.0.0.1:9/x.mp4", "not on the public internet"),
        ("ftp://example.org/x.mp4", "only http"),
    ],
)
def test_urls_inside_the_network_are_refused(tmp_path: Path, url: str, words: str) -> None:
    result = run("index", url, "--to", tmp_path / "lake")
    assert result.code == 1
    assert words in result.err


def test_a_device_that_torch_cannot_use(tmp_path: Path) -> None:
    result = run("index", SAMPLES, "--to", tmp_path / "lake", *CAPTION, REELPAGE_DEVICE="cuda:99")
    assert result.code == 2
    assert "REELPAGE_DEVICE=cpu" in result.err


def test_unusable_lakes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    sample = SAMPLES / "phone.png"
    blocked = run("index", sample, "--to", file / "lake")
    assert blocked.code == 2
    assert "lake_not_writable" in blocked.err
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "lake.json").write_text(json.dumps({"lake_version": 99}))
    result = run("index", sample, "--to", newer)
    assert result.code == 4
    assert "upgrade reelpage" in result.err
    absent = run("query", tmp_path / "absent", "select 1")
    assert absent.code == 2
    assert "there is no lake here" in absent.err


@pytest.mark.ci  # only root may mount
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)]
    subprocess.run(mount, check=True)
    try:
        result = run("index", SAMPLES, "--to", small / "lake", *CAPTION)
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert result.code == 2
    assert "disk_full" in result.err
