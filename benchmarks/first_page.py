"""CPU of the first page: `reelpage index` of a one-page PDF, against imports that a model needs.

The page is read from nothing to the row, with a caption of the shipped model. The peer does no
more than `import torch, transformers`; `class` imports the model's class as well, which plain
code would have to. Processes of their own, one thread, by turns; the medians are compared.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.common import Report, cpu_seconds, note, parser, show
from benchmarks.small_files import INDEX, page

TASKS: Final = "text,caption"
_PEERS: Final = {
    "import torch, transformers": "import torch, transformers",
    "class": "from transformers import Qwen2VLForConditionalGeneration",
}


def first_page(folder: Path, turn: int) -> float:
    """CPU seconds of a whole index into a lake that is not there yet."""
    lake = folder / f"lake-{turn}"
    return cpu_seconds(["-c", INDEX, str(folder / "page.pdf"), str(lake), TASKS])


def measure(turns: int) -> list[Report]:
    """Medians of all, by turns; one turn before them warms the disk's cache."""
    with tempfile.TemporaryDirectory(prefix="reelpage-") as name:
        folder = Path(name)
        (folder / "page.pdf").write_bytes(page(0))
        ways: dict[str, Callable[[int], float]] = {
            "ours": lambda turn: first_page(folder, turn),
            **{
                peer: lambda _, code=code: cpu_seconds(["-c", code])  # type: ignore[misc]
                for peer, code in _PEERS.items()
            },
        }
        taken: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(turns + 1):
            for way, run in ways.items():
                taken[way].append(run(turn))
            note(f"turn {turn}: {', '.join(f'{k} {v[-1]:.1f} s' for k, v in taken.items())}")
    medians = {way: statistics.median(seconds[1:]) for way, seconds in taken.items()}
    return [
        {
            "peer": peer,
            "cpu_s": round(medians["ours"], 2),
            "peer_cpu_s": round(medians[peer], 2),
            "ratio": round(medians["ours"] / medians[peer], 2),
        }
        for peer in _PEERS
    ]


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--turns", type=int, default=3)
    chosen = options.parse_args()
    show("first_page", measure(chosen.turns), as_json=chosen.json, tasks=TASKS)


if __name__ == "__main__":
    main()
