"""Failures: what could not be indexed, told to the user and kept in the lake."""

from pipeline.consume import Input
from pipeline.land.rows import failure_row
from schemas.errors import InputError, ReelpageError, TransientError
from schemas.shards import UnitFailure
from services.index.outbox import Outbox
from services.index.summary import Summary
from services.ingest.recipe import Recipe


class Failures:
    """Queues rows of `failures`; what an earlier run recorded gets another only when tried again.

    Attempts count from 0 for each medium, page and recipe.
    """

    def __init__(self, outbox: Outbox, recipe: Recipe, summary: Summary, *, again: bool) -> None:
        self._outbox, self._recipe, self._summary, self._again = outbox, recipe, summary, again

    def medium(self, source: Input, error: ReelpageError, stage: str) -> None:
        """Record that an input, or the rest of it, is lost."""
        self._record(source, error, "consume" if isinstance(error, TransientError) else stage, 0)

    def page(self, source: Input, failure: UnitFailure) -> None:
        """Record that a page is lost."""
        error = InputError(failure.code, f"{source.name!r}: {failure.message}")
        self._record(source, error, "decode", failure.page_no)
        self._summary.failed_pages += 1

    def _record(self, source: Input, error: ReelpageError, stage: str, page_no: int) -> None:
        self._summary.errors.append((error.code, error.message))
        app = self._recipe.failure_app(source.input_id, page_no)
        position = self._outbox.position("failures", app)
        if position is not None and not self._again:
            return
        attempt = 0 if position is None else position + 1
        row = failure_row(
            input_id=source.input_id,
            uri=source.uri,
            recipe=self._recipe.id,
            stage=stage,
            error=error,
            run_id=self._summary.run_id,
            attempt=attempt,
            page_no=page_no,
            size=source.size,
            sampling=self._recipe.sampling,
        )
        self._outbox.put("failures", app, attempt, [row])
