"""A graph that keeps features answers the next question without a look at the pictures."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from pipeline.land.rows import Answer
from schemas.errors import SetupError
from schemas.jobs import Task
from schemas.shards import Shard
from services.graph.options import GraphOptions
from tests.graph.conftest import OF_SEGMENTS, TASKS, Graph, Lake, compared, serving


def answered(graph: Graph, name: str, tasks: Sequence[Task]) -> list[list[Answer]]:
    """Answers of the graph, to be compared with those of the local reader."""
    return compared(graph.client.answers(name, tasks, graph.lake.facts.revision))


def whitened(shard: Shard) -> Shard:
    """The same shard, but there is nothing to see in it."""
    white = BytesIO()
    Image.new("RGB", (280, 280), "white").save(white, "png")
    rows = [row | {"image": white.getvalue()} for row in shard.rows.to_pylist()]
    return replace(shard, rows=pa.RecordBatch.from_pylist(rows, shard.rows.schema))


@pytest.mark.ci
def test_what_was_encoded_is_not_encoded_again(lake: Lake, tmp_path: Path) -> None:
    """Pictures and clips; without what is kept of it the page is white, which is the control."""
    own = replace(lake, folder=Path(shutil.copytree(lake.folder, tmp_path / "lake")))
    (tmp_path / "place").mkdir()
    video, page = (
        next(name for name, one in lake.shards.items() if column in one.rows.schema.names)
        for column in ("frame_no", "page_no")
    )
    first, second = TASKS[:1], TASKS[1:]
    shorter = [replace(task, max_new_tokens=task.max_new_tokens - 1) for task in OF_SEGMENTS]
    with serving(own, tmp_path / "place", "--keep-features") as graph:
        for name, tasks in ((video, first), (page, first), (video, OF_SEGMENTS)):
            assert answered(graph, name, tasks) == lake.expected(name, tasks)
        kept = list(own.folder.rglob("*.features"))
        assert len(kept) == 3
        for name in (video, page):
            (own.folder / name).write_bytes(whitened(lake.shards[name]).to_ipc())
            assert answered(graph, name, second) == lake.expected(name, second)
        assert answered(graph, video, shorter) == lake.expected(video, shorter)
        for path in kept:
            path.unlink()
        assert answered(graph, page, second) != lake.expected(page, second)


def test_it_is_for_encoders_of_their_own() -> None:
    with pytest.raises(SetupError, match="leave out keep_features"):
        GraphOptions.from_mapping({"colocate": True, "keep_features": True})
