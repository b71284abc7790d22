"""Times: what one unit of each stage takes one server, as `reelpage bench --json` has measured."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

from schemas.errors import SetupError


@dataclass(frozen=True)
class ServiceTimes:
    """Seconds of one server, all of them busy as in a full run.

    Attributes:
        device: of the model, as torch says ...
        threads: ... and of its process, where that is a processor.
        video_s: of a decoding child, for a second of video at one frame a second.
        page_s: of the same, for a page.
        visual_s: of an encoder, for a visual token.
        prompt_s: of a decoder, for a token before the answer.
        output_s: of a decoder, for a token of an answer, with 64 answers at a time.
        land_s: of the lander, for a commit of one table ...
        land_part_s: ... and for each part more that is in it.
        frame_tokens: visual tokens of a frame.
        page_tokens: visual tokens of a page.
        prompt_tokens: tokens of a prompt besides them.
    """

    device: str
    threads: int
    video_s: float
    page_s: float
    visual_s: float
    prompt_s: float
    output_s: float
    land_s: float
    land_part_s: float
    frame_tokens: int
    page_tokens: int
    prompt_tokens: int


def read(path: Path) -> ServiceTimes:
    """Read what `reelpage bench --json` printed.

    Raises:
        SetupError: `usage`.
    """
    try:
        given = json.loads(path.read_text())["service"]
        times = ServiceTimes(**{field.name: given[field.name] for field in fields(ServiceTimes)})
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"{path}: no output of `reelpage bench --json` ({error})"
        raise SetupError("usage", message) from error
    for field in fields(ServiceTimes)[1:]:
        value = getattr(times, field.name)
        if not isinstance(value, int | float) or not 0 <= value < float("inf"):
            message = f"{path}: service.{field.name} is {value!r}, no time or number"
            raise SetupError("usage", message)
    return times
