"""Subtitle files beside a video land with it, in `index` and in the stream alike."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.consume import attached
from tests.conftest import rows, run
from tests.ingest.conftest import StubStream
from tests.videos import video

CUE = "1\n00:00:0{start},000 --> 00:00:1{end},000\n{text}\n"


@pytest.fixture
def folder(stream: StubStream) -> Path:
    """Below what workers may read."""
    folder = stream.logs / "beside"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    video(folder / "talk.mp4", 15)
    (folder / "talk.srt").write_bytes(CUE.format(start=2, end=2, text="größer").encode("cp1252"))
    (folder / "talk.en.srt").write_text(CUE.format(start=4, end=1, text="larger"))
    return folder


def cues(segments: list[dict[str, Any]]) -> list[str]:
    return [row["subtitles"] for row in segments]


def test_both_ways_give_the_same(stream: StubStream, folder: Path, tmp_path: Path) -> None:
    (folder / "lone.srt").write_text(CUE.format(start=1, end=1, text="of nothing"))
    done = run("index", folder, "--to", tmp_path / "lake", "--tasks", "", "--json")
    assert done.json["ignored"] == {".srt": 1}
    sent = stream.submit(folder, "--tasks", "caption")
    assert (sent["sent"], sent["ignored"]) == (1, {".srt": 1})
    stream.wait()
    there = rows(tmp_path / "lake", "segments")
    assert cues(there) == ["größer\nlarger", "größer\nlarger"]
    assert rows(stream.place, "segments") == there
    assert stream.run("verify", stream.location, "--topic").code == 0


@pytest.mark.ci
def test_other_subtitles_are_another_medium(folder: Path, tmp_path: Path) -> None:
    def index(lake: Path) -> Any:  # noqa: ANN401 - JSON
        return run("index", folder / "talk.mp4", "--to", lake, "--tasks", "", "--json").json

    lake = tmp_path / "lake"
    assert index(lake)["indexed"] == 1
    assert index(lake)["skipped"] == 1
    (folder / "talk.en.srt").write_text(CUE.format(start=4, end=1, text="greater"))
    assert index(lake)["indexed"] == 1
    (folder / "talk.en.srt").write_text("no cue")
    (folder / "talk.srt").unlink()
    assert index(lake)["indexed"] == 1
    found = {tuple(row["warnings"]) for row in rows(lake, "media")}
    assert found == {(), ("not_read: a subtitle file beside it holds no cue",)}
    assert len({row["media_id"] for row in rows(lake, "media")}) == 3


def test_what_goes_with_what() -> None:
    names = ["a.mp4", "a.srt", "a.de.vtt", "a.b.mkv", "a.b.ASS", "c.pdf", "c.srt", "d.srt", "A.srt"]
    assert attached(names) == {"a.mp4": ["a.de.vtt", "a.srt"], "a.b.mkv": ["a.b.ASS"]}
