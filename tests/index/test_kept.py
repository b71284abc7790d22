"""Features that the lake keeps: a new question over old media decodes and encodes nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.decode import DecodePlan, Sampling, decode
from pipeline.land.store import Folder
from schemas.features import Features
from schemas.shards import Shard
from services.model.asking import Seen
from services.model.kept import KeptFeatures
from tests.conftest import CAPTION, SAMPLES, rows, run

SLOW = ("--tasks", "", "--sample", "0.2fps")
FRAMES, SEGMENTS, STILLS = 8, 4, 2


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    shutil.copy(SAMPLES / "scenes.mkv", folder)
    noise = np.random.default_rng(1).integers(0, 256, (80, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "b.png")
    Image.fromarray(np.full_like(noise, 255)).save(folder / "blank.png")
    return folder


def test_a_new_question_gets_the_same_answers(media: Path, tmp_path: Path) -> None:
    """Of pictures and of clips."""
    kept, plain = tmp_path / "kept", tmp_path / "plain"
    first = (media, *SLOW, "--ask", "What is it?", "--ask-video", "What is it?")
    done = run("index", *first, "--to", kept, "--keep-features", "--json")
    assert done.json["busy"]["encode"] > 0
    asked = (*first, "--ask", "What colour is it?", "--ask-video", "What happens?")
    for lake in (kept, plain):
        done = run("index", *asked, "--to", lake, "--json")
        assert (done.code, done.json["failed"]) == (0, 0)
        assert done.json["busy"]["generate"] > 0
        if lake == kept:
            assert (done.json["busy"]["encode"], done.json["busy"]["decode"]) == (0, 0)
    assert len(rows(kept, "answers")) == 2 * (FRAMES + SEGMENTS + STILLS)
    assert rows(kept, "answers") == rows(plain, "answers")


def test_they_are_forgotten_with_their_medium(media: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    run("index", media, "--to", lake, *CAPTION, "--sample", "0.2fps", "--keep-features")
    assert len(list(lake.rglob("*.features"))) == SEGMENTS + STILLS
    assert run("verify", lake).code == 0
    for row in rows(lake, "media"):
        assert run("forget", lake, str(row["media_id"]), "--yes").code == 0
    assert list(lake.rglob("*.features")) == []


def test_without_the_option_none_is_kept(media: Path, tmp_path: Path) -> None:
    run("index", media / "b.png", "--to", tmp_path / "lake", *CAPTION)
    assert list((tmp_path / "lake").rglob("*.features")) == []


@pytest.fixture
def shard(media: Path) -> Shard:
    plan = DecodePlan(Sampling("rate", 1.0))
    (found,) = (one for one in decode(media / "b.png", plan) if isinstance(one, Shard))
    return found


def test_those_of_other_pictures_or_damaged_ones_are_none(shard: Shard, tmp_path: Path) -> None:
    kept = KeptFeatures(Folder(tmp_path), "1", writes=True)
    features = [Features(np.ones((4, 8), np.float32), (1, 4, 4), "key")]
    name = "shards/aa/m/s/000000.arrow"
    assert kept.get(name, shard, False) is None
    kept.put(name, shard, False, Seen([0], [0]), features)
    found = kept.get(name, shard, False)
    assert found is not None
    np.testing.assert_array_equal(found[1][0].tokens, features[0].tokens)
    assert (list(found[0].like), list(found[0].asked)) == ([0], [0])
    grown = replace(shard, rows=shard.rows.slice(0, 0))
    assert kept.get(name, grown, False) is None
    assert kept.get(name, shard, True) is None, "as a clip"
    other = KeptFeatures(Folder(tmp_path), "2", writes=True)
    assert other.get(name, shard, False) is None, "of another model"
    (path,) = tmp_path.rglob("*.features")
    for damaged in (b"", path.read_bytes()[:-40], b"ARROW1" * 9):
        path.write_bytes(damaged)
        assert kept.get(name, shard, False) is None
