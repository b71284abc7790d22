"""A real Prometheus over real processes: it takes the rules, and the dashboard shows something."""

import json
import os
import shutil
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from services.machine import HOST
from services.stack.ports import Ports
from tests.conftest import CAPTION, FEW, ROOT
from tests.streams import StreamFactory
from tests.watch.monitoring import alerts, groups, queries

pytestmark = pytest.mark.ci

PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def prometheus() -> None:
    if shutil.which("prometheus"):
        return
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    command = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "prometheus"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # no service is started
    subprocess.run(command, check=True, env=os.environ | quiet)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules as Prometheus itself reads them."""
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups()}))
    return path


@pytest.mark.usefixtures("prometheus")
def test_promtool_takes_the_rules_and_each_alert_comes_when_it_has_to(rules: Path) -> None:
    check = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
    assert f"SUCCESS: {len(list(alerts()))} rules found" in check.stdout
    situations = ROOT / "tests" / "watch" / "rules_test.yaml"
    for one in alerts():
        assert f"alertname: {one['alert']}\n        exp_alerts:" in situations.read_text()
    shutil.copy(situations, rules.with_name("situations.yaml"))
    done = subprocess.run(
        ["promtool", "test", "rules", "situations.yaml"],
        cwd=rules.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Scraper:
    """A Prometheus that looks at some addresses every second."""

    def __init__(self, folder: Path, rules: Path, addresses: list[str], port: int) -> None:
        jobs = [{"job_name": "reelpage", "static_configs": [{"targets": addresses}]}]
        config = {
            "global": {"scrape_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": jobs,
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.url = f"http://{HOST}:{port}"
        command = [
            "prometheus",
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={HOST}:{port}",
        ]
        with (folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def ask(self, query: str) -> list[Any]:
        """What a query gives now; nothing while Prometheus starts."""
        try:
            reply = urllib3.request(
                "GET",
                self.url + "/api/v1/query",
                fields={"query": query},
                timeout=20,
                retries=False,
            )
        except urllib3.exceptions.HTTPError:
            return []
        said = json.loads(reply.data)
        assert said["status"] == "success", said
        found: list[Any] = said["data"]["result"]
        return found


@pytest.fixture
def ports() -> list[int]:
    with closing(Ports()) as found:
        numbers = found.choose(6)
    return numbers


@pytest.mark.usefixtures("prometheus")
def test_every_query_of_the_dashboard_shows_something(
    streams: StreamFactory, tmp_path: Path, rules: Path, ports: list[int]
) -> None:
    graph, lander, *watch, scraped = ports
    stream = streams(
        "dashboard",
        partitions=1,
        REELPAGE_GRAPH=f"http://{HOST}:{graph}",
        REELPAGE_LANDER=f"http://{HOST}:{lander}",
    )
    (tmp_path / "graph.yaml").write_text("lander: false\n")
    commands = {
        "serve": ("--port", str(graph), "--config", str(tmp_path / "graph.yaml")),
        "lander": ("--port", str(lander)),
        "worker": (),
    }
    for (name, arguments), port in zip(commands.items(), watch, strict=True):
        stream.start(name, name, *arguments, REELPAGE_WATCH=f"{HOST}:{port}")
    stream.wait_for_graph(f"http://{HOST}:{graph}")
    scraper = Scraper(tmp_path, rules, [f"{HOST}:{port}" for port in watch], scraped)
    try:
        stream.submit(FEW[0], FEW[1], ROOT / "pyproject.toml", *CAPTION)
        stream.wait()
        left = {query for panel in queries().values() for query in panel}
        give_up = time.monotonic() + PATIENCE_S
        while left := {query for query in left if not scraper.ask(query)}:
            assert time.monotonic() < give_up, left
            time.sleep(1.0)
    finally:
        scraper.process.terminate()
        scraper.process.wait(30)
    for name in commands:
        stream.end(name)
