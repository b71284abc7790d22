"""Watch: what the parts of a run add to its progress and its summary."""

import threading

from pipeline.land.batch import Part
from pipeline.land.protocol import Batch
from schemas.jobs import Job
from services.index.file_log import Entry, FileLog
from services.index.progress import Progress
from services.index.summary import Outcome, Summary
from services.topic.record import Record


class RunWatch:
    """Counts; see `services.ingest.slots.Watch`."""

    def __init__(self, files: FileLog, progress: Progress, summary: Summary) -> None:
        self._files, self._progress, self._summary = files, progress, summary
        self._lock = threading.Lock()

    def made(self, record: Record, job: Job | None, part: Part) -> None:
        """Count a part; with the last one of an input, the input."""
        assert job is not None
        with self._lock:
            self._count(part)
            self._progress.current = job.media.address
            self._progress.advance(job.id, part.share)
            if part.final and (entry := self._files.end(record, job, part.outcome)) is not None:
                self._ended(entry)
            if part.final:
                self._progress.finish(job.id)

    def landed(self, batch: Batch) -> None:
        """Count rows that are in the tables."""
        self._progress.land.done += sum(rows.num_rows for rows in batch.rows.values())

    def _count(self, part: Part) -> None:
        self._progress.decode.done += part.pictures
        for row in part.rows.get("failures", ()):
            self._summary.errors.append((row["code"], row["message"]))
            self._summary.failed_pages += row["unit"] == "page"
        self._progress.recognise.done += len(part.rows.get("lines", ()))
        answers = part.rows.get("answers", ())
        seen = {(row["unit"], row["unit_no"]): row["visual_tokens"] for row in answers}
        visual = sum(seen.values())
        self._progress.encode.done += visual
        self._progress.generate.done += len(answers)
        self._summary.visual_tokens += visual
        self._summary.output_tokens += sum(row["output_tokens"] for row in answers)

    def _ended(self, entry: Entry) -> None:
        outcome = _outcome_of(entry)
        if outcome == "failed" and "failed" not in entry.outcomes:
            message = f"{entry.source.name!r}: failed before; try again with reelpage retry"
            self._summary.errors.append(("known_failure", message))
        self._summary.count(outcome)
        self._progress.consume.done += 1


def _outcome_of(entry: Entry) -> Outcome:
    """Of an input, by those of its jobs."""
    if {"failed", "known_failure"} & set(entry.outcomes):
        return "failed"
    return "indexed" if "indexed" in entry.outcomes else "skipped"
