"""Find: words in the texts of a lake, with the medium and the time or page where they stand."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.land.place import Place
from pipeline.query.sql import Lake
from pipeline.query.words import Snippet, Words

_TEXTS: Final = """
    select t.* exclude (line_no), m.name from (
        select media_id, sampling, uri, 'page' source, page_no, null::bigint t_us, 0 line_no, text
        from pages
        union all
        select media_id, sampling, uri, 'subtitle', null, start_us, 0, subtitles
        from segments anti join (select media_id, sampling from lines where source = 'subtitle')
            using (media_id, sampling)
        union all
        select media_id, sampling, uri, 'line', unit_no, null, line_no, text
        from lines where source = 'recognised' and unit = 'page'
        union all
        select media_id, sampling, uri, if(source = 'subtitle', source, 'line'), null, start_us,
            coalesce(y0, 0), text
        from lines_joined
        union all
        select media_id, sampling, uri, task, if(unit = 'page', unit_no, null), t_us, 0, answer
        from answers
    ) t left join media m using (media_id, sampling)
    where t.text <> ''
    order by t.uri, t.sampling, t.page_no, t.t_us, t.source, t.line_no
"""


@dataclass(frozen=True)
class Hit:
    """A text in which all words stand.

    Attributes:
        media_id: sha256 of the medium's content, hex.
        sampling: of the medium.
        uri: of the medium.
        name: of its file; None while not all of it has landed.
        source: "page", "subtitle", "line" for what is read in a picture, or the task whose answer
            it is.
        page_no: from 1, of a document or an image.
        t_us: microseconds, of a video: when a line or subtitle appears; of a subtitle whose lines
            were not asked for, where its segment begins.
        snippet: the hit, with what stands around it.
    """

    media_id: str
    sampling: str
    uri: str
    name: str | None
    source: str
    page_no: int | None
    t_us: int | None
    snippet: Snippet


def find(place: Place, wanted: str) -> Iterator[Hit]:
    """Texts in which all words stand, by medium and place in it.

    Args:
        place: of the lake.
        wanted: see `Words`.

    Raises:
        SetupError: `usage`, or what opening the lake raises.
        TransientError: `store_failed`.
    """
    words = Words(wanted)
    with Lake(place) as lake:
        for batch in lake.stream(_TEXTS):
            for row in batch.to_pylist():
                if snippet := words.snippet(row.pop("text")):
                    yield Hit(**row, snippet=snippet)
