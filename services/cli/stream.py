"""Command line of the services: `worker`, `serve`, `lander`."""

import logging
import os
import signal
import sys
import threading
from typing import Annotated

import typer

from services.cli.shared import Device, JsonLines, settings
from services.cli.sharing import (
    Colocate,
    Config,
    DecoderGpus,
    Decoders,
    EncoderGpus,
    Encoders,
    Engine,
    KeepFeatures,
    Recognisers,
    Sharing,
)
from services.ingest import WORKS
from services.machine import HOST

Port = Annotated[int, typer.Option(help="Port to answer on.")]
LanderPort = Annotated[int, typer.Option("--port", help="Port to answer on.")]
Host = Annotated[
    str, typer.Option(help="IPv4 address of this machine to answer on; 0.0.0.0: on all of them.")
]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (worker, serve, lander):
        app.command()(command)


def worker(device: Device = "") -> None:
    """Work on jobs until SIGTERM or Ctrl-C, then drain; configured by REELPAGE_*."""
    from prometheus_client import REGISTRY

    from services.calls.health import Health
    from services.ingest.build import build
    from services.ingest.meters import Held

    _log_lines()
    found = settings(device)
    health = Health()
    health.answer(found.watch)
    ingest = health.subject = build(found)
    REGISTRY.register(Held(ingest.board))
    logging.getLogger("reelpage").info("%s %s", WORKS, found.topic)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ingest.drain())
    ingest.run()
    logging.getLogger("reelpage").info("drained")
    if ingest.slots.busy:
        os._exit(0)  # a unit that takes long is made again by another worker


def serve(
    port: Port = 8000,
    host: Host = HOST,
    encoders: Encoders = None,
    encoder_gpus: EncoderGpus = None,
    decoders: Decoders = None,
    decoder_gpus: DecoderGpus = None,
    recognisers: Recognisers = None,
    colocate: Colocate = False,
    config: Config = None,
    engine: Engine = None,
    keep_features: KeepFeatures = False,
) -> None:
    """Run the model in Ray Serve until SIGTERM or Ctrl-C."""
    replicas = encoders, encoder_gpus, decoders, decoder_gpus, recognisers
    sharing = Sharing(*replicas, colocate, config, engine, keep_features)
    found = settings()
    options = sharing.options(found.device)  # what is wrong is said before Ray is loaded
    from services.graph import cluster
    from services.graph.application import deploy

    _log_lines()
    ended = _told_to_stop()
    url = deploy(options, found, port, host)
    logging.getLogger("reelpage").info("the graph answers at %s", url)
    ended.wait()
    cluster.stop()
    os._exit(0)  # threads of Ray's core crash an interpreter that ends while they run


def lander(port: LanderPort = 8200, host: Host = HOST) -> None:
    """Commit for all workers until SIGTERM or Ctrl-C; configured by REELPAGE_*."""
    from pipeline.land.commit import GroupCommitter
    from services.calls.health import Health
    from services.lander.metered import Metered
    from services.lander.server import served
    from services.storage.lakes import open_shared

    _log_lines()
    found, health = settings(), Health()
    health.answer(found.watch)
    ended = _told_to_stop()
    with GroupCommitter(open_shared(found)) as committer:
        tables = health.subject = Metered(committer)
        with served(tables, found.secret, host, port) as url:
            logging.getLogger("reelpage").info("the lander answers at %s", url)
            ended.wait()


def _told_to_stop() -> threading.Event:
    """Set by SIGTERM and Ctrl-C from now on."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended


def _log_lines() -> None:
    """Log as JSON on standard error, without the chatter of libraries."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it repeats what we say of a broker
    for name in ("reelpage", "services", "pipeline"):
        logging.getLogger(name).setLevel(logging.INFO)
