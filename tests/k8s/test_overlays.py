"""Every overlay renders, and nothing is wrong with it."""

import re
import shutil
from pathlib import Path

import pytest

from services.cli.kubernetes import refusal
from services.k8s.check import check
from services.k8s.documents import Overlay
from services.k8s.render import render
from tests.k8s.conftest import K8S, OVERLAYS, Rendered


def test_the_overlays_are_those_that_the_documentation_names() -> None:
    text = (K8S.parent / "docs" / "kubernetes.md").read_text()
    assert {"local", "gpu", "keda", "kueue", "backfill"} <= set(OVERLAYS)
    for name in OVERLAYS:
        assert f"`{name}`" in text


@pytest.mark.parametrize("name", OVERLAYS)
def test_nothing_is_wrong(rendered: Rendered, name: str) -> None:
    assert check(rendered(name), refusal) == []


def test_the_base_is_right_by_itself(kubectl: str) -> None:
    assert check(render(K8S / "base", kubectl), refusal) == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_secret_is_in_the_local_overlay_alone(rendered: Rendered, name: str) -> None:
    assert bool(Overlay.of(rendered(name)).kind("Secret")) == (name == "local")


def test_the_overlay_of_the_documentation_is_right(kubectl: str, tmp_path: Path) -> None:
    shutil.copytree(K8S, tmp_path / "reelpage" / "k8s")
    text = (K8S.parent / "docs" / "kubernetes.md").read_text()
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "kustomization.yaml").write_text(found[1])
    documents = render(tmp_path / "deploy", kubectl)
    assert check(documents, refusal) == []
    pods = Overlay.of(documents).pods
    images = {container.body["image"] for pod in pods for container in pod.containers}
    assert images == {f"registry.example.org/reelpage-{one}:0.1.0" for one in ("ingest", "serve")}
    lake = Overlay.of(documents).kind("ConfigMap")
    assert "s3://lake" in {one.dig("data.REELPAGE_LAKE") for one in lake}


def test_each_component_is_in_use() -> None:
    used = "".join(path.read_text() for path in K8S.rglob("kustomization.yaml"))
    for component in (K8S / "components").iterdir():
        assert f"components/{component.name}\n" in used
