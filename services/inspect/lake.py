"""Inspect: what a lake holds, for `status`, `errors`, `show` and `retry`."""

import re
from dataclasses import dataclass
from typing import Any

from pipeline.land.place import Place
from pipeline.land.store import read_shard
from pipeline.query.sql import Lake
from schemas.errors import InputError, SetupError
from services.inspect.failures import open_failures

_TABLES = ("media", "segments", "frames", "pages", "lines", "answers", "failures", "runs")
_SPOT = re.compile(r"^(?P<name>.*?)(?:@(?P<clock>[\d:.]+)|#(?P<page>\d+))?$", re.S)


def status(place: Place) -> dict[str, Any]:
    """Row counts of all tables, the failures that are open, and the last run."""
    with Lake(place) as lake:
        counts = {
            name: lake.select(f"select count(*) n from {name}")["n"][0].as_py() for name in _TABLES
        }
        runs = lake.select("from runs order by started_at desc limit 1").to_pylist()
    failures = open_failures(place).num_rows
    return {"tables": counts, "open_failures": failures, "last_run": runs[0] if runs else None}


@dataclass(frozen=True)
class Spot:
    """A medium, and perhaps an instant or a page of it."""

    name: str
    t_us: int | None = None
    page: int | None = None


def parse_spot(text: str) -> Spot:
    """Read `NAME`, `NAME@00:12:31` or `NAME#7`.

    Raises:
        SetupError: `usage`, for a time that is none.
    """
    match = _SPOT.match(text)
    assert match is not None
    if match["clock"]:
        try:
            parts = [float(part) for part in match["clock"].split(":")]
        except ValueError as error:
            message = f"{text}: the time after @ reads like 12:31 or 00:12:31.5"
            raise SetupError("usage", message) from error
        seconds = sum(part * 60**index for index, part in enumerate(reversed(parts)))
        return Spot(match["name"], t_us=round(seconds * 1e6))
    return Spot(match["name"], page=int(match["page"]) if match["page"] else None)


def show(place: Place, spot: Spot) -> dict[str, Any]:
    """Everything known of a medium, or of one instant or page of it.

    Returns:
        `media` (facts), `segments` or `pages`, `lines` of text, `answers`, and `picture`: shard and
        row of the picture nearest to the spot.

    Raises:
        InputError: `unknown_media`, if the name fits none or several.
    """
    with Lake(place) as lake:
        return _show(lake, spot)


def _show(lake: Lake, spot: Spot) -> dict[str, Any]:
    media = _find(lake, spot.name)
    key: list[object] = [media["media_id"], media["sampling"]]
    where = "where media_id = ? and sampling = ?"
    if media["kind"] == "video":
        t_us = spot.t_us or 0
        near = f"from frames {where} order by abs(t_us - {t_us}), frame_no limit 1"
        unit = "frame"
        parts = lake.select(f"from segments {where} order by segment_no", key).to_pylist()
        if spot.t_us is not None:
            parts = [part for part in parts if part["start_us"] <= t_us < part["end_us"]]
    else:
        near = f"from pages {where} and page_no = {spot.page or 1}"
        unit = "page"
        parts = lake.select(f"from pages {where} order by page_no", key).to_pylist()
        if spot.page is not None:
            parts = [part for part in parts if part["page_no"] == spot.page]
    nearest = lake.select(near, key).to_pylist()
    if not nearest:
        message = f"{spot.name}: has no {unit} there; it has {media['frames'] or media['pages']}"
        raise InputError("unknown_media", message)
    picture = nearest[0]
    columns = "t_s, unit, unit_no, start_us / 1e6 start_s, end_us / 1e6 end_s, task, prompt"
    answers = f"select {columns}, answer, model from answers {where}"
    if spot.t_us is not None or spot.page is not None:
        of_picture = f"unit = '{unit}' and unit_no = {picture[f'{unit}_no']}"
        moment = picture.get("t_us") if spot.t_us is None else spot.t_us
        around = "" if moment is None else f" or start_us <= {moment} and {moment} < end_us"
        answers += f" and ({of_picture}{around})"
    rows = lake.select(answers + " order by unit, unit_no, task", key).to_pylist()
    lines = lake.select(_lines_at(spot), key).to_pylist()
    found = {"media": media, f"{unit}s_of": parts, "lines": lines, "answers": rows}
    return found | {"picture": picture}


def _lines_at(spot: Spot) -> str:
    """Lines of a medium, of what is on the screen at an instant, or of a page."""
    where = "where media_id = $1 and sampling = $2"
    shown = "source, text, start_us / 1e6 start_s, end_us / 1e6 end_s"
    moment = "" if spot.t_us is None else f" and start_us <= {spot.t_us} and {spot.t_us} < end_us"
    page = "" if spot.page is None else f" and unit_no = {spot.page}"
    return f"""
        select null page_no, null line_no, {shown} from lines_joined {where}{moment}
        union all
        select unit_no, line_no, {shown} from lines {where} and unit = 'page'{page}
        order by page_no, line_no, start_s"""


def picture_bytes(place: Place, picture: dict[str, Any]) -> bytes:
    """The encoded picture of a row of `frames` or `pages`."""
    shard = read_shard(place.objects, picture["shard"])
    return bytes(shard.rows.column("image")[picture["shard_row"]].as_py())


def find_medium(place: Place, name: str) -> dict[str, Any]:
    """The newest row of `media` by name, address, or the beginning of its id.

    Raises:
        InputError: `unknown_media`, if the name fits none or several.
    """
    with Lake(place) as lake:
        return _find(lake, name)


def _find(lake: Lake, name: str) -> dict[str, Any]:
    found = lake.select(
        "from media where name = $1 or uri = $1 or starts_with(media_id, $1)"
        " order by indexed_at desc",
        [name],
    ).to_pylist()
    if not found:
        message = f'{name}: the lake has no such medium; `reelpage query` "select name from media"'
        raise InputError("unknown_media", message)
    if len({row["media_id"] for row in found}) > 1:
        message = f"{name}: fits {len(found)} media; give the media_id"
        raise InputError("unknown_media", message)
    first: dict[str, Any] = found[0]
    return first
