"""What the monitoring component asks of Prometheus."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.conftest import ROOT

FOLDER = ROOT / "k8s" / "components" / "monitoring"
_NAME = re.compile(r"\b(?:ray_)?reelpage_\w+")


def groups() -> list[dict[str, Any]]:
    """Groups of alerting rules, as Prometheus itself reads them."""
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yaml").read_text())["spec"][
        "groups"
    ]
    return found


def alerts() -> Iterator[dict[str, Any]]:
    for group in groups():
        yield from group["rules"]


def queries() -> dict[str, list[str]]:
    """Queries of the dashboard, by the title of their panel."""
    board = json.loads((FOLDER / "dashboard.json").read_text())
    return {one["title"]: [each["expr"] for each in one["targets"]] for one in board["panels"]}


def names(query: str) -> set[str]:
    """Metrics of ours in a query, as they are documented: a histogram by its own name."""
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in _NAME.findall(query)}


def documented() -> set[str]:
    """Metrics that docs/metrics.md names."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    return set(re.findall(r"^\| `((?:ray_)?reelpage_\w+)`", text, re.MULTILINE))
