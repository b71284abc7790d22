"""Standing: what the markers of a lake say of its media, for whoever compares it with the rows."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cached_property
from itertools import pairwise
from typing import Final, Literal

from pipeline.land.place import Place
from pipeline.land.positions import unsettled
from pipeline.land.protocol import RECORDS, STRUCTURE, Markers
from pipeline.land.records import markers_of
from pipeline.land.store import sampling_id
from schemas.jobs import PARTS
from schemas.tables import LAKE_VERSION

_MARKERS: Final = "markers/"
_NAME: Final = re.compile(r"markers/([^/]+)/([^/]+)/(whole|pages|\d+-\d+)\.json")
_WHOLE: Final = "whole"
_PAGES: Final = "pages"

Key = tuple[str, str]
"""Of a medium: its id, and the sampling as a name for folders."""
Said = Literal["indexed", "partial", "failed", "nothing"]


def key_of(media_id: str, sampling: str) -> Key:
    """Key of a medium, by the columns of its rows."""
    return media_id, sampling_id(sampling)


class Standing:
    """The markers of a lake: their names as they were at first, what they say when it is asked.

    A lake of version 1 has others, which say nothing here, and none of them is missed.
    """

    def __init__(self, place: Place, version: int) -> None:
        self._place, self._is_kept = place, version == LAKE_VERSION
        self._spans: dict[Key, set[str]] = defaultdict(set)
        for key, span in _named(place, _MARKERS):
            self._spans[key].add(span)

    def begun(self) -> list[Key]:
        """Media with markers of their own, not of ranges: rows of theirs landed before."""
        return sorted(key for key, spans in self._spans.items() if _WHOLE in spans)

    def is_whole(self, key: Key) -> bool:
        """Whether there are markers for all parts of a medium."""
        now = (span for _, span in _named(self._place, _folder(key)))
        return not self._is_kept or _covers(self._spans.get(key, ())) or _covers(set(now))

    def is_finished(self, key: Key) -> bool:
        """Whether the marker of a whole medium says that its row has landed."""
        return _WHOLE in self._spans.get(key, ()) and self.said(key, STRUCTURE) == "indexed"

    def said(self, key: Key, column: str) -> Said:
        """How far a column is: the least that the markers of a medium, or of its ranges, say."""
        spans = {span for _, span in _named(self._place, _folder(key))} - {_PAGES}
        said = {self._said(f"{_folder(key)}{span}.json", column) for span in spans}
        if said <= {"nothing"}:
            return "nothing"
        if "failed" in said:
            return "failed"
        return "indexed" if said == {"indexed"} else "partial"

    def is_asked(self, key: Key, prompt_id: str) -> bool:
        """Whether all of a medium has been asked a prompt, by whatever answers it."""
        spans = {span for _, span in _named(self._place, _folder(key))} - {_PAGES}
        found = [self._markers(f"{_folder(key)}{span}.json") for span in spans]
        return all(
            any(
                name.endswith(f"-{prompt_id}") and marker.outcome == "indexed"
                for name, marker in markers.items()
            )
            for markers in found
        )

    def is_pending(self, key: Key) -> bool:
        """Whether something is decided about a medium that a worker has still to land."""
        return self._is_kept and any(name.startswith(_folder(key)) for name in self._pending)

    @cached_property
    def _pending(self) -> list[str]:
        """Names of the markers that will be stored with it."""
        records = (name.removeprefix(RECORDS) for name in self._place.objects.names(RECORDS))
        apps = {name.rpartition("/")[0] for name in records}
        batches = (unsettled(self._place, app) for app in sorted(apps))
        return [marker.name for batch in batches if batch for marker in batch.markers]

    def _said(self, name: str, column: str) -> Said:
        marker = self._markers(name).get(column)
        return "nothing" if marker is None else marker.outcome

    def _markers(self, name: str) -> Markers:
        data = self._place.objects.get(name)
        return {} if data is None else markers_of(name, data)


def _named(place: Place, prefix: str) -> Iterator[tuple[Key, str]]:
    """Keys and spans of the objects with markers below a prefix."""
    for name in place.objects.names(prefix):
        if found := _NAME.fullmatch(name):
            media_id, sampling, span = found.groups()
            yield (media_id, sampling), span


def _folder(key: Key) -> str:
    return f"{_MARKERS}{key[0]}/{key[1]}/"


def _covers(spans: Collection[str]) -> bool:
    """Whether spans are all parts that a medium may have."""
    if _WHOLE in spans:
        return True
    ranges = sorted(tuple(map(int, span.split("-"))) for span in spans if span != _PAGES)
    joined = all(one[1] == next_[0] for one, next_ in pairwise(ranges))
    return bool(ranges) and joined and (ranges[0][0], ranges[-1][1]) == (0, PARTS)
