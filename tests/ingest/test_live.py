"""A live stream: chunks land in order, with the wall clock's times."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.query.sql import query
from tests.conftest import rows
from tests.ingest.conftest import StubStream
from tests.videos import video

BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)
SECONDS = 4
FRAGMENTED = {"movflags": "frag_keyframe+empty_moov"}


def test_frames_of_chunks_have_the_wall_clocks_times(stream: StubStream, tmp_path: Path) -> None:
    files = [video(tmp_path / f"{n}.ts", SECONDS, shift=n) for n in range(2)]
    files.append(video(tmp_path / "2.mp4", SECONDS, shift=2, **FRAGMENTED))
    sent = stream.submit(*files, "--stream", "cam", "--recorded", "2026-03-01T09:00:00+01:00")
    assert sent["sent"] == 3
    stream.wait()
    media = query(stream.place, "from media order by chunk_no").to_pylist()
    assert [(row["stream"], row["chunk_no"]) for row in media] == [("cam", n) for n in range(3)]
    begun = [BEGAN + timedelta(seconds=n * SECONDS) for n in range(3)]
    assert [row["recorded_at"] for row in media] == begun
    assert [row["container"] for row in media] == ["mpegts", "mpegts", media[2]["container"]]
    times = query(
        stream.place,
        "select m.recorded_at + to_microseconds(f.t_us) seen_at"
        " from frames f join media m using (media_id, sampling) order by seen_at",
    )["seen_at"].to_pylist()
    assert times == [BEGAN + timedelta(seconds=second) for second in range(3 * SECONDS)]
    segments = rows(stream.place, "segments")
    assert {(row["start_us"], row["frames"]) for row in segments} == {(0, SECONDS)}


def test_a_chunk_that_is_sent_again_lands_once(stream: StubStream, tmp_path: Path) -> None:
    before = rows(stream.place, "media")
    again = video(tmp_path / "again.ts", SECONDS, shift=0)
    stream.submit(again, "--stream", "cam", "--first", "0")
    stream.wait()
    assert rows(stream.place, "media") == before
    assert stream.run("verify", stream.location, "--topic").code == 0


def test_files_that_were_written_live_end_when_they_were_changed(
    stream: StubStream, tmp_path: Path
) -> None:
    chunk = video(tmp_path / "now.ts", SECONDS, shift=4)
    ended = datetime.fromtimestamp(chunk.stat().st_mtime, UTC)
    stream.submit(chunk, "--stream", "door")
    stream.wait()
    (row,) = query(stream.place, "from media where stream = 'door'").to_pylist()
    gap = ended - timedelta(seconds=SECONDS) - row["recorded_at"]
    assert abs(gap) < timedelta(milliseconds=10)
