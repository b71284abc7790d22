"""What has been released keeps its names and types: compared with `schemas/frozen/`."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import schemas
from schemas.errors import CODES, InputError, ReelpageError
from schemas.jobs import JOB_VERSION, Job, MediaReference, PartRange, StreamChunk, Task
from schemas.shards import FRAMES, PAGES, SHARD_VERSION, MediaInfo
from schemas.tables import KEYS, LAKE_VERSION, TABLES

FROZEN = Path(schemas.__file__).parent / "frozen"


def frozen(name: str) -> dict[str, dict[str, Any]]:
    value: dict[str, dict[str, Any]] = json.loads((FROZEN / name).read_text())
    return value


def columns(schema: pa.Schema) -> dict[str, str]:
    return {field.name: str(field.type) for field in schema}


def members(kind: type) -> dict[str, dict[str, Any]]:
    return {
        field.name: {
            "type": str(field.type),
            "required": field.default is MISSING and field.default_factory is MISSING,
        }
        for field in fields(kind)
    }


@pytest.mark.parametrize("name", sorted(TABLES))
def test_tables_only_gain_nullable_columns(name: str) -> None:
    was = frozen("tables.v1.json")[name]
    now = columns(TABLES[name])
    assert {column: now.get(column) for column in was["columns"]} == was["columns"]
    assert list(KEYS[name]) == was["keys"]
    assert all(field.nullable for field in TABLES[name])


def test_the_same_tables_exist() -> None:
    assert LAKE_VERSION == 2
    assert set(frozen("tables.v1.json")) <= set(TABLES) == set(KEYS)


@pytest.mark.parametrize("kind", [Job, MediaReference, Task, PartRange, StreamChunk])
def test_jobs_only_gain_optional_fields(kind: type) -> None:
    assert JOB_VERSION == 1
    was, now = frozen("job.v1.json")[kind.__name__], members(kind)
    assert {name: now.get(name) for name in was} == was
    assert not any(now[name]["required"] for name in set(now) - set(was))


def test_shards_keep_their_columns() -> None:
    assert SHARD_VERSION == 2
    was = frozen("shard.v2.json")
    assert columns(FRAMES) == was["FRAMES"]
    assert columns(PAGES) == was["PAGES"]
    assert members(MediaInfo) == was["MediaInfo"]


def test_error_codes_are_never_renamed() -> None:
    assert set(json.loads((FROZEN / "errors.v1.json").read_text())) <= set(CODES)


def test_an_error_without_a_known_code_is_a_bug() -> None:
    with pytest.raises(ValueError, match="unknown error code"):
        InputError("no_such_code", "x")
    assert issubclass(InputError, ReelpageError)
