"""What a checkpoint takes is known before it is read, and read once."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.vlm.checkpoint import load_language, load_vision, read_config
from pipeline.vlm.device import numbers
from pipeline.vlm.needs import needs
from schemas.errors import SetupError
from tests.conftest import environment, run
from training.evaluate import TINY

REVISION = "import sys; from pathlib import Path; from pipeline.vlm.facts import revision;"
REVISION += "print(revision(Path(sys.argv[1])))"


@pytest.mark.parametrize("tied", [False, True])
def test_it_is_what_is_there_when_it_is_loaded(tmp_path: Path, tied: bool) -> None:
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    config = json.loads((TINY / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": tied}))
    found = needs(tmp_path)
    assert found.vision == numbers(load_vision(tmp_path, "cpu", torch.float32))
    language = load_language(tmp_path, "cpu", torch.float32)
    both = torch.nn.ModuleList([language.model, language.head])
    assert found.language == numbers(both)
    assert (language.head.weight is language.embed.weight) == tied


def test_a_cell_is_a_key_and_a_value_of_each_layer() -> None:
    text = read_config(TINY).text_config
    width = text.hidden_size // text.num_attention_heads
    assert needs(TINY).cell == 2 * text.num_hidden_layers * text.num_key_value_heads * width


def test_what_has_no_room_is_refused_before_it_is_read(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    config = json.loads((TINY / "config.json").read_text())
    config["text_config"]["vocab_size"] = 1 << 40
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(SetupError, match=r"its weights take .* GiB, and cpu has") as caught:
        load_language(tmp_path, "cpu", torch.float32)
    assert caught.value.code == "device_full"


def test_a_large_file_is_read_once_for_all_processes(tmp_path: Path) -> None:
    """Until it has another time."""
    model, cache = tmp_path / "model", tmp_path / "cache"
    model.mkdir()
    weights = model / "model.safetensors"
    with weights.open("wb") as file:
        file.truncate(64 << 20)

    def revision() -> str:
        command = [sys.executable, "-c", REVISION, str(model)]
        env = environment(XDG_CACHE_HOME=str(cache))
        return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout

    first, before = revision(), weights.stat()
    with weights.open("r+b") as file:
        file.write(b"other")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert revision() == first, "its content was not looked at"
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert revision() != first
    (cache / "reelpage").chmod(0o500)
    os.utime(weights)
    assert revision()


@pytest.mark.ci
def test_models_says_what_is_here(tmp_path: Path) -> None:
    found = run("models", "--json").json
    (shipped,) = (one for one in found["checkpoints"] if one["folder"] == str(TINY))
    assert shipped["fits"]
    assert shipped["weight_bytes"] == 4 * shipped["parameters"]
    assert shipped["device"] == "cpu"
    told = run("models").out
    assert "fits cpu: needs" in told
    assert "Latin, Chinese, Japanese" in told
    torn = tmp_path / "reelpage" / "models" / "torn"
    torn.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(TINY / name, torn)
    assert run("models", "--json", XDG_CACHE_HOME=str(tmp_path)).json == found
    refused = run("models", "--device", "abacus")
    assert (refused.code, refused.err.partition(":")[0]) == (2, "device_missing")
