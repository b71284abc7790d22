"""Train: one phase of the tiny checkpoint, from random weights or from those of another run.

Batches depend on the seed, the step and the number of processes alone; `--out` holds a state from
which the same command goes on.

Use: `python -m training.train --phase letters --out runs/letters`, then
`python -m training.train --phase copying --start runs/letters --out runs/copying`.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.multiprocessing.spawn import spawn

from training.peers import Peers
from training.phases import PHASES
from training.run import Run, Settings


def learn(settings: Settings, *, threads: int = 0, workers: int = 1, peers: int = 1) -> None:
    """Run a phase to its end.

    Args:
        settings: of the run.
        threads: of torch in each process; 0: torch's choice.
        workers: processes that draw pictures, for each that learns.
        peers: processes that learn together.
    """
    with TemporaryDirectory() as folder:
        arguments = (settings, threads, workers, peers, Path(folder, "meeting"))
        if peers == 1:
            _learn(0, *arguments)
        else:
            spawn(_learn, arguments, nprocs=peers)  # type: ignore[no-untyped-call]


def _learn(
    number: int, settings: Settings, threads: int, workers: int, count: int, meeting: Path
) -> None:
    if threads:
        torch.set_num_threads(threads)
    with Peers.meet(number, count, meeting) as peers:
        Run(settings, peers).train(workers)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--phase", choices=sorted(PHASES), required=True)
    parser.add_argument("--start", type=Path, help="run or checkpoint folder to start from")
    parser.add_argument("--steps", type=int, default=0, help="optimiser steps; 0: the phase's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--float32", action="store_true", help="no bfloat16 products")
    parser.add_argument("--compile", action="store_true", help="compile blocks; needs g++")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0: torch's choice")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    parser.add_argument("--peers", type=int, default=1, help="processes that learn together")
    options = parser.parse_args()
    phase = PHASES[options.phase]
    phase = replace(phase, steps=options.steps or phase.steps)
    settings = Settings(
        options.out,
        phase,
        options.start,
        options.seed,
        options.device,
        not options.float32,
        options.compile,
    )
    learn(settings, threads=options.threads, workers=options.workers, peers=options.peers)


if __name__ == "__main__":
    main()
