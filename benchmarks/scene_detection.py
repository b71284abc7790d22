"""Scene changes: `--sample scene` against PySceneDetect, on material whose cuts are known.

PySceneDetect is no dependency of reelpage. To measure it:
pip install scenedetect opencv-python-headless
"""

import importlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.common import Report, note, parser, show
from benchmarks.scene_material import Material, generated, real
from pipeline.decode.plan import Limits
from pipeline.decode.scenes import THRESHOLD, visit_scenes
from pipeline.decode.video import Video

_TOLERANCE_S: Final = 0.13  # three frames at 25 a second

Detector = Callable[[Path], list[float]]


@dataclass
class Score:
    """Cuts that were found, false ones, missed ones, and seconds of wall clock and of CPU."""

    right: int = 0
    false: int = 0
    missed: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    def add(self, other: "Score") -> None:
        """Sum up."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def row(self) -> Report:
        """Precision, recall and their harmonic mean; 1 where there is nothing to find."""
        found, wanted = self.right + self.false, self.right + self.missed
        precision = self.right / found if found else 1.0
        recall = self.right / wanted if wanted else 1.0
        both = precision + recall
        return {
            "precision": round(precision, 3),
            "recall": round(recall, 3),
            "f1": round(2 * precision * recall / both, 3) if both else 0.0,
            **{name: round(value, 2) for name, value in vars(self).items()},
        }


def ours(path: Path) -> list[float]:
    """Times of our cuts, seconds, without the first frame."""
    with path.open("rb") as file:
        video = Video(file, Limits())
        visits = visit_scenes(video, THRESHOLD, 0)
        return [float(v.kept.tick * video.time_base) for v in visits if v.kept and v.kept.tick]


def theirs(detector: str) -> Detector:
    """One of PySceneDetect's detectors with its defaults."""
    library: Any = importlib.import_module("scenedetect")

    def detect(path: Path) -> list[float]:
        scenes = library.detect(str(path), getattr(library, detector)())
        return [float(start.seconds) for start, _ in scenes[1:]]

    return detect


def judge(found: Sequence[float], cuts: Sequence[tuple[float, float]]) -> Score:
    """Match found times to cuts; a second time within the same cut is false."""
    left = list(cuts)
    score = Score()
    for at in found:
        match = next((c for c in left if c[0] - _TOLERANCE_S <= at <= c[1] + _TOLERANCE_S), None)
        if match is None:
            score.false += 1
        else:
            left.remove(match)
            score.right += 1
    score.missed = len(left)
    return score


def run(detector: Detector, material: Material) -> Score:
    """Detect, time and judge."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = detector(material.path)
    taken = time.perf_counter() - wall, time.process_time() - cpu
    score = judge(found, material.cuts)
    score.wall_s, score.cpu_s = taken
    return score


def _detectors() -> dict[str, Detector]:
    detectors: dict[str, Detector] = {"reelpage": ours}
    try:
        for name in ("ContentDetector", "AdaptiveDetector"):
            detectors[name] = theirs(name)
    except ImportError:
        note("PySceneDetect is not here: pip install scenedetect opencv-python-headless")
    return detectors


def main() -> None:
    """Run the benchmark."""
    options = parser(__doc__)
    options.add_argument("--seed", type=int, default=0, help="of the generated material")
    chosen = options.parse_args()
    rows: list[Report] = []
    detectors = _detectors()
    totals: dict[tuple[str, str], Score] = {}
    with tempfile.TemporaryDirectory(prefix="reelpage-") as text:
        folder = Path(text)
        sources = {"generated": generated(folder, chosen.seed), "real": real(folder)}
        for kind, materials in sources.items():
            for material in materials:
                for name, detector in detectors.items():
                    score = run(detector, material)
                    totals.setdefault((kind, name), Score()).add(score)
                    rows.append({"material": material.name, "detector": name, **score.row()})
    for (kind, name), score in totals.items():
        rows.append({"material": f"all {kind}", "detector": name, **score.row()})
    show("scene_detection", rows, as_json=chosen.json, tolerance_s=_TOLERANCE_S, seed=chosen.seed)


if __name__ == "__main__":
    main()
