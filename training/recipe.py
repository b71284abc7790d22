"""Recipe: the checkpoint from nothing, all phases in order; `make train`.

The same command again goes on where it was cut. A phase that has ended is not run again; its
folder holds its state, its checkpoint and its curve.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import torch

from training.curve import draw, read
from training.evaluate import Reader, agreement, evaluate
from training.export import STATE
from training.phases import PHASES, Phase
from training.train import Run, Settings, read_state


def train_all(first: Settings, phases: Mapping[str, Phase], workers: int) -> Path:
    """Run phases in folders below `first.out`; gives the folder of the last.

    Args:
        first: of the first phase, `out` the folder of all; each starts from the one before, with
            the next seed.
        phases: by name, in order.
        workers: processes that draw pictures.
    """
    runs: list[Path] = []
    for index, (name, phase) in enumerate(phases.items()):
        folder = first.out / name
        start = runs[-1] if runs else first.start
        settings = replace(first, out=folder, phase=phase, start=start, seed=first.seed + index)
        if not _has_ended(folder, phase):
            Run(settings).train(workers)
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
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0: torch's choice")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
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
    reader = Reader(train_all(first, phases, options.workers) / "checkpoint")
    figures = [*evaluate(reader, 300), agreement(reader, 100)]
    report = json.dumps([asdict(figure) for figure in figures], indent=1, ensure_ascii=False)
    (options.out / "report.json").write_text(report + "\n", encoding="utf-8")
    print("\n".join(map(str, figures)))


if __name__ == "__main__":
    main()
