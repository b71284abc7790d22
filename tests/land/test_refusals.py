"""A lake that cannot be used gives one line with the remedy and a stable code."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.land.lake import open_lake
from pipeline.land.maintenance.forget import forget
from pipeline.land.positions import positions
from pipeline.land.store import local_place
from pipeline.query.sql import query
from schemas.errors import SetupError
from tests.tables import append

Frames = Callable[[str, list[int]], pa.Table]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte; mounting it takes the rights of root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def opened(root: Path) -> None:
    with open_lake(root):
        pass


def refused(action: Callable[[], object], code: str) -> str:
    with pytest.raises(SetupError) as caught:
        action()
    assert caught.value.code == code
    assert "\n" not in caught.value.message
    return caught.value.message


def frame_numbers(root: Path) -> list[dict[str, object]]:
    rows = query(local_place(root), "select frame_no from frames order by 1").to_pylist()
    return list(rows)


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("x")
    assert str(place) in refused(lambda: opened(place), "lake_not_writable")
    refused(lambda: opened(place / "below"), "lake_not_writable")


@pytest.mark.parametrize("place", ["/proc/reelpage", "/sys/reelpage"])
def test_a_place_where_nothing_can_be_made(place: str) -> None:
    message = refused(lambda: opened(Path(place)), "lake_not_writable")
    assert place in message
    assert "choose another --to folder" in message


@pytest.mark.ci  # only root may mount
def test_a_read_only_disk_can_be_read(small_disk: Path, frames: Frames) -> None:
    with open_lake(small_disk) as place:
        append(place, "frames", "a", 0, frames("a", [0]))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refused(lambda: opened(small_disk), "lake_not_writable")
    assert frame_numbers(small_disk) == [{"frame_no": 0}]


@pytest.mark.ci  # only root may mount
def test_a_full_disk_loses_nothing(small_disk: Path, frames: Frames) -> None:
    ballast = small_disk / "ballast"
    with open_lake(small_disk) as place:
        append(place, "frames", "a", 0, frames("a", [0]))
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)

        def land() -> None:
            append(place, "frames", "a", 1, frames("a", [1]))

        assert "free some room" in refused(land, "disk_full")
        ballast.unlink()
        land()
    assert frame_numbers(small_disk) == [{"frame_no": 0}, {"frame_no": 1}]


def test_a_lake_of_a_newer_version(tmp_path: Path) -> None:
    (tmp_path / "lake.json").write_text('{"lake_version": 99}')
    assert "upgrade reelpage" in refused(lambda: opened(tmp_path), "lake_newer")
    refused(lambda: query(local_place(tmp_path), "select 1"), "lake_newer")
    (tmp_path / "lake.json").write_text('{"lake_version": 2}')
    opened(tmp_path)  # the refusal kept no lock


def test_a_lake_of_an_older_version_can_be_read_and_not_written(
    tmp_path: Path, frames: Frames
) -> None:
    with open_lake(tmp_path) as place:
        append(place, "frames", "a", 0, frames("a", [0]))
    (tmp_path / "lake.json").write_text('{"lake_version": 1}')
    before = sorted(tmp_path.rglob("*"))
    assert frame_numbers(tmp_path) == [{"frame_no": 0}]
    assert "index into a new one" in refused(lambda: opened(tmp_path), "lake_older")
    refused(lambda: forget(local_place(tmp_path), "a"), "lake_older")
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "lake.json").read_text() == '{"lake_version": 1}'


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"lake_version": "x"}', "\xff\x00"])
def test_a_damaged_version_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "lake.json").write_text(text, encoding="latin-1")
    refused(lambda: opened(tmp_path), "lake_corrupt")


def test_a_damaged_log(tmp_path: Path, frames: Frames) -> None:
    with open_lake(tmp_path) as place:
        append(place, "failures", "a", 0, pa.table({}))
        append(place, "frames", "a", 0, frames("a", [0]))
    for table in ("failures", "frames"):
        log = sorted((tmp_path / table / "_delta_log").glob("*.json"))
        log[0].write_bytes(b"\0\1 not a log")
        refused(lambda: query(place, f"select * from {table}"), "lake_corrupt")  # noqa: B023
        with open_lake(tmp_path):
            refused(lambda: append(place, table, "b", 0, pa.table({})), "lake_corrupt")  # noqa: B023
        log[0].unlink()
        refused(lambda: query(place, f"select * from {table}"), "lake_corrupt")  # noqa: B023
    refused(lambda: positions(place, ["a"]), "lake_corrupt")


def test_no_lake(tmp_path: Path) -> None:
    place = local_place(tmp_path / "none")
    refused(lambda: query(place, "select 1"), "lake_missing")
    refused(lambda: forget(place, "a"), "lake_missing")
    assert not (tmp_path / "none").exists()


def test_what_a_killed_process_left_of_a_log_is_none(tmp_path: Path, frames: Frames) -> None:
    """deltalake writes an entry beside its name, with a number after it, and links it then."""
    log = tmp_path / "frames" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json#1").write_bytes(b"{")
    with open_lake(tmp_path) as place:
        append(place, "frames", "a", 0, frames("a", [0]))
    assert frame_numbers(tmp_path) == [{"frame_no": 0}]
