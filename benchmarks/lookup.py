"""All answers of one medium among ten million rows, sorted by compaction, against a full scan.

The rows land in no order, so that every file has some of each medium and a look-up reads them all:
the full scan. Behind the compaction it reads the row groups with the medium. Beside it are the same
look-up in the sorted files in words that let DuckDB skip nothing (it still reads other columns than
the id only where the id is the one), and through an Arrow dataset, as others read Delta tables.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.common import Report, parser, show, watch
from pipeline.land.maintenance.compact import compact
from pipeline.land.parquet import write_file
from pipeline.land.place import Place
from pipeline.land.store import local_place
from pipeline.land.tables import append, check_version, open_or_create, open_table
from pipeline.query.sql import Lake
from schemas.tables import ANSWERS

ROWS: Final = 10_000_000
_ANSWERS: Final = 500  # of a medium
_FILES: Final = 40
_LOOKED_UP: Final = 10
_GOAL: Final = 20
_LOOK_UP: Final = "select * from answers where media_id = ?"
_SCAN: Final = "select * from answers where concat(media_id, '') = ?"


def fill(place: Place, rows: int) -> list[str]:
    """Make the table; returns the ids of its media."""
    check_version(place, write=True)
    handle = open_or_create(place, "answers")
    chance = np.random.default_rng(0)
    ids = pa.array([chance.bytes(32).hex() for _ in range(rows // _ANSWERS)])
    order = chance.permutation(rows)
    for number, some in enumerate(np.array_split(order, _FILES)):
        file = write_file(place.objects, "answers", answers(ids, some, _ANSWERS), str(number))
        append(handle, [file.to_action()], {"benchmark": number})
    found: list[str] = ids.to_pylist()
    return found


def answers(
    ids: pa.Array, numbers: "np.ndarray[tuple[int], np.dtype[np.int64]]", of_each: int
) -> pa.Table:
    """Some answers, by their numbers, of media with so many each."""
    count = len(numbers)
    texts = pc.binary_join_element_wise(
        "a picture of number", pa.array(numbers * 7919 % 1_000_003).cast(pa.string()), " "
    )
    given = {
        "media_id": ids.take(pa.array(numbers // of_each)),
        "sampling": pa.repeat("rate=1", count),
        "unit": pa.repeat("frame", count),
        "unit_no": pa.array(numbers % of_each),
        "t_us": pa.array(numbers % of_each * 1_000_000),
        "task": pa.repeat("caption", count),
        "answer": texts,
    }
    nulls = {field.name: pa.nulls(count, field.type) for field in ANSWERS}
    return pa.table(nulls | given, schema=ANSWERS)


def median_ms(look_up: Callable[[str], int], ids: list[str]) -> float:
    """Milliseconds of a look-up; each has to find all answers."""
    taken = []
    for media_id in ids:
        start = time.perf_counter()
        found = look_up(media_id)
        taken.append(time.perf_counter() - start)
        if found != _ANSWERS:
            message = f"{media_id}: {found} of {_ANSWERS} answers"
            raise RuntimeError(message)
    return round(statistics.median(taken) * 1000, 1)


def by_sql(place: Place, sql: str, ids: list[str]) -> float:
    """The same by a statement."""
    with Lake(place) as lake:
        return median_ms(lambda media_id: lake.select(sql, [media_id]).num_rows, ids)


def by_dataset(place: Place, ids: list[str]) -> float:
    """The same by DuckDB over an Arrow dataset."""
    with duckdb.connect() as connection:
        connection.register("answers", open_table(place, "answers").to_pyarrow_dataset())
        return median_ms(
            lambda one: connection.sql(_LOOK_UP, params=[one]).to_arrow_table().num_rows, ids
        )


def measure(place: Place, rows: int) -> Report:
    """Look-ups before and behind a compaction."""
    ids = random.Random(0).sample(fill(place, rows), _LOOKED_UP)
    scan = by_sql(place, _LOOK_UP, ids[:3])
    with watch() as compaction:
        files = compact(place)["answers"]
    look_up = by_sql(place, _LOOK_UP, ids)
    return {
        "rows": rows,
        "files": files,
        "compaction_s": round(compaction.seconds, 1),
        "look_up_ms": look_up,
        "dataset_ms": by_dataset(place, ids),
        "full_scan_ms": scan,
        "sorted_scan_ms": by_sql(place, _SCAN, ids[:3]),
        "times_as_fast": round(scan / look_up, 1),
        "goal": _GOAL,
    }


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=ROWS)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="reelpage-") as folder:
        found = measure(local_place(Path(folder)), chosen.rows)
    show("lookup", [found], as_json=chosen.json)


if __name__ == "__main__":
    main()
