"""A lake kept in order from the command line: compact, vacuum, forget."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from pipeline.land.store import local_place
from pipeline.land.tables import open_table
from pipeline.query.sql import query
from tests.conftest import CAPTION, FEW, run, start, tables


@pytest.fixture
def lake(captioned: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "lake"
    shutil.copytree(captioned, copy)
    return copy


def test_a_lake_is_compacted_and_a_medium_forgotten(lake: Path) -> None:
    before = tables(lake)
    compacted = run("compact", lake, "--json").json
    assert all(files["after"] == 1 < files["before"] for files in compacted.values())
    assert run("vacuum", lake, "--json").json["answers"] == 0, "they are young"
    assert tables(lake) == before
    media = query(local_place(lake), "select media_id from media where name = 'report.pdf'")
    media_id = media["media_id"][0].as_py()
    refused = run("forget", lake, "report.pdf", "--json")
    assert (refused.code, "--yes" in refused.err) == (2, True)
    done = run("forget", lake, "report.pdf", "--yes", "--json").json
    assert done["rows"]["pages"] == 5
    assert done["objects"]["shards"] > 0
    assert "report.pdf" not in json.dumps(tables(lake))
    kept = {
        name: [row for row in rows if media_id not in row.values()] for name, rows in before.items()
    }
    assert tables(lake) == kept
    assert run("verify", lake).code == 0
    again = run("index", *FEW, "--to", lake, *CAPTION, "--json").json
    assert (again["inputs"], again["skipped"], again["failed"]) == (4, 4, 0)
    assert tables(lake) == kept, "it stays away"


def test_forget_asks_first(lake: Path) -> None:
    asked = run("forget", lake, "phone.png", text="n\n")
    assert asked.code == 1
    assert "for good?" in asked.out
    assert run("forget", lake, "phone.png", text="y\n").code == 0
    gone = run("forget", lake, "phone.png", "--yes")
    assert (gone.code, "unknown_media" in gone.err) == (1, True)


@pytest.mark.parametrize("command", ["compact", "vacuum", "forget"])
def test_there_has_to_be_a_lake(tmp_path: Path, command: str) -> None:
    more = ["a", "--yes"] if command == "forget" else []
    result = run(command, tmp_path / "none", *more)
    assert (result.code, "lake_missing" in result.err) == (2, True)
    assert not (tmp_path / "none").exists()


def test_a_schedule_acts_again_and_again(lake: Path) -> None:
    """Each new question adds a file to the answers, and each time they become one."""
    process = start("compact", lake, "--every", "0.0002")
    try:
        for question in ("What colour is it?", "What shape is it?"):
            assert run("index", *FEW, "--to", lake, "--tasks", "", "--ask", question).code == 0
            give_up = time.monotonic() + 60
            while len(open_table(local_place(lake), "answers").file_uris()) > 1:
                assert time.monotonic() < give_up
                time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
