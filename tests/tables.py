"""A worker in ten lines, and what its rows came to; rows that land as those of a worker do."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from pipeline.land.batch import join_ranges
from pipeline.land.commit import GroupCommitter, Tables
from pipeline.land.perform import Performer
from pipeline.land.place import Place
from pipeline.land.protocol import Protocol
from schemas.errors import TransientError
from schemas.tables import FRAMES

PROTOCOL = Protocol(join_ranges, pa.table({}))
_ATTEMPTS = 40


def append(place: Place, table: str, app: str, position: int, rows: pa.Table) -> None:
    """Land rows at a position by a committer of its own, as a process that ends behind them."""
    with GroupCommitter(place, 0) as tables:
        Performer(tables, place.objects).run(PROTOCOL.append(table, app, position, rows))


def one_row(app: str, number: int, who: str = "") -> pa.Table:
    """Two workers' rows differ, as their latencies do: the same file twice would be one file."""
    row = {"media_id": app, "sampling": "s", "frame_no": number, "run_id": who}
    return pa.Table.from_pylist([row], schema=FRAMES)


def land(tables: Tables, place: Place, app: str, number: int, who: str = "") -> None:
    """Append one row at a position: look, commit, and look again after any trouble."""
    reload = False
    for _ in range(_ATTEMPTS):
        try:
            seen = tables.look("frames", [app], reload=reload)
            held = seen[app]
            if held is not None and held >= number:
                return
            if tables.commit("frames", seen, {app: number}, one_row(app, number, who)):
                return
        except TransientError:
            pass
        reload = True
    pytest.fail(f"{app} {number} did not land")


def race(sides: Iterable[Tables], place: Place, apps: int, count: int) -> None:
    """Every side lands the same positions of all apps at the same time."""

    def work(side: tuple[int, Tables], app: int) -> None:
        for number in range(count):
            land(side[1], place, f"a{app}", number, f"side {side[0]}")

    with ThreadPoolExecutor(16) as pool:
        jobs = [(side, app) for app in range(apps) for side in enumerate(sides)]
        list(pool.map(lambda job: work(*job), jobs))


def numbers(place: Place) -> list[tuple[str, int]]:
    """What is in the table."""
    table = DeltaTable(place.table("frames"), storage_options=place.options())
    rows = table.to_pyarrow_dataset().to_table(columns=["media_id", "frame_no"]).to_pylist()
    return sorted((row["media_id"], row["frame_no"]) for row in rows)


def wanted(apps: int, count: int) -> list[tuple[str, int]]:
    """What `race` has to come to."""
    return [(f"a{app}", number) for app in range(apps) for number in range(count)]
