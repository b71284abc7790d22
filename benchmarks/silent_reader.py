"""Silent reader: a whole `index` run without a model, for measuring all that is around it."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.decode import DecodePlan
from pipeline.land.lake import Lake
from pipeline.land.rows import Answer
from schemas.jobs import Task
from services.index.local import LocalRun
from services.index.progress import Progress
from services.index.summary import land_run
from services.ingest.recipe import STANDARD_TASKS, Recipe
from services.model.asking import Picture
from services.model.reader import Reader


class SilentReader(Reader):
    """Answers at once, or, for the first time, when decoding has stood still for a while."""

    def __init__(self, still_s: float) -> None:
        self._still_s = still_s
        self.progress = Progress()
        self._count = 0

    def read(self, pictures: Sequence[Picture], tasks: Sequence[Task]) -> list[list[Answer]]:
        """See `Reader.read`."""
        while self._still_s:
            before = self.progress.decode.done
            time.sleep(self._still_s)
            if self.progress.decode.done == before:
                self._still_s = 0.0
        self._count += len(pictures)
        text = f"The answer about picture {self._count}, as long as captions are."
        return [[Answer(task, text, "stop", 24, 40, 20) for task in tasks] for _ in pictures]


def index(path: Path, lake: Path, plan: DecodePlan, reader: SilentReader) -> int:
    """Index one file; returns the number of decoded pictures."""
    recipe = Recipe(plan, tuple(STANDARD_TASKS.values()), "none", "none")
    started = datetime.now(UTC)
    with Lake(lake) as opened:
        run = LocalRun(opened, recipe, reader, reader.progress, "benchmark")
        summary = run.run([path])
        land_run(opened, recipe, summary, started, "benchmark")
    if summary.indexed != 1:
        message = f"indexing failed: {summary.errors}"
        raise RuntimeError(message)
    return reader.progress.decode.done
