"""`reelpage k8s check`: what it prints, and how it ends."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.errors import SetupError
from services.cli.main import app
from services.k8s import core
from services.k8s.documents import Document
from services.k8s.structure import structure
from tests.conftest import run
from tests.k8s.conftest import K8S


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of all manifests, to be changed."""
    return Path(shutil.copytree(K8S, tmp_path / "k8s"))


def test_what_is_right_is_counted(kubectl: str) -> None:
    overlays = [str(K8S / "overlays" / name) for name in ("local", "internet")]
    done = CliRunner().invoke(app, ["k8s", "check", *overlays, "--kubectl", kubectl])
    assert done.exit_code == 0, done.output
    found = re.fullmatch(r"2 overlays, (\d+) documents: 0 problems\n", done.output)
    assert found is not None
    assert int(found[1]) > 50


@pytest.mark.ci
def test_each_problem_is_a_line_with_its_place(kubectl: str, copied: Path) -> None:
    file = copied / "base" / "ingest.yaml"
    file.write_text(file.read_text().replace("terminationGracePeriodSeconds: 60", ""))
    overlay = copied / "overlays" / "gpu"
    result = run("k8s", "check", overlay, "--kubectl", kubectl)
    assert result.code == 2
    assert (
        f"{overlay}: Deployment/ingest: spec.template.spec.terminationGracePeriodSeconds: 30 s, and"
    ) in result.out
    assert re.search(r"^1 overlays, \d+ documents: \d problems$", result.out, re.MULTILINE)


@pytest.mark.ci
def test_problems_are_told_as_json(kubectl: str, copied: Path) -> None:
    file = copied / "components" / "keda" / "scale.yaml"
    file.write_text(file.read_text().replace('lagThreshold: "5"', "lagThreshold: 5"))
    overlays = [copied / "overlays" / name for name in ("keda", "kueue")]
    result = run("k8s", "check", *overlays, "--kubectl", kubectl, "--json")
    assert result.code == 2
    found = json.loads(result.out)
    assert found["overlays"] == 2
    assert [one["overlay"] for one in found["problems"]] == [str(one) for one in overlays]
    first = found["problems"][0]
    assert first["where"] == "ScaledObject/ingest"
    assert first["path"] == "spec.triggers[0].metadata.lagThreshold"
    assert first["what"] == '5 is no text; write "5"'


def test_a_missing_kubectl_is_one_line_with_the_remedy() -> None:
    result = run("k8s", "check", K8S / "base", "--kubectl", "/nowhere/kubectl")
    assert result.code == 2
    assert "/nowhere/kubectl: there is no such program; install kubectl" in result.err
    assert "--kubectl PATH" in result.err


def test_an_overlay_that_cannot_be_rendered_says_why(kubectl: str, copied: Path) -> None:
    (copied / "base" / "ingest.yaml").unlink()
    result = run("k8s", "check", copied / "base", "--kubectl", kubectl)
    assert result.code == 2
    assert "kubectl kustomize" in result.err
    assert "ingest.yaml" in result.err


@pytest.fixture
def without_schemas(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    core._folder.cache_clear()
    monkeypatch.setattr(core, "find_spec", lambda _: None)
    yield
    core._folder.cache_clear()


@pytest.mark.usefixtures("without_schemas")
def test_a_missing_extra_is_named() -> None:
    document = Document({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}})
    with pytest.raises(SetupError, match=r"pip install 'reelpage\[k8s\]'"):
        list(structure(document))
