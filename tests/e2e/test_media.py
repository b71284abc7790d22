"""Media of all kinds: everything is indexed but the document with a password."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from pipeline.land.store import local_place
from pipeline.query.sql import query
from tests.conftest import Result, run
from tests.media import VIDEOS, inputs


@pytest.fixture
def lake(media_lake: tuple[Path, Result]) -> tuple[Path, Result]:
    return media_lake


def test_password_is_the_one_failure(lake: tuple[Path, Result], media: Path) -> None:
    target, result = lake
    assert result.code == 1
    count = len(inputs(media))
    assert f"{count} inputs = {count - 1} indexed + 0 skipped + 1 failed" in result.out
    assert query(local_place(target), "select code from failures")["code"].to_pylist() == [
        "password_required"
    ]
    assert run("verify", target).code == 0


def test_frame_times_agree_with_the_container(lake: tuple[Path, Result], media: Path) -> None:
    """Against a full decode: the last frame presented by each second, to the microsecond."""
    target, _ = lake
    for path in (path for path in inputs(media) if path.suffix in VIDEOS):
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            base = Fraction(stream.time_base or 1)
            pts = [frame.pts for frame in container.decode(stream) if frame.pts is not None]
            start = Fraction(container.start_time or 0, 1_000_000)
        times = [p * base - start for p in pts]
        seconds = range(int(times[-1]) + 1)
        due = [[t for t in times if t <= second + Fraction(1, 2000)] for second in seconds]
        shown = {max(before, default=times[0]) for before in due}
        expected = sorted(shown)
        found = query(
            local_place(target),
            "select t_us from frames f join media using (media_id, sampling)"
            " where name = ? order by t_us",
            [path.name],
        )
        assert found["t_us"].to_pylist() == [round(t * 1_000_000) for t in expected], path.name
