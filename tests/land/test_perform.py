"""The protocol on real tables; records and markers as bytes."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.land.commit import GroupCommitter
from pipeline.land.perform import Performer
from pipeline.land.protocol import Batch, Letter, Marker, Protocol, Range, Resumed
from pipeline.land.records import from_bytes, to_bytes
from pipeline.land.rows import to_table
from pipeline.land.store import local_place
from pipeline.land.tables import check_version
from pipeline.query.sql import open_dataset
from schemas.errors import SetupError
from schemas.tables import FAILURES, TABLES

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
_FACTS = st.dictionaries(st.text(), _JSON, max_size=3)
_MARKERS = st.builds(
    Marker, st.text(), st.sampled_from(["indexed", "failed"]), st.integers(0), _FACTS, st.integers()
)
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
    markers=st.lists(_MARKERS, max_size=2).map(tuple),
    ranges=st.lists(
        st.builds(Range, st.text(), st.lists(st.text(), max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    last_key=st.text(),
    letters=st.lists(st.builds(Letter, st.text(), _FACTS), max_size=2).map(tuple),
)


@given(_BATCHES | _MARKERS)
def test_records_round_trip(value: Batch | Marker) -> None:
    assert from_bytes(to_bytes(value)) == value


@pytest.mark.parametrize("data", [b"", b"{}", b"RPB1\0\0\0\2{}", b"RPB1\0\0\0\1{", b"\xff", b"[]"])
def test_a_damaged_record_is_an_error(data: bytes) -> None:
    with pytest.raises(SetupError) as caught:
        from_bytes(data)
    assert caught.value.code == "lake_corrupt"


def join(markers: Sequence[Marker]) -> pa.Table:
    frames = sum(marker.facts["frames"] for marker in markers)
    return to_table("media", [{"media_id": "m", "frames": frames}])


def batch(part: int, before: int | None, number: int) -> Batch:
    name = f"markers/m/{part}"
    rows = {
        "frames": to_table("frames", [{"media_id": "m", "frame_no": part}]),
        "failures": to_table("failures", [{"input_id": "bad", "attempt": part}]),
    }
    return Batch(
        app="g/t/0",
        before=before,
        last=part << 20,
        number=number,
        rows=rows,
        markers=(Marker(name, "indexed", 1, {"frames": 1}),),
        ranges=(Range("media/m", ("markers/m/0", "markers/m/1")),),
        last_key=f"key {part}",
        letters=(Letter(f"dead/m/{part}", {"code": "corrupt"}),),
    )


def test_a_medium_of_two_ranges_lands_whole(tmp_path: Path) -> None:
    place = local_place(tmp_path)
    check_version(place, create=True)
    protocol = Protocol(join, FAILURES.empty_table())
    with GroupCommitter(place, 0) as tables:
        worker = Performer(tables, place.objects)
        assert worker.run(protocol.resume("g/t/0")) is None
        assert worker.run(protocol.land(batch(0, None, 11)))
        assert open_dataset(place, "media").count_rows() == 0
        assert not worker.run(protocol.land(batch(1, None, 12))), "another was faster"
        for _ in range(2):  # the second time it is there already
            assert worker.run(protocol.land(batch(1, 0, 13)))
        assert worker.run(protocol.resume("g/t/0")) == Resumed(1 << 20, "key 1")
    assert open_dataset(place, "media").to_table().column("frames").to_pylist() == [2]
    for table in ("frames", "failures"):
        assert open_dataset(place, table).count_rows() == 2
    assert list(place.objects.names("dead/")) == ["dead/m/0", "dead/m/1"]
    assert list(place.objects.names("landings/")) == [f"landings/g/t/0/{13:016x}"]
