"""Check: what has to hold of a lake at the end of a soak, read past the product's own code."""

import json
from collections import Counter
from collections.abc import Iterator

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from pipeline.land.place import Place
from pipeline.query.verify import verify
from schemas.tables import KEYS
from tests.soak.work import Rows, comparable


def check(place: Place, expected: Rows) -> list[str]:
    """What does not hold; nothing of a sound lake."""
    found = {table: list(_rows(place, table)) for table in expected}
    problems = [problem for table in expected for problem in _doubled(table, found[table])]
    for table, wanted in expected.items():
        problems += _compare(table, comparable(found[table], table), wanted)
    problems += _outcomes(found, expected)
    problems += _letters(place, found["failures"])
    problems += [f"verify: {one.kind} {one.message}" for one in verify(place) if not one.harmless]
    return problems


def _rows(place: Place, table: str) -> Iterator[dict[str, object]]:
    try:
        handle = DeltaTable(place.table(table), storage_options=place.options())
    except TableNotFoundError:
        return
    yield from handle.to_pyarrow_dataset().to_table().to_pylist()


def _doubled(table: str, rows: Rows | list[dict[str, object]]) -> Iterator[str]:
    counts = Counter(tuple(row[key] for key in KEYS[table]) for row in rows)
    doubled = {key: count for key, count in counts.items() if count > 1}
    if doubled:
        key, count = next(iter(doubled.items()))
        yield f"{table}: {len(doubled)} keys are doubled, such as {key}, {count} times"


def _compare(
    table: str, found: list[dict[str, object]], wanted: list[dict[str, object]]
) -> Iterator[str]:
    have, want = Counter(map(_text, found)), Counter(map(_text, wanted))
    for what, some in (("lost", want - have), ("strange", have - want)):
        if some:
            yield f"{table}: {some.total()} rows {what}, such as {next(iter(some))}"


def _text(row: dict[str, object]) -> str:
    return json.dumps(row, sort_keys=True, default=str)


def _outcomes(found: dict[str, list[dict[str, object]]], expected: Rows) -> Iterator[str]:
    """Every input is indexed or failed, once and not both."""
    indexed = Counter(row["media_id"] for row in found["media"])
    failed = Counter(row["input_id"] for row in found["failures"] if row["unit"] == "media")
    inputs = {row["media_id"] for row in expected["media"]}
    inputs |= {row["input_id"] for row in expected["failures"] if row["unit"] == "media"}
    for one in inputs | set(indexed) | set(failed):
        if indexed[one] + failed[one] != 1 or one not in inputs:
            yield f"input {one}: {indexed[one]} times indexed, {failed[one]} times failed"


def _letters(place: Place, failures: list[dict[str, object]]) -> Iterator[str]:
    letters = Counter(name.split("/")[1] for name in place.objects.names("dead/"))
    wanted = Counter(str(row["input_id"]) for row in failures)
    if letters != wanted:
        yield f"dead letters are {dict(letters)}, not {dict(wanted)}"
