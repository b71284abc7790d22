"""The window: parts land in order, each once, however they complete."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.land.window import (
    FINAL_PART,
    LogError,
    Start,
    Window,
    check_same_log,
    is_final,
    next_offset,
    offset_of,
    position_of,
    seek_to,
)


def window(position: int | None = None, records: int = 1000) -> Window[str]:
    return Window(position, records=records)


def end(offset: int) -> int:
    return position_of(offset, 0, final=True)


@given(
    jobs=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=8),
    seed=st.integers(0, 2**32),
)
def test_any_order_of_completion_lands_in_order(jobs: list[tuple[int, int]], seed: int) -> None:
    """`jobs`: the step from the offset before, and the number of parts."""
    random = Random(seed)
    held, todo, wanted, offset = window(), [], [], -1
    for step, parts in jobs:
        offset += step
        held.admit(offset, f"{offset}", 1)
        work = [(offset, part, part == parts - 1) for part in range(parts)]
        wanted += [position_of(place, part, final=final) for place, part, final in work]
        todo += work
    random.shuffle(todo)
    landed: list[int] = []
    for place, part, final in todo:
        held.complete(place, part, "row", 1, final=final)
        run = [done.position for done in held.ready()]
        run = run[: random.randint(0, len(run))]
        if run:
            held.landed(run[-1])
            landed += run
            assert held.committed >= next_offset(run[-1])
    rest = [done.position for done in held.ready()]
    assert landed + rest == wanted == sorted(set(wanted))
    if rest:
        held.landed(rest[-1])
    assert (len(held), held.bytes_held, held.committed) == (0, 0, offset + 1)


@given(st.integers(0, 2**42), st.integers(0, FINAL_PART - 1), st.booleans())
def test_positions_keep_offset_and_end(offset: int, part: int, final: bool) -> None:
    position = position_of(offset, part, final=final)
    assert position < 2**63
    assert (offset_of(position), is_final(position)) == (offset, final)
    assert position < position_of(offset + 1, 0, final=False)


def test_a_job_of_too_many_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="split it"):
        position_of(0, FINAL_PART, final=False)


def test_a_job_goes_on_where_it_landed() -> None:
    held = window(position_of(5, 2, final=False))
    held.admit(5, "m", 1)
    assert held.startable() == [Start(5, 3)]
    assert held.committed == 5
    held.complete(5, 3, "row", final=True)
    held.landed(held.ready()[-1].position)
    assert held.committed == 6


def test_the_same_key_waits_until_the_first_has_landed() -> None:
    held = window()
    for offset, key in enumerate("aba"):
        held.admit(offset, key, 1)
    assert held.startable() == [Start(0, 0), Start(1, 0)]
    held.start(1)
    assert held.startable() == [Start(0, 0)]
    held.start(0)
    held.complete(0, 0, "row", final=True)
    assert held.startable() == []
    held.landed(end(0))
    assert held.startable() == [Start(2, 0)]


def test_a_job_that_was_put_back_starts_behind_what_it_made() -> None:
    """Only once that has landed: it finds in the markers what it has done."""
    held = window()
    held.admit(0, "a", 1)
    held.admit(1, "a", 1)
    held.start(0)
    held.complete(0, 0, "row", final=False)
    held.put_back(0)
    assert held.startable() == []
    held.landed(held.ready()[-1].position)
    assert held.startable() == [Start(0, 1)]
    held.start(0)
    held.put_back(0)
    assert held.startable() == [Start(0, 1)]


def test_records_bound_it() -> None:
    held = window(records=2)
    assert not held.admit(0, "a", 1)
    assert held.admit(1, "b", 1)
    assert held.full
    held.complete(0, 0, "row", final=True)
    held.landed(end(0))
    assert not held.full


def test_it_holds_the_bytes_of_records_and_of_parts_that_wait() -> None:
    held = window()
    held.admit(0, "a", 4)
    held.admit(1, "b", 4)
    held.complete(1, 0, "row", 5, final=False)
    assert held.bytes_held == 13
    assert (held.is_oldest(0), held.is_oldest(1)) == (True, False)
    held.complete(0, 0, "row", 7, final=True)
    assert held.bytes_held == 20
    held.landed(end(0))
    assert (held.is_oldest(0), held.is_oldest(1)) == (False, True)
    assert held.bytes_held == 9
    held.landed(held.ready()[-1].position)
    assert held.bytes_held == 4


def test_nothing_completes_or_lands_twice() -> None:
    held = window()
    held.admit(0, "a", 1)
    held.complete(0, 0, "row", final=False)
    with pytest.raises(ValueError, match="done before"):
        held.complete(0, 0, "row", final=False)
    held.landed(0)
    with pytest.raises(ValueError, match="not the end of a run"):
        held.landed(0)


@pytest.mark.parametrize(
    ("position", "start", "stop", "wanted"),
    [
        (None, 3, 9, 3),
        (end(4), 0, 5, 4),
        (end(4), 5, 5, 5),
        (position_of(4, 1, final=False), 4, 5, 4),
        (end(4), 0, 4, "log_behind_table"),
        (end(4), 6, 9, "retention_gap"),
        (position_of(4, 1, final=False), 5, 9, "retention_gap"),
    ],
)
def test_where_to_read_on(position: int | None, start: int, stop: int, wanted: int | str) -> None:
    if isinstance(wanted, int):
        assert seek_to(position, start, stop) == wanted
        return
    with pytest.raises(LogError) as caught:
        seek_to(position, start, stop)
    assert caught.value.code == wanted


def test_another_log_is_noticed() -> None:
    check_same_log("a@1", "a@1", 4)
    with pytest.raises(LogError, match="re-created"):
        check_same_log("a@1", "a@2", 4)
    held = window(end(4))
    with pytest.raises(LogError, match="was reset"):
        held.admit(4, "a", 1)
    assert held.has_landed(4)
