"""Summary: how a run ended, and its row in `runs`."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pipeline.land.rows import Row, tasks_json
from schemas import __version__
from services.ingest.recipe import Recipe
from services.machine import peak_memory

Outcome = Literal["indexed", "skipped", "failed"]


@dataclass
class Summary:
    """How a run ended. `inputs == indexed + skipped + failed`, or the run is broken.

    `ignored` are files in folders that are no inputs, by suffix; `busy` is the share of the time in
    which each stage worked, and `bottleneck` the one that worked most, if that is worth a word.
    """

    run_id: str
    inputs: int = 0
    indexed: int = 0
    skipped: int = 0
    failed: int = 0
    failed_pages: int = 0
    visual_tokens: int = 0
    output_tokens: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    busy: dict[str, float] = field(default_factory=dict)
    bottleneck: str = ""
    errors: list[tuple[str, str]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 if an input or a page failed."""
        return 1 if self.failed or self.failed_pages else 0

    def count(self, outcome: Outcome) -> None:
        """Count an input that is done with."""
        setattr(self, outcome, getattr(self, outcome) + 1)

    def check(self) -> None:
        """Enforce the invariant.

        Raises:
            RuntimeError: an input was lost; a bug of reelpage.
        """
        if self.inputs != self.indexed + self.skipped + self.failed:
            message = f"inputs = indexed + skipped + failed does not hold: {self}"
            raise RuntimeError(message)


def run_row(recipe: Recipe, summary: Summary, started: datetime, command: str) -> Row:
    """The run's own row of `runs`."""
    return {
        "run_id": summary.run_id,
        "started_at": started,
        "finished_at": datetime.now(UTC),
        "version": __version__,
        "command": command,
        "model": recipe.model,
        "model_revision": recipe.revision,
        "sampling": recipe.sampling,
        "tasks": tasks_json(recipe.tasks),
        "inputs": summary.inputs,
        "indexed": summary.indexed,
        "skipped": summary.skipped,
        "failed": summary.failed,
        "ignored": json.dumps(summary.ignored, ensure_ascii=False),
        "visual_tokens": summary.visual_tokens,
        "output_tokens": summary.output_tokens,
        "peak_rss_bytes": peak_memory(),
        "exit_code": summary.exit_code,
    }
