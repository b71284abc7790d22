"""The committer: intents of many threads, few commits, each row once."""

import errno
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake import DeltaTable

from pipeline.land import commit
from pipeline.land.commit import GroupCommitter, Rows
from pipeline.land.parquet import write_file
from pipeline.land.place import Place
from pipeline.land.store import local_place
from schemas.errors import SetupError, TransientError
from tests.tables import land, numbers, one_row, race, wanted


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return local_place(tmp_path)


@pytest.fixture
def committer(place: Place) -> Iterator[GroupCommitter]:
    with GroupCommitter(place, delay_s=0.05) as opened:
        yield opened


def test_a_position_lands_once(committer: GroupCommitter, place: Place) -> None:
    rows = one_row("a", 0)
    assert committer.look("frames", ["a"], reload=False) == {"a": None}
    assert committer.commit("frames", {"a": None}, {"a": 0}, rows)
    assert committer.commit("frames", {"a": None}, {"a": 0}, rows)  # from before
    assert not committer.commit("frames", {"a": None}, {"a": 7}, one_row("a", 7))
    assert committer.look("frames", ["a", "b"], reload=True) == {"a": 0, "b": None}
    assert numbers(place) == [("a", 0)]


def test_intents_of_many_threads_share_a_commit(place: Place) -> None:
    """Those that have come while the oldest waits: here all, before it is told to go."""
    with ThreadPoolExecutor(8) as pool:
        with GroupCommitter(place, delay_s=60) as committer:
            committer.look("frames", ["a"], reload=False)
            landed = [pool.submit(land, committer, place, f"a{app}", 0) for app in range(8)]
            give_up = time.monotonic() + 30
            while len(committer._queue) < len(landed) and time.monotonic() < give_up:
                time.sleep(0.01)
        for one in landed:
            one.result()
    assert numbers(place) == wanted(8, 1)
    table = DeltaTable(place.table("frames"))
    assert table.version() <= 2
    assert len(table.file_uris()) <= 2, "one file for the rows of a commit"


def test_rows_that_are_stored_share_a_commit_with_others(
    committer: GroupCommitter, place: Place
) -> None:
    stored = write_file(place.objects, "frames", one_row("a", 0), "a")
    both: dict[str, Rows] = {"a": stored, "b": one_row("b", 0)}
    committer.look("frames", list(both), reload=False)
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(
            lambda app: committer.commit("frames", {app: None}, {app: 0}, both[app]), both
        )
        assert list(done) == [True, True]
    assert numbers(place) == [("a", 0), ("b", 0)]


def test_a_file_that_no_commit_took_is_nothing(
    committer: GroupCommitter, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends, or the log refuses, between the file and the commit."""

    def refused(*_: object) -> None:
        raise OSError(errno.EIO, "the log does not answer")

    committer.look("frames", ["a"], reload=False)
    with monkeypatch.context() as patch:
        patch.setattr(commit, "append", refused)
        with pytest.raises(TransientError):
            committer.commit("frames", {"a": None}, {"a": 0}, one_row("a", 0))
    assert len([name for name in place.objects.names("frames/part-")]) == 1
    assert numbers(place) == []
    assert committer.commit("frames", {"a": None}, {"a": 0}, one_row("a", 0, "again"))
    assert numbers(place) == [("a", 0)]


def test_of_two_intents_for_one_position_one_is_written(
    committer: GroupCommitter, place: Place
) -> None:
    """They arrive in one group: a zombie's and the new owner's, with other rows each."""
    committer.look("frames", ["a"], reload=False)
    rows = [one_row("a", 10), one_row("a", 11)]
    both = threading.Barrier(2)

    def commit(number: int) -> bool:
        both.wait()
        return committer.commit("frames", {"a": None}, {"a": number}, rows[number])

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(commit, [0, 1])) == [False, True]
    assert len(numbers(place)) == 1


def test_two_committers_race(place: Place) -> None:
    """Two processes' worth of committers, the same work in both: every row once."""
    with GroupCommitter(place, 0.01) as one, GroupCommitter(place, 0.01) as other:
        race([one, other, one], place, apps=3, count=6)
    assert numbers(place) == wanted(3, 6)


def test_a_damaged_log_is_told_to_every_worker(committer: GroupCommitter, tmp_path: Path) -> None:
    (tmp_path / "frames" / "_delta_log").mkdir(parents=True)
    (tmp_path / "frames" / "_delta_log" / f"{0:020}.json").write_text("{")
    for _ in range(2):
        with pytest.raises(SetupError) as caught:
            committer.look("frames", ["a"], reload=False)
        assert caught.value.code == "lake_corrupt"
    with pytest.raises(SetupError):
        committer.commit("frames", {"a": None}, {"a": 0}, None)
    assert committer.look("pages", ["a"], reload=False) == {"a": None}, "it goes on"


def test_a_closed_committer_takes_nothing(place: Place) -> None:
    committer = GroupCommitter(place)
    committer.close()
    with pytest.raises(TransientError):
        committer.commit("frames", {"a": None}, {"a": 0}, None)
