"""Alerts and dashboard name what is there: metrics that processes have, pages of the runbook."""

import re

from tests.conftest import ROOT
from tests.watch.monitoring import alerts, documented, names, queries


def test_every_metric_that_is_asked_for_is_documented() -> None:
    asked = [one["expr"] for one in alerts()]
    asked += [query for panel in queries().values() for query in panel]
    assert len(asked) > 20
    for query in asked:
        assert names(query), query
        assert names(query) <= documented(), query


def test_the_dashboard_shows_every_metric() -> None:
    shown = {name for panel in queries().values() for query in panel for name in names(query)}
    assert shown == documented()


def test_every_alert_has_its_page_in_the_runbook_and_no_other_has() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    pages = re.findall(r"^## (Reelpage\w+)$", text, re.MULTILINE)
    assert pages == [one["alert"] for one in alerts()]
    for one in alerts():
        assert one["annotations"]["runbook"] == f"docs/runbook.md#{one['alert'].lower()}"
