"""Members of zip and tar files are media, and what is wrong with one costs that one."""

import io
import tarfile
import zipfile
from pathlib import Path

from PIL import Image

from pipeline.land.place import Place
from pipeline.query.sql import query
from services.storage.places import local_place
from tests.conftest import run


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


def column(place: Place, sql: str) -> list[str]:
    found: list[str] = query(place, sql).column(0).to_pylist()
    return found


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
    done = run("index", folder, "--to", tmp_path / "lake", "--tasks", "caption")
    assert done.code == 0
    assert set(column(local_place(tmp_path / "lake"), "select uri from media")) == {
        f"{first}!0001.png",
        f"{first}!below/0002.png",
        f"{second}!a/3.png",
        f"{third}!4.png",
    }
    assert "passed over in folders: 1 .json, 1 .txt" in done.out
    again = run("index", folder, "--to", tmp_path / "lake", "--tasks", "caption", "--json").json
    assert (again["inputs"], again["skipped"]) == (4, 4)
    assert run("verify", tmp_path / "lake").code == 0


def test_what_is_wrong_costs_its_own_member(tmp_path: Path) -> None:
    """A name that climbs out, a bomb, a tar that is cut, an encrypted member, no archive at all."""
    climbing = tar(tmp_path / "a.tar", {"../evil.png": picture(1), "good.png": picture(2)})
    bomb = {"bomb.png": bytes(50 << 20), "good.png": picture(3)}
    packed(tmp_path / "b.zip", bomb, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "b.zip").stat().st_size < 100_000
    cut = tar(tmp_path / "c.tar", {"1.png": picture(4), "2.png": picture(5)})
    cut.write_bytes(cut.read_bytes()[: 512 + 512 + 512 + 60])
    locked = packed(tmp_path / "d.zip", {"1.png": picture(1)}, zipfile.ZIP_DEFLATED)
    data = bytearray(locked.read_bytes())
    data[6] |= 1  # of the member's own head ...
    data[data.index(b"PK\1\2") + 8] |= 1  # ... and in the directory
    locked.write_bytes(data)
    wrong = packed(tmp_path / "e.zip", {"1.png": picture(1)}, zipfile.ZIP_DEFLATED)
    data = bytearray(wrong.read_bytes())
    data[40:44] = b"\xff\xff\xff\xff"
    wrong.write_bytes(data)
    for suffix in ("zip", "tar"):
        (tmp_path / f"f.{suffix}").write_bytes(b"no archive at all" * 100)
    done = run(
        *("index", tmp_path, "--to", tmp_path / "lake", "--tasks", "caption"),
        REELPAGE_MAX_BYTES="1000000",
    )
    assert done.code == 1
    place = local_place(tmp_path / "lake")
    names = [name.rsplit("/", 1)[-1] for name in column(place, "select uri from media")]
    assert sorted(names) == ["a.tar!good.png", "b.zip!good.png", "c.tar!1.png"]
    failed = query(place, "select uri, code from failures").to_pylist()
    codes = {row["uri"].removeprefix(f"{tmp_path}/"): row["code"] for row in failed}
    assert codes == {
        "a.tar!../evil.png": "member_refused",
        "b.zip!bomb.png": "too_large",
        "c.tar!2.png": "truncated",
        "d.zip!1.png": "member_refused",
        "e.zip!1.png": "corrupt",
        "f.zip": "corrupt",
        "f.tar": "corrupt",
    }
    assert climbing.parent == tmp_path
    assert not list(tmp_path.parent.glob("**/evil.png"))
