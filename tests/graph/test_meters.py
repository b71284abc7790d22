"""What the stages of a graph count, as Ray shows it to Prometheus."""

import re
import time

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ROOT
from tests.graph.conftest import TASKS, Graph

pytestmark = pytest.mark.ci

PATIENCE_S = 60.0  # Ray's agent is told every few seconds


def counted(graph: Graph) -> dict[tuple[str, str], float]:
    """Samples of ours by name and stage; over all else a sum."""
    text = urllib3.request("GET", graph.watch + "/metrics", timeout=20).data.decode()
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("ray_reelpage_"):
                key = sample.name, sample.labels["stage"]
                found[key] = found.get(key, 0.0) + sample.value
    return found


def documented() -> set[str]:
    text = (ROOT / "docs" / "metrics.md").read_text()
    return set(re.findall(r"^\| `(ray_\w+)` \| graph \|", text, re.MULTILINE))


def test_stages_show_what_they_have_done_and_nothing_that_is_not_documented(graph: Graph) -> None:
    (name, *_) = graph.lake.shards
    answers = graph.client.answers(name, TASKS, graph.lake.facts.revision)
    wanted = sum(one.output_tokens for row in answers for one in row)
    give_up = time.monotonic() + PATIENCE_S
    while (found := counted(graph)).get(("ray_reelpage_stage_tokens_total", "Decoder"), 0) < wanted:
        assert time.monotonic() < give_up, found
        time.sleep(0.5)
    names = {re.sub(r"_(bucket|count|sum)$", "", name) for name, _ in found}
    assert names == documented()
    for stage in ("Encoder", "Decoder"):
        assert found["ray_reelpage_stage_seconds_count", stage] >= 1
        assert ("ray_reelpage_stage_waiting", stage) in found
    assert found["ray_reelpage_stage_tokens_total", "Encoder"] > 0
