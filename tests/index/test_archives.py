"""Members of zip and tar files are media, and what is wrong with one costs that one."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from pipeline.query.sql import query
from services.storage.places import local_place
from tests.conftest import Result, run


def picture(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (20 * number, 90, 200)).save(buffer, "PNG")
    return buffer.getvalue()


def tar(path: Path, named: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in named.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def packed(path: Path, named: dict[str, bytes], method: int) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in named.items():
            archive.writestr(name, data)
    return path


def indexed(lake: Path, *inputs: Path, **environment: str) -> tuple[Result, set[str], set[str]]:
    """The run, addresses of media, and codes of failures."""
    done = run("index", *inputs, "--to", lake, "--tasks", "caption", **environment)
    place = local_place(lake)
    media = query(place, "select uri from media").column("uri").to_pylist()
    codes = query(place, "select code from failures").column("code").to_pylist()
    return done, set(media), set(codes)


def test_members_are_media(tmp_path: Path) -> None:
    """Those of a WebDataset, of a zip that packs and of one that only stores."""
    folder = tmp_path / "media"
    folder.mkdir()
    first = tar(
        folder / "shard-000.tar",
        {"0001.png": picture(1), "0001.json": b"{}", "below/0002.png": picture(2)},
    )
    second = packed(folder / "b.zip", {"a/3.png": picture(3)}, zipfile.ZIP_DEFLATED)
    third = packed(folder / "c.zip", {"4.png": picture(4), "x.txt": b""}, zipfile.ZIP_STORED)
    done, media, codes = indexed(tmp_path / "lake", folder)
    assert (done.code, codes) == (0, set())
    assert media == {
        f"{first}!0001.png",
        f"{first}!below/0002.png",
        f"{second}!a/3.png",
        f"{third}!4.png",
    }
    assert "passed over in folders: 1 .json, 1 .txt" in done.out
    again = run("index", folder, "--to", tmp_path / "lake", "--tasks", "caption", "--json").json
    assert (again["inputs"], again["skipped"]) == (4, 4)
    assert run("verify", tmp_path / "lake").code == 0


def test_a_member_that_climbs_out(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"../evil.png": picture(1), "good.png": picture(2)})
    done, media, codes = indexed(tmp_path / "lake", path)
    assert (done.code, codes, media) == (1, {"member_refused"}, {f"{path}!good.png"})
    assert not list(tmp_path.parent.glob("**/evil.png"))


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    named = {"bomb.png": bytes(50 << 20), "good.png": picture(2)}
    path = packed(tmp_path / "a.zip", named, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    done, media, codes = indexed(tmp_path / "lake", path, REELPAGE_MAX_BYTES="1000000")
    assert (done.code, codes, media) == (1, {"too_large"}, {f"{path}!good.png"})


def test_a_tar_that_is_cut(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar", {"1.png": picture(1), "2.png": picture(2)})
    path.write_bytes(path.read_bytes()[: 512 + 512 + 512 + 60])
    done, media, codes = indexed(tmp_path / "lake", path)
    assert (done.code, codes, media) == (1, {"truncated"}, {f"{path}!1.png"})


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"1.png": picture(1)}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    data[6] |= 1  # of the member's own head ...
    data[data.index(b"PK\1\2") + 8] |= 1  # ... and in the directory
    path.write_bytes(data)
    _, media, codes = indexed(tmp_path / "lake", path)
    assert (codes, media) == ({"member_refused"}, set())


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_what_is_no_archive(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"no archive at all" * 100)
    done, media, codes = indexed(tmp_path / "lake", path)
    assert (done.code, codes, media) == (1, {"corrupt"}, set())


def test_a_member_whose_bytes_are_wrong(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"1.png": picture(1)}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    _, media, codes = indexed(tmp_path / "lake", path)
    assert (codes, media) == ({"corrupt"}, set())
