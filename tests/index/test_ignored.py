"""Every file of a folder is accounted for."""

import json
import shutil
from pathlib import Path

from pipeline.query.sql import query
from services.storage.places import local_place
from tests.conftest import SAMPLES, run


def test_what_is_no_medium_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    shutil.copy(SAMPLES / "phone.png", folder)
    for name in ("a.jxl", "b.JXL", "below/c.svg", "README"):
        (folder / name).write_bytes(b"text")
    done = run("index", folder, "--to", tmp_path / "lake", "--tasks", "caption")
    assert done.code == 0
    assert "passed over in folders: 2 .jxl, 1 .svg, 1 README" in done.out
    ignored = query(local_place(tmp_path / "lake"), "select ignored, inputs from runs").to_pylist()
    assert json.loads(ignored[0]["ignored"]) == {".jxl": 2, ".svg": 1, "README": 1}
    assert ignored[0]["inputs"] == 1


def test_a_file_that_is_named_and_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(b"text")
    done = run("index", tmp_path / "a.jxl", "--to", tmp_path / "lake", "--tasks", "caption")
    assert done.code == 1
    assert "unsupported_format" in done.err
