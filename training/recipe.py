"""Recipe: the checkpoint from nothing, all phases in order; `make train`.

The same command again goes on where it was cut. A phase that has ended is not run again; its
folder holds its state, its checkpoint and its curve.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from training.curve import draw, read
from training.evaluate import Reader, agreement, evaluate
from training.export import STATE
from training.phases import PHASES, Phase
from training.run import Settings, read_state
from training.train import learn


def train_all(
    first: Settings,
    phases: Mapping[str, Phase],
    *,
    threads: int = 0,
    workers: int = 1,
    peers: int = 1,
) -> Path:
    """Run phases in folders below `first.out`; gives the folder of the last.

    Args:
        first: of the first phase, `out` the folder of all; each starts from the one before, with
            the next seed.
        phases: by name, in order.
        threads: of torch in each process; 0: torch's choice.
        workers: processes that draw pictures, for each that learns.
        peers: processes that learn together.
    """
    runs: list[Path] = []
    for index, (name, phase) in enumerate(phases.items()):
        folder = first.out / name
        start = runs[-1] if runs else first.start
        settings = replace(first, out=folder, phase=phase, start=start, seed=first.seed + index)
        if not _has_ended(folder, phase):
            learn(settings, threads=threads, workers=workers, peers=peers)
        runs.append(folder)
        draw(*read(runs)).save(first.out / "curve.png")
    return runs[-1]


def _has_ended(run: Path, phase: Phase) -> bool:
    return (run / STATE).exists() and read_state(run)["step"] >= phase.steps


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of all phases")
    parser.add_argument("--start", type=Path, help="run or checkpoint to start from")
    parser.add_argument("--first", choices=list(PHASES), help="phase to begin with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="compile blocks; needs g++")
    parser.add_argument("--threads", type=int, default=1, help="of torch in each process")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    parser.add_argument("--peers", type=int, default=2, help="processes that learn together")
    options = parser.parse_args()
    names = list(PHASES)
    chosen = names[names.index(options.first or names[0]) :]
    phases = {name: PHASES[name] for name in chosen}
    first = Settings(
        out=options.out,
        phase=phases[chosen[0]],
        start=options.start,
        seed=options.seed,
        device=options.device,
        compiled=options.compile,
    )
    last = train_all(
        first,
        phases,
        threads=options.threads,
        workers=options.workers,
        peers=options.peers,
    )
    reader = Reader(last / "checkpoint")
    figures = [*evaluate(reader, 300), agreement(reader, 100)]
    report = json.dumps([asdict(figure) for figure in figures], indent=1, ensure_ascii=False)
    (options.out / "report.json").write_text(report + "\n", encoding="utf-8")
    print("\n".join(map(str, figures)))


if __name__ == "__main__":
    main()
