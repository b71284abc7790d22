"""Checkpoints of ModelScope, by its own client over real HTTP."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.errors import SetupError
from services.checkpoints.found import checkpoint
from services.settings import Settings
from tests.conftest import run
from tests.hub.model_scope import COMMIT, NAME, Hub, home, serving
from tests.hub.test_hugging_face import assert_said, find

TINY = checkpoint(Settings()).folder


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(TINY) as one:
        yield one


def test_a_snapshot_is_pinned_cached_and_resumed(hub: Hub, tmp_path: Path) -> None:
    env, hub.drops = home(hub, tmp_path), 1
    hub.files |= {"pytorch_model.bin": b"a pickle", "configuration.py": b"raise SystemExit"}
    folder, address = find(f"ms://{NAME}", env)
    assert address == f"ms://{NAME}@{COMMIT}", (folder, address)
    assert Path(folder).name == COMMIT
    taken = {name for name in hub.files if name.endswith((".json", ".safetensors"))}
    assert {path.name for path in Path(folder).iterdir() if path.is_file()} == taken
    assert all((Path(folder) / name).read_bytes() == hub.files[name] for name in taken)
    assert set(hub.revisions) == {COMMIT}
    assert len(hub.ranges) == 2
    assert hub.ranges[1].startswith("bytes=")
    assert find(address, env | {"MODELSCOPE_ENDPOINT": "http://127.0.0.1:1"}) == (folder, address)
    listed = run("models", "--json", **env).json["checkpoints"]
    assert (folder, address) in {(one["folder"], one["address"]) for one in listed}


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelscope_hub", None)
    with pytest.raises(SetupError, match=r"pip install 'reelpage\[modelscope\]'") as caught:
        checkpoint(Settings(), f"ms://{NAME}")
    assert caught.value.code == "model_missing"


@pytest.mark.parametrize(
    ("status", "lies", "code", "remedy"),
    [
        (404, False, "model_missing", "check its name"),
        (401, False, "model_missing", "MODELSCOPE_API_TOKEN"),
        (403, False, "model_missing", "MODELSCOPE_API_TOKEN"),
        (200, True, "model_missing", "is not what the hub lists"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_remedy(
    hub: Hub, tmp_path: Path, status: int, lies: bool, code: str, remedy: str
) -> None:
    hub.status, hub.lies = status, lies
    assert_said(find(f"ms://{NAME}", home(hub, tmp_path)), code, remedy)
