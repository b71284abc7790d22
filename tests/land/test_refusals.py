"""A lake that cannot be used gives one line with the remedy and a stable code."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.land.lake import Lake, Landing
from pipeline.land.store import local_place
from pipeline.query.sql import query
from schemas.errors import SetupError

Frames = Callable[[str, list[int]], pa.Table]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def refused(action: Callable[[], object], code: str) -> str:
    with pytest.raises(SetupError) as caught:
        action()
    assert caught.value.code == code
    assert "\n" not in caught.value.message
    return caught.value.message


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("x")
    assert str(place) in refused(lambda: Lake(place), "lake_not_writable")
    refused(lambda: Lake(place / "below"), "lake_not_writable")


@pytest.mark.parametrize("place", ["/proc/reelpage", "/sys/reelpage"])
def test_a_place_where_nothing_can_be_made(place: str) -> None:
    message = refused(lambda: Lake(Path(place)), "lake_not_writable")
    assert place in message
    assert "choose another --to folder" in message


@pytest.mark.ci  # only root may mount
def test_a_read_only_disk_can_be_read(small_disk: Path, frames: Frames) -> None:
    with Lake(small_disk) as lake:
        lake.land("frames", [Landing("a", 0, frames("a", [0]))])
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused(lambda: Lake(small_disk), "lake_not_writable")
    assert query(local_place(small_disk), "select frame_no from frames").to_pylist() == [
        {"frame_no": 0}
    ]


@pytest.mark.ci  # only root may mount
def test_a_full_disk_loses_nothing(small_disk: Path, frames: Frames) -> None:
    ballast = small_disk / "ballast"
    with Lake(small_disk) as lake:
        lake.land("frames", [Landing("a", 0, frames("a", [0]))])
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        landing = Landing("a", 1, frames("a", [1]))
        assert "free some room" in refused(lambda: lake.land("frames", [landing]), "disk_full")
        ballast.unlink()
        assert lake.land("frames", [landing]) == 1
    rows = query(local_place(small_disk), "select frame_no from frames order by 1").to_pylist()
    assert rows == [{"frame_no": 0}, {"frame_no": 1}]


def test_a_lake_of_a_newer_version(tmp_path: Path) -> None:
    (tmp_path / "lake.json").write_text('{"lake_version": 99}')
    assert "upgrade reelpage" in refused(lambda: Lake(tmp_path), "lake_newer")
    refused(lambda: query(local_place(tmp_path), "select 1"), "lake_newer")
    (tmp_path / "lake.json").write_text('{"lake_version": 1}')
    Lake(tmp_path).close()  # the refusal kept no lock


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"lake_version": "x"}', "\xff\x00"])
def test_a_damaged_version_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "lake.json").write_text(text, encoding="latin-1")
    refused(lambda: Lake(tmp_path), "lake_corrupt")


def test_a_damaged_log(tmp_path: Path, frames: Frames) -> None:
    with Lake(tmp_path) as lake:
        lake.land("frames", [Landing("a", 0, frames("a", [0]))])
    log = sorted((tmp_path / "frames" / "_delta_log").glob("*.json"))
    log[0].write_bytes(b"\0\1 not a log")
    refused(lambda: query(local_place(tmp_path), "select * from frames"), "lake_corrupt")
    with Lake(tmp_path) as lake:
        refused(lambda: lake.position("frames", "a"), "lake_corrupt")
        refused(lambda: lake.land("frames", [Landing("b", 0, frames("b", [0]))]), "lake_corrupt")
    log[0].unlink()
    refused(lambda: query(local_place(tmp_path), "select * from frames"), "lake_corrupt")
    with Lake(tmp_path) as lake:
        refused(lambda: lake.position("frames", "a"), "lake_corrupt")


def test_no_lake(tmp_path: Path) -> None:
    refused(lambda: query(local_place(tmp_path / "none"), "select 1"), "lake_missing")


def test_what_a_killed_process_left_of_a_log_is_none(tmp_path: Path, frames: Frames) -> None:
    """deltalake writes an entry beside its name, with a number after it, and links it then."""
    log = tmp_path / "frames" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json#1").write_bytes(b"{")
    with Lake(tmp_path) as lake:
        lake.land("frames", [Landing("a", 0, frames("a", [0]))])
    rows = query(local_place(tmp_path), "select frame_no from frames").to_pylist()
    assert rows == [{"frame_no": 0}]
