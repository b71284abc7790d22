"""Silent reader: a whole `index` run without a model, for measuring all that is around it."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.land.commit import GroupCommitter
from pipeline.land.lake import open_lake
from pipeline.land.rows import Answer
from pipeline.recognise import Recogniser
from schemas.jobs import PICTURE, Job, MediaReference, Task, prompts_of
from schemas.shards import Shard
from services.index.file_log import FileLog
from services.index.files import opened
from services.index.progress import Progress
from services.index.summary import Summary
from services.index.watch import RunWatch
from services.ingest.board import Board
from services.ingest.compose import Lake, compose
from services.ingest.recipe import STANDARD_TASKS
from services.ingest.sources import Sources
from services.model.text import TextInProcess
from services.model.wire import ServedModel
from services.settings import Settings


class SilentReader:
    """Answers at once, or, for the first time, when decoding has stood still for a while."""

    def __init__(self, still_s: float) -> None:
        self._still_s = still_s
        self._count = 0

    def model(self) -> ServedModel:
        """See `Answerer`."""
        return ServedModel("none", "none", 3136, 18816)

    def read_model(self) -> None:
        """See `Answerer`."""

    def answers(
        self, name: str, shard: Shard, tasks: Sequence[Task], revision: str
    ) -> list[list[Answer]]:
        """See `Answerer`."""
        time.sleep(self._still_s)
        self._still_s = 0.0
        self._count += shard.rows.num_rows
        text = f"The answer about picture {self._count}, as long as captions are."
        answer = [Answer(task, text, "stop", 24, 40, 20) for task in tasks]
        return [answer] * shard.rows.num_rows


def index(path: Path, root: Path, sample: str, reader: SilentReader) -> int:
    """Index one file; returns the number of decoded pictures."""
    asked = prompts_of(STANDARD_TASKS.values())  # no text, which a model of its own would read
    tasks = tuple(task for task in asked if task.unit == PICTURE)
    job = Job("benchmark", MediaReference(str(path)), tasks, sample=sample)
    sources = Sources(Settings(roots=(Path("/"),)))
    board, progress, summary = Board(), Progress(total_inputs=1), Summary("benchmark", inputs=1)
    with (
        open_lake(root) as place,
        GroupCommitter(place, delay_s=0.0) as tables,
        tempfile.TemporaryDirectory() as folder,
    ):
        files = FileLog(board, iter([(job, opened(job, sources, Path(folder) / "medium"))]))
        watch = RunWatch(files, progress, summary)
        jobs = files.jobs(summary.run_id)
        text = TextInProcess(Recogniser())
        compose(jobs, Lake(place, tables, 1.0), files, reader, 2, watch, text).run()
    if summary.indexed != 1:
        message = f"indexing failed: {summary.errors}"
        raise RuntimeError(message)
    return progress.decode.done
