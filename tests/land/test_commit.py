"""The committer: intents of many threads, few commits, each row once."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from deltalake import DeltaTable

from pipeline.land.commit import GroupCommitter
from pipeline.land.place import Place
from pipeline.land.store import local_place
from schemas.errors import SetupError, TransientError
from tests.tables import land, numbers, race, store, wanted


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return local_place(tmp_path)


@pytest.fixture
def committer(place: Place) -> Iterator[GroupCommitter]:
    with GroupCommitter(place, delay_s=0.05) as opened:
        yield opened


def test_a_position_lands_once(committer: GroupCommitter, place: Place) -> None:
    file = store(place, "a", 0)
    assert committer.look("frames", ["a"], reload=False) == {"a": None}
    assert committer.commit("frames", {"a": None}, {"a": 0}, file)
    assert committer.commit("frames", {"a": None}, {"a": 0}, file)  # from before
    assert not committer.commit("frames", {"a": None}, {"a": 7}, store(place, "a", 7))
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
    assert DeltaTable(place.table("frames")).version() <= 2


def test_of_two_intents_for_one_position_one_is_written(
    committer: GroupCommitter, place: Place
) -> None:
    """They arrive in one group: a zombie's and the new owner's, with other rows each."""
    committer.look("frames", ["a"], reload=False)
    files = [store(place, "a", 10), store(place, "a", 11)]
    both = threading.Barrier(2)

    def commit(number: int) -> bool:
        both.wait()
        return committer.commit("frames", {"a": None}, {"a": number}, files[number])

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
