"""Recipe: the shipped checkpoint from nothing, all phases in order; `make train`.

The same command again goes on where it was cut. A phase that has ended is not run again; its
folder holds its state, its checkpoint and its curve.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch

from training.curve import draw, read
from training.evaluate import Reader, agreement, evaluate
from training.export import STATE
from training.phases import PHASES
from training.train import Run, Settings, read_state


def train_all(out: Path, seed: int, options: argparse.Namespace) -> Path:
    """Run all phases below a folder; gives that of the last."""
    start: Path | None = options.start
    for index, (name, phase) in enumerate(PHASES.items()):
        folder = out / name
        done = (folder / STATE).exists() and read_state(folder)["step"] >= phase.steps
        if not done:
            settings = Settings(
                folder,
                phase,
                start,
                seed + index,
                options.device,
                compiled=options.compile,
            )
            Run(settings).train(options.workers)
        start = folder
        runs = [out / done for done in list(PHASES)[: index + 1]]
        draw(*read(runs)).save(out / "curve.png")
    assert start is not None
    return start


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of all phases")
    parser.add_argument("--start", type=Path, help="run or checkpoint to start from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="compile blocks; needs g++")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0: torch's choice")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    last = train_all(options.out, options.seed, options)
    reader = Reader(last / "checkpoint")
    figures = [*evaluate(reader, 300), agreement(reader, 100)]
    report = json.dumps([asdict(figure) for figure in figures], indent=1, ensure_ascii=False)
    (options.out / "report.json").write_text(report + "\n", encoding="utf-8")
    print("\n".join(map(str, figures)))


if __name__ == "__main__":
    main()
