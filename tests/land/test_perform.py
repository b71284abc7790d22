"""The protocol on real tables; records and markers as bytes."""

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.land.commit import GroupCommitter
from pipeline.land.perform import Performer
from pipeline.land.place import Place
from pipeline.land.positions import is_rolled_forward, unsettled
from pipeline.land.protocol import (
    STRUCTURE,
    Advance,
    Batch,
    Letter,
    Marker,
    Protocol,
    Range,
    Resumed,
)
from pipeline.land.records import (
    batch_at,
    from_bytes,
    markers_of,
    markers_to_bytes,
    to_bytes,
)
from pipeline.land.rows import to_table
from pipeline.query.sql import query
from schemas.errors import SetupError
from schemas.tables import FAILURES, TABLES

APP = "g/t/0"
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
_FACTS = st.dictionaries(st.text(), _JSON, max_size=3)
_OUTCOMES = st.sampled_from(["partial", "indexed", "failed"])


def _markers(names: st.SearchStrategy[str]) -> st.SearchStrategy[Marker]:
    return st.builds(Marker, names, st.text(), _OUTCOMES, st.integers(0), _FACTS, st.integers())


_ROWS = st.sampled_from(sorted(TABLES)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.lists(st.fixed_dictionaries({"run_id": st.none() | st.text()}), max_size=3),
    )
)
_BATCHES = st.builds(
    Batch,
    app=st.text(),
    before=st.none() | st.integers(0, 2**63 - 1),
    last=st.integers(0, 2**63 - 1),
    number=st.integers(1, 2**63 - 1),
    rows=st.lists(_ROWS, max_size=3).map(lambda r: {n: to_table(n, rows) for n, rows in r}),
    markers=st.lists(_markers(st.text()), max_size=2).map(tuple),
    ranges=st.lists(
        st.builds(Range, st.text(), st.lists(st.text(), max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    last_key=st.text(),
    letters=st.lists(st.builds(Letter, st.text(), _FACTS), max_size=2).map(tuple),
)


@given(_BATCHES)
def test_records_round_trip(batch: Batch) -> None:
    assert from_bytes("landings/x", to_bytes(batch)) == batch
    assert batch_at("landings/x", to_bytes(batch)) == batch


@given(st.lists(_markers(st.just("markers/x")), max_size=4))
def test_markers_round_trip(markers: list[Marker]) -> None:
    held = {marker.column: marker for marker in markers}
    assert from_bytes("markers/x", markers_to_bytes(held)) == held
    assert markers_of("markers/x", markers_to_bytes(held)) == held


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RPB1\0\0\0\2{}",
        b"RPB1\0\0\0\1{",
        b"\xff",
        b"[]",
        b'{"structure": {}}',
        b'{"structure": []}',
        b'{"structure": {"outcome": "indexed", "parts": 1, "colour": 2}}',
        b'{"outcome": "indexed", "units": 1, "facts": {}, "attempt": 0}',
    ],
)
def test_a_damaged_record_is_an_error(data: bytes) -> None:
    with pytest.raises(SetupError) as caught:
        from_bytes("markers/x", data)
    assert caught.value.code == "lake_corrupt"
    assert caught.value.message.startswith("markers/x: ")


def test_one_kind_of_object_is_not_another() -> None:
    batch = to_bytes(Batch(APP, None, 0, 1, {}))
    for read, data in ((markers_of, batch), (batch_at, b"{}")):
        with pytest.raises(SetupError) as caught:
            read("x", data)
        assert caught.value.code == "lake_corrupt"


def join(markers: Sequence[Marker]) -> pa.Table:
    frames = sum(marker.facts["frames"] for marker in markers)
    return to_table("media", [{"media_id": "m", "frames": frames}])


PROTOCOL = Protocol(join, FAILURES.empty_table())


def batch(part: int, before: int | None, number: int) -> Batch:
    name = f"markers/m/{part}"
    rows = {
        "frames": to_table("frames", [{"media_id": "m", "frame_no": part}]),
        "failures": to_table("failures", [{"input_id": "bad", "attempt": part}]),
    }
    return Batch(
        app=APP,
        before=before,
        last=part << 20,
        number=number,
        rows=rows,
        markers=(Marker(name, STRUCTURE, "indexed", 1, {"frames": 1}),),
        ranges=(Range("media/m", ("markers/m/0", "markers/m/1")),),
        last_key=f"key {part}",
        letters=(Letter(f"dead/m/{part}", {"code": "corrupt"}),),
    )


def test_a_medium_of_two_ranges_lands_whole(place: Place) -> None:
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        assert worker.run(PROTOCOL.resume(APP)) is None
        assert worker.run(PROTOCOL.land(batch(0, None, 11)))
        assert query(place, "from media").num_rows == 0
        assert not worker.run(PROTOCOL.land(batch(1, None, 12))), "another was faster"
        for _ in range(2):  # the second time it is there already
            assert worker.run(PROTOCOL.land(batch(1, 0, 13)))
        assert worker.run(PROTOCOL.resume(APP)) == Resumed(1 << 20, "key 1")
    assert query(place, "from media")["frames"].to_pylist() == [2]
    for table in ("frames", "failures"):
        assert query(place, f"from {table}").num_rows == 2
    assert list(place.objects.names("dead/")) == ["dead/m/0", "dead/m/1"]
    assert list(place.objects.names("landings/")) == [f"landings/g/t/0/{13:016x}"]


def test_a_range_that_failed_or_goes_on_finishes_no_medium(place: Place) -> None:
    first, second = batch(0, None, 11), batch(1, 0, 12)
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        for outcome in ("partial", "failed"):
            marker = Marker("markers/m/1", STRUCTURE, outcome, 1)
            worker.run(step for step in [Advance(marker.name, (marker,))])
        assert worker.run(PROTOCOL.land(first))
        assert query(place, "from media").num_rows == 0
        assert worker.run(PROTOCOL.land(second))
    assert query(place, "from media").num_rows == 1


def test_what_a_killed_worker_has_left_to_do_is_known(place: Place) -> None:
    """Rows and markers: whoever waits for the one waits for the other."""
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        assert is_rolled_forward(place, APP), "nothing is decided"
        assert worker.run(PROTOCOL.land(batch(0, None, 11)))
        assert unsettled(place, APP) is None
        place.objects.delete("markers/m/0")
        assert unsettled(place, APP) == batch(0, None, 11)
        worker.run(PROTOCOL.resume(APP))
        assert is_rolled_forward(place, APP)
