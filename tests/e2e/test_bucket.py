"""A lake in a bucket reads like one in a folder, by every command."""

from pathlib import Path

import pytest

import reelpage
from pipeline.land.store import Folder
from services.settings import Settings
from services.stack.servers import S3Server
from services.storage.places import open_place
from tests.conftest import Result, run


@pytest.fixture
def copied(
    captioned: Path, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, dict[str, str]]:
    """The samples' lake, object by object, and the environment that reaches it."""
    environment = {
        "REELPAGE_S3_ENDPOINT": s3.endpoint,
        "REELPAGE_S3_ACCESS_KEY": s3.access_key,
        "REELPAGE_S3_SECRET_KEY": s3.secret_key,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    location = f"s3://{bucket}/lakes/samples"
    folder, place = Folder(captioned), open_place(location, Settings.from_environment())
    for name in folder.names(""):
        data = folder.get(name)
        assert data is not None
        place.objects.put(name, data)
    return location, environment


def test_every_reader_takes_a_bucket(
    captioned: Path, copied: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    location, environment = copied

    def both(command: str, *arguments: str) -> Result:
        here = run(command, captioned, *arguments)
        there = run(command, location, *arguments, **environment)
        assert (there.code, there.out) == (here.code, here.out), there.err
        return there

    answers = "select media_id, unit_no, task, answer, run_id from answers order by all"
    assert both("query", answers, "--json").json
    assert both("status", "--json").json["tables"]["media"] == 4
    both("errors", "--json")
    both("verify")
    picture = tmp_path / "page.png"
    shown = run("show", location, "report.pdf#2", "--picture", picture, "--json", **environment)
    assert shown.json["picture"]["page_no"] == 2
    assert picture.read_bytes().startswith(b"\x89PNG")
    with reelpage.open_lake(location) as lake:
        assert lake.sql("select count(*) from media").fetchall() == [(4,)]


def test_what_is_lost_from_a_bucket_is_found(copied: tuple[str, dict[str, str]]) -> None:
    location, environment = copied
    place = open_place(location, Settings.from_environment())
    lost = [next(name for name in place.objects.names(prefix)) for prefix in ("shards/", "pages/p")]
    for name in lost:
        place.objects.delete(name)
        found = run("verify", location, "--json", **environment)
        assert found.code == 4
        assert any(f"{location}/{name}: is gone" in one["message"] for one in found.json), found.out


def test_a_store_that_is_away_is_one_line(copied: tuple[str, dict[str, str]]) -> None:
    location, environment = copied
    away = environment | {"REELPAGE_S3_ENDPOINT": "http://127.0.0.1:9"}
    result = run("status", location, **away)
    assert result.code == 3
    assert result.err.startswith("store_failed: bucket test-")
    assert result.err.count("\n") == 1
