"""`python -m tests.soak.worker`: the product's worker, with its session and its clock to choose.

It is configured by `REELPAGE_*`; the stub of the model is a graph: `tests.soak.graph`.
"""

import argparse
import logging
import os
import signal
import time

from services.ingest import poller
from services.ingest.build import build
from services.ingest.worker import Worker
from services.settings import Settings


def main() -> None:
    parser = argparse.ArgumentParser()
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
    worker = build(Settings.from_environment())
    signal.signal(signal.SIGTERM, lambda *_: worker.drain())
    signal.signal(signal.SIGUSR1, lambda *_: _tell(worker))
    worker.run()
    logging.info("drained")
    if worker.slots.busy:
        os._exit(0)


def _tell(worker: Worker) -> None:
    """How far each partition is, for whoever looks into a soak that does not end."""
    for one in worker.board.open():
        logging.info(
            "partition %d: next %d, reading %s, %d jobs in the window behind %s",
            *(one.number, one.fetch, one.reading, len(one.window), one.window.position),
        )
    logging.info("waiting %s, %d slots busy", worker.board.waiting(), worker.slots.busy)
    logging.getLogger("kafka").setLevel(logging.DEBUG)


if __name__ == "__main__":
    main()
