"""Every overlay renders, and nothing is wrong with it."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from benchmarks.keda import POLL_S, Policy
from benchmarks.thresholds import DERIVED
from services.cli.kubernetes import refusal
from services.graph.application import _stage_options, _stages
from services.graph.options import GraphOptions
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


def test_thresholds_are_those_that_the_simulation_gave(rendered: Rendered) -> None:
    (scaled,) = Overlay.of(rendered("keda")).kind("ScaledObject")
    trigger, behavior = (
        scaled.dig("spec.triggers")[0]["metadata"],
        scaled.dig("spec.advanced.horizontalPodAutoscalerConfig.behavior"),
    )
    assert int(trigger["lagThreshold"]) == DERIVED.lag
    assert (trigger["excludePersistentLag"] == "true") == DERIVED.excludes
    assert scaled.dig("spec.cooldownPeriod") == DERIVED.cooldown_s
    assert scaled.dig("spec.pollingInterval") == POLL_S
    for said, direction in (("scaleUp", DERIVED.scaled.up), ("scaleDown", DERIVED.scaled.down)):
        assert behavior[said].get("stabilizationWindowSeconds", 0) == direction.window_s
        policies = [
            Policy(one["type"], one["value"], one["periodSeconds"])
            for one in behavior[said]["policies"]
        ]
        assert tuple(policies) == direction.policies


def test_the_graph_admits_what_the_simulation_gave(rendered: Rendered) -> None:
    (graph,) = Overlay.of(rendered("keda")).kind("RayService")
    (application,) = yaml.safe_load(graph.dig("spec.serveConfigV2"))["applications"]
    options = GraphOptions.from_mapping(application["args"])
    assert options.ingresses * options.admitted == DERIVED.admitted
    for stage, share in zip(
        _stages(options), (DERIVED.encoder_share, DERIVED.decoder_share), strict=True
    ):
        scaling = _stage_options(stage, 1.0)["autoscaling_config"]
        assert scaling["policy"]["policy_kwargs"]["share"] == share
        assert scaling["downscale_delay_s"] == DERIVED.down_delay_s
        assert scaling["downscale_to_zero_delay_s"] == DERIVED.zero_delay_s


def test_each_component_is_in_use() -> None:
    used = "".join(path.read_text() for path in K8S.rglob("kustomization.yaml"))
    for component in (K8S / "components").iterdir():
        assert f"components/{component.name}\n" in used
