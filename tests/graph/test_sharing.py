"""Replicas and GPUs of the graph: what options and files ask for, and whether it is there."""

import json
import re
from pathlib import Path

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from pipeline.generate import Engine
from schemas.errors import SetupError
from services.cli.sharing import Sharing
from services.graph.cluster import check_config
from services.graph.gpus import check, fit
from services.graph.options import GraphOptions, StageOptions, VllmOptions
from tests.conftest import ROOT, run

TINY = ROOT / "pipeline" / "vlm" / "tiny"


def test_options_are_a_number_of_replicas_and_their_gpus() -> None:
    sharing = Sharing(encoders=1, encoder_gpus=0.5, decoders=2, decoder_gpus=1, recognisers=3)
    assert sharing.options("cpu") == GraphOptions(
        encoder=StageOptions(1, 1, 0.5),
        decoder=StageOptions(2, 2, 1.0),
        recogniser=StageOptions(3, 3),
    )


@pytest.mark.parametrize(("device", "share"), [("cpu", 0.0), ("cuda", 0.5), ("cuda:1", 0.5)])
def test_halves_share_the_gpu_of_the_settings(device: str, share: float) -> None:
    options = Sharing().options(device)
    assert options.shares == [share, share, 0.0]
    assert Sharing(colocate=True, decoders=2).options(device).shares == [share, share, 0.0]
    assert Sharing(encoder_gpus=0.0, decoder_gpus=0.0).options(device) == GraphOptions()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, VllmOptions(1, 1.0)),
        ({"tensor_parallel": 2}, VllmOptions(2, 1.0)),
        ({"decoder": {"gpus": 0.5}}, VllmOptions(1, 0.5)),
        ({"decoder": {"gpus": 4}}, VllmOptions(4, 1.0)),
    ],
)
def test_a_decoder_of_vllm_has_a_process_for_each_gpu(
    more: dict[str, object], expected: VllmOptions
) -> None:
    assert GraphOptions.from_mapping({"engine": "vllm", **more}).vllm == expected
    assert GraphOptions().vllm is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"engine": "sglang"}, "args.engine: 'sglang'; known are own, vllm"),
        ({"engine": "vllm", "colocate": True}, "leave out colocate"),
        ({"tensor_parallel": 2}, "for the engine vllm"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        GraphOptions.from_mapping(given)


def test_vllm_that_is_not_installed_is_a_line_with_the_remedy() -> None:
    with pytest.raises(SetupError, match=r"pip install 'reelpage\[vllm\]'") as caught:
        Sharing(engine="vllm").options("cpu")
    assert caught.value.code == "usage"
    with pytest.raises(SetupError, match=r"pip install 'reelpage\[vllm\]'"):
        Engine(TINY)


def test_arguments_say_the_same_to_another_process(tmp_path: Path) -> None:
    assert Sharing().arguments() == []
    sharing = Sharing(decoders=2, decoder_gpus=0.25, recognisers=1, colocate=True, engine="own")
    words = ["--decoders", "2", "--decoder-gpus", "0.25", "--recognisers", "1", "--engine", "own"]
    words.append("--colocate")
    assert sharing.arguments() == words
    (path,) = Sharing(config=Path("graph.yaml")).arguments()[1:]
    assert Path(path).is_absolute()


ARGS = {"encoder": {"gpus": 0.25}, "decoder": {"min_replicas": 0, "max_replicas": 4}}


@pytest.mark.parametrize(
    "text", [json.dumps(ARGS), "encoder: {gpus: 0.25}\ndecoder: {min_replicas: 0, max_replicas: 4}"]
)
def test_a_file_has_the_args_of_a_serve_config(tmp_path: Path, text: str) -> None:
    path = tmp_path / "graph"
    path.write_text(text)
    assert Sharing(config=path).options("cuda") == GraphOptions.from_mapping(ARGS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("encodr: {}", ": no such option 'encodr'; did you mean encoder?"),
        ("decoder: {gpus: 1.5}", ".decoder: gpus is a share of one, or a whole number"),
        ("decoder: {gpus: .nan}", ".decoder: gpus and cpus are not negative"),
        ("decoder: {gpus: .inf}", ".decoder: gpus is a share of one, or a whole number"),
        ("recogniser: {gpus: 1}", ".recogniser: runs on processors; leave its gpus out"),
        ("", ": None is no mapping"),
        ("a: [", ": cannot be read as YAML or JSON (while parsing"),
        (None, ": cannot be read as YAML or JSON ([Errno 2]"),
    ],
)
def test_a_file_is_read_strictly(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "graph.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SetupError) as caught:
        Sharing(config=path).options("cpu")
    assert caught.value.code == "usage"
    assert caught.value.message.startswith(f"{path}{said}")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["serve", "--config", "a.yaml", "--decoders", "2", "--colocate"], "--decoders, --coloc"),
        (["serve", "--colocate", "--encoders", "1"], "there are no encoders"),
        (["serve", "--decoder-gpus", "1.5"], "options.decoder: gpus is a share of one"),
        (["up", "--config", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["up", "--no-serve", "--decoders", "2"], "there is no graph; leave out --decoders"),
    ],
)
def test_options_of_which_one_would_be_ignored_are_refused(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    result = run(*arguments, cwd=tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))
    assert result.code == 2
    assert result.err.startswith("usage: ")
    assert said in result.err
    assert result.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_up_starts_nothing_where_gpus_are_missing(tmp_path: Path) -> None:
    result = run("up", "--decoder-gpus", "64", cwd=tmp_path, XDG_STATE_HOME=str(tmp_path / "state"))
    assert result.code == 2
    assert "the replicas ask for 64 GPUs (1 of 64), and there is " in result.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("shares", "hosts", "found"),
    [
        ([0.0, 0.0], [], True),
        ([0.5, 0.5], [1], True),
        ([0.5, 0.5, 0.5], [1], False),
        ([0.6, 0.6, 0.6], [2], False),  # a share is of one GPU
        ([0.1] * 10, [1], True),
        ([2], [1, 1], False),  # several are of one host
        ([2, 1, 1], [2, 2], True),
        ([1, 0.5, 0.5], [1, 1], True),
        ([64], [], False),
    ],
)
def test_each_replica_finds_its_gpus_or_none_starts(
    shares: list[float], hosts: list[float], found: bool
) -> None:
    assert fit(shares, hosts) == found


def test_what_was_asked_and_what_is_there_are_said() -> None:
    with pytest.raises(SetupError) as caught:
        check([0.5, 1, 1, 0], [1, 0, 1])
    assert caught.value.message == (
        "the replicas ask for 2.5 GPUs (1 of 0.5 + 2 of 1), and there is 1 + 1; ask for fewer "
        "replicas or smaller shares, or for 0 GPUs to use processors"
    )


def test_the_documented_config_is_one() -> None:
    text = (ROOT / "docs" / "stream.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    config = yaml.safe_load(example)
    check_config(config)
    ServeDeploySchema(**config)
    (application,) = config["applications"]
    assert GraphOptions.from_mapping(application["args"]).shares == [0.5, 1.0, 0.0]


@pytest.mark.ci
def test_serve_ends_at_once_where_gpus_are_missing(tmp_path: Path) -> None:
    asked = ("--recognisers", "1", "--encoders", "1", "--decoders", "1", "--decoder-gpus", "64")
    secret = {"REELPAGE_SECRET": "the-secret-of-the-graph"}
    result = run("serve", "--port", "1", *asked, REELPAGE_LAKE=str(tmp_path), **secret)
    assert result.code == 2
    assert "graph_not_started: the replicas ask for 64 GPUs (1 of 64), and there is " in result.err
