"""Checkpoints of a hub, by its own client over real HTTP: the same rows, and one line if not."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.checkpoints.found import checkpoint
from services.settings import Settings
from tests.conftest import CAPTION, SAMPLES, environment, rows, run
from tests.hub.hugging_face import COMMIT, NAME, Hub, serving

TINY = checkpoint(Settings()).folder
FIND = """
import sys
from schemas.errors import ReelpageError
from services.checkpoints.found import checkpoint
from services.settings import Settings
try:
    found = checkpoint(Settings(), sys.argv[1])
    print(found.folder, found.address)
except ReelpageError as error:
    print(error.code, error.message)
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub.of_folder(TINY)) as one:
        yield one


def home(hub: Hub, folder: Path, **more: str) -> dict[str, str]:
    """A machine's environment on which nothing is cached."""
    return {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(folder / "hf"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        **more,
    }


def find(address: str, env: dict[str, str]) -> tuple[str, str]:
    """What a new process finds, folder and address or code and message; the client reads its
    environment once."""
    done = subprocess.run(
        [sys.executable, "-c", FIND, address],
        capture_output=True,
        text=True,
        env=environment(**env),
        timeout=120,
    )
    assert done.stderr == ""
    first, _, rest = done.stdout.strip().partition(" ")
    return first, rest


@pytest.mark.ci
def test_a_checkpoint_of_a_hub_lands_the_same_rows(hub: Hub, tmp_path: Path) -> None:
    still, env = SAMPLES / "phone.png", home(hub, tmp_path)
    lakes = {name: tmp_path / name for name in ("folder", "hub", "offline")}
    addresses = {"folder": str(TINY), "hub": f"hf://{NAME}", "offline": f"{NAME}@{COMMIT}"}
    for name, lake in lakes.items():
        if name == "offline":
            env |= {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:1"}
        what = (*CAPTION, "--width", "224", "--model", addresses[name])
        done = run("index", still, "--to", lake, *what, **env)
        assert done.code == 0, done.err
    answers = {name: rows(lake, "answers") for name, lake in lakes.items()}
    models = {name: {row.pop("model") for row in rows} for name, rows in answers.items()}
    assert answers["folder"]
    assert answers["folder"] == answers["hub"] == answers["offline"]
    pinned = {f"{NAME}@{COMMIT}"}
    assert models == {"folder": {"reelpage-tiny"}, "hub": pinned, "offline": pinned}


def test_a_snapshot_is_pinned_cached_and_shared(hub: Hub, tmp_path: Path) -> None:
    env = home(hub, tmp_path)
    hub.files |= {"pytorch_model.bin": b"a pickle", "modeling.py": b"raise SystemExit"}
    folder, address = find(f"hf://{NAME}@main", env)
    assert Path(folder).name == COMMIT
    assert address == f"hf://{NAME}@{COMMIT}"
    assert {path.name for path in Path(folder).iterdir()} == set(hub.files) & {
        "config.json", "generation_config.json", "model.safetensors", "preprocessor_config.json",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert find(address, env | {"HF_ENDPOINT": "http://127.0.0.1:1"}) == (folder, address)
    assert hub.ranges == [""]


@pytest.mark.ci
def test_what_was_fetched_is_listed(hub: Hub, tmp_path: Path) -> None:
    env = home(hub, tmp_path)
    folder, address = find(NAME, env)
    found = run("models", "--json", **env).json["checkpoints"]
    (one,) = (one for one in found if one["address"] == address)
    assert (one["folder"], one["fits"]) == (folder, True)
    assert one["file_bytes"] == (TINY / "model.safetensors").stat().st_size


def test_a_folder_wins(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).mkdir(parents=True)
    assert checkpoint(Settings(model=NAME)).folder == tmp_path / NAME


def test_a_dropped_connection_is_resumed(hub: Hub, tmp_path: Path) -> None:
    """The client writes down each ten megabytes, and goes on behind the last of them."""
    hub.files["model.safetensors"] = random.Random(1).randbytes(24 << 20)
    hub.drops = 1
    folder, _ = find(f"hf://{NAME}", home(hub, tmp_path))
    assert Path(folder, "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    assert hub.ranges == ["", f"bytes={10 << 20}-"]


def test_what_is_wrong_is_one_line_with_its_remedy(hub: Hub, tmp_path: Path) -> None:
    env = home(hub, tmp_path)
    cases = {
        "hf://someone/else": ("model_missing", "check its name"),
        f"hf://{NAME}@v9": ("model_missing", "has no revision 'v9'"),
        "hf://some..one/else": ("model_missing", "is no name of a repository"),
        "gs://bucket/model": ("usage", "ms://org/name"),
    }
    for address, (code, remedy) in cases.items():
        assert_said(find(address, env), code, remedy)
    offline = env | {"HF_HUB_OFFLINE": "1"}
    assert_said(find(f"hf://{NAME}", offline), "model_missing", "without HF_HUB_OFFLINE")
    nobody = env | {"HF_ENDPOINT": "http://127.0.0.1:1"}
    assert_said(find(f"hf://{NAME}", nobody), "fetch_failed", "try again")
    hub.gated = True
    assert_said(find(f"hf://{NAME}", env), "model_missing", "HF_TOKEN")


def test_another_digest_is_refused_and_mended(hub: Hub, tmp_path: Path) -> None:
    env, hub.lies = home(hub, tmp_path), True
    assert_said(find(f"hf://{NAME}", env), "model_missing", "model.safetensors is not what the hub")
    hub.lies = False
    folder, _ = find(f"hf://{NAME}", env)
    assert Path(folder, "model.safetensors").read_bytes() == hub.files["model.safetensors"]


@pytest.mark.ci
def test_a_command_ends_with_the_line(hub: Hub, tmp_path: Path) -> None:
    env, still = home(hub, tmp_path), SAMPLES / "phone.png"
    for address, code, status in (("someone/else", "model_missing", 2), (NAME, "fetch_failed", 3)):
        if status == 3:
            env |= {"HF_ENDPOINT": "http://127.0.0.1:1"}
        done = run("index", still, "--to", tmp_path / "lake", "--model", address, **env)
        assert done.code == status
        assert len(done.err.splitlines()) == 1, done.err
        assert code in done.err


def assert_said(said: tuple[str, str], code: str, remedy: str) -> None:
    assert said[0] == code, said
    assert remedy in said[1]
    assert "\n" not in said[1]
