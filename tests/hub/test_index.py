"""`index` of samples by a checkpoint from each place: the rows are those of the folder's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.checkpoints.found import checkpoint
from services.settings import Settings
from services.stack.servers import S3Server
from tests.conftest import FEW, run, tables
from tests.hub import hugging_face, model_scope

pytestmark = pytest.mark.ci

TINY = checkpoint(Settings()).folder
TASKS = ("--tasks", "caption,ocr,segment-caption")
Place = tuple[str, dict[str, str], str, dict[str, str]]
"""An address and the environment that reaches it; another one, and one that reaches nothing."""


@pytest.fixture(scope="module")
def by_folder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    return indexed(tmp_path_factory.mktemp("folder") / "lake", str(TINY), {})


@pytest.fixture(params=["hf", "ms", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    nowhere = "http://127.0.0.1:1"
    if request.param == "hf":
        with hugging_face.serving(hugging_face.Hub.of_folder(TINY)) as hub:
            env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
            env |= {"XDG_CACHE_HOME": str(tmp_path / "cache")}
            pinned = f"hf://{hugging_face.NAME}@{hugging_face.COMMIT}"
            offline = env | {"HF_ENDPOINT": nowhere, "HF_HUB_OFFLINE": "1"}
            yield f"hf://{hugging_face.NAME}", env, pinned, offline
    elif request.param == "ms":
        with model_scope.serving(TINY) as other:
            env = model_scope.home(other, tmp_path)
            pinned = f"ms://{model_scope.NAME}@{model_scope.COMMIT}"
            offline = env | {"MODELSCOPE_ENDPOINT": nowhere}
            yield f"ms://{model_scope.NAME}", env, pinned, offline
    else:
        yield bucket_of(request, tmp_path)


def bucket_of(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A bucket is asked each time what is in it, so it has no offline."""
    s3: S3Server = request.getfixturevalue("s3")
    bucket: str = request.getfixturevalue("bucket")
    for path in TINY.iterdir():
        if path.is_file():
            s3.client().fput_object(bucket, f"tiny/{path.name}", str(path))
    env = {
        "REELPAGE_S3_ENDPOINT": s3.endpoint,
        "REELPAGE_S3_ACCESS_KEY": s3.access_key,
        "REELPAGE_S3_SECRET_KEY": s3.secret_key,
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    return f"s3://{bucket}/tiny", env, f"s3://{bucket}/tiny", env


def indexed(lake: Path, model: str, env: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    done = run("index", *FEW, "--to", lake, *TASKS, "--model", model, **env)
    assert done.code == 0, done.err
    found = tables(lake)
    for row in found["answers"]:
        del row["model"]  # by its address
    return found


def test_the_rows_are_those_of_the_folder(
    place: Place, by_folder: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    address, env, pinned, offline = place
    assert indexed(tmp_path / "online", address, env) == by_folder
    assert indexed(tmp_path / "offline", pinned, offline) == by_folder
