"""`python -m tests.soak.worker`: an ingest worker with a stub for the model.

All else is the product's; it is configured by `REELPAGE_*`.
"""

import argparse
import logging
import os
import signal
import time

from pipeline.land.commit import GroupCommitter, Tables
from services.ingest import poller
from services.ingest.build import of_topic, open_lake
from services.ingest.patience import patiently
from services.ingest.topic_log import TopicLog
from services.ingest.worker import Worker
from services.lander.http import LanderClient
from services.settings import Settings
from tests.soak.stub import Stub


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lander", default="", help="address; else this process commits")
    parser.add_argument("--service", type=float, default=0.02, help="seconds for a shard's answers")
    parser.add_argument("--session", type=float, default=poller.SESSION_S)
    parser.add_argument("--skew", type=float, default=0.0, help="seconds its clock is ahead")
    args = parser.parse_args()
    if args.skew:
        right = time.time
        time.time = lambda: right() + args.skew  # type: ignore[assignment]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in ("kafka", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    poller.SESSION_S = args.session
    settings = Settings.from_environment()
    place = patiently(lambda: open_lake(settings))
    tables: Tables = (
        LanderClient(args.lander, settings.secret, timeout_s=5.0)
        if args.lander
        else GroupCommitter(place)
    )
    ingest = of_topic(settings, place, Stub(args.service), tables)
    signal.signal(signal.SIGTERM, lambda *_: ingest.drain())
    signal.signal(signal.SIGUSR1, lambda *_: _tell(ingest))
    ingest.run()
    logging.info("drained")
    if ingest.slots.busy:
        os._exit(0)


def _tell(ingest: Worker) -> None:
    """How far each partition is, for whoever looks into a soak that does not end."""
    for one in ingest._board.open():
        logging.info(
            "partition %d: next %d, reading %s, %d jobs in the window behind %s",
            *(one.number, one.fetch, one.reading, len(one.window), one.window.position),
        )
    logging.info("waiting %s, %d slots busy", ingest._board.waiting(), ingest.slots.busy)
    if isinstance(ingest._log, TopicLog) and (poller_ := ingest._log._poller):
        for place, state in poller_._consumer._subscription.assignment.items():
            logging.info("consumer of %d: %s", place.partition, vars(state))
        logging.info("fetcher %s", vars(poller_._consumer._fetcher))
    logging.getLogger("kafka").setLevel(logging.DEBUG)


if __name__ == "__main__":
    main()
