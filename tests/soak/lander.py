"""`python -m tests.soak.lander --port N`: a lander's process; `--control uri` breaks it."""

import argparse
import logging
import random
import time
from collections.abc import Sequence

import uvicorn

from pipeline.land import commit
from pipeline.land.commit import GroupCommitter
from pipeline.land.group import Intent
from pipeline.land.tables import open_table
from schemas.tables import TABLES
from services.ingest.build import open_lake
from services.ingest.patience import patiently
from services.lander.app import lander_app
from services.settings import Settings
from services.storage.places import open_place


class ByAddress(GroupCommitter):
    """Negative control: the same check, but each write opens the table again by its address."""

    def __init__(self, place: commit.Place, delay_s: float = 0.1) -> None:
        super().__init__(place, delay_s)
        self._tables = {name: _ByAddress(place, name) for name in TABLES}


class _ByAddress(commit._Table):
    def _write(self, intents: Sequence[Intent]) -> bool:
        time.sleep(random.uniform(0, 0.5))  # whoever checks may be paused before he writes
        self._handle = open_table(self.place, self.name)
        return super()._write(intents)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control", choices=["uri"])
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    settings = Settings.from_environment()
    patiently(lambda: open_lake(settings))
    committer = ByAddress if args.control else GroupCommitter
    tables = committer(open_place(settings.lake, settings))
    uvicorn.run(lander_app(tables, settings.secret), port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
