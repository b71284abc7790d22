"""Measure: all stages of this machine with a model, and the roofline beside them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from pipeline.encode import Encoder
from pipeline.generate import Generator
from pipeline.vlm.checkpoint import parameters, read_tokenizer, stop_tokens
from pipeline.vlm.device import default_dtype
from schemas import __version__
from services.bench import roofline, stages
from services.bench.roofline import Roof
from services.bench.stages import Answered, Decoded
from services.fleet.times import ServiceTimes
from services.model.device import resolve
from services.model.facts import ModelFacts, model_facts
from services.model.reader import set_threads


@dataclass(frozen=True)
class Speed:
    """One line of the table.

    Attributes:
        stage: what was measured.
        unit: of the rate, a second.
        rate: measured.
        roof: the rate that the roofline allows; None where it says nothing.
    """

    stage: str
    unit: str
    rate: float
    roof: float | None = None

    @property
    def share(self) -> float | None:
        """Of the roof."""
        return None if self.roof is None else self.rate / self.roof


@dataclass(frozen=True)
class Bench:
    """Everything that was measured."""

    model: str
    revision: str
    device: str
    parameters: tuple[int, int]
    roof: Roof
    speeds: tuple[Speed, ...]
    service: ServiceTimes

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        lines = [asdict(one) | {"share": one.share} for one in self.speeds]
        return {"version": __version__} | asdict(self) | {"speeds": lines}


def bench(
    directory: Path,
    device: str,
    threads: int,
    media: tuple[Path, Path],
    say: Callable[[str], object],
) -> Bench:
    """Measure all stages, some minutes on a processor.

    Args:
        directory: of the checkpoint.
        device: of torch, or "auto".
        threads: of the model on a processor; 0 leaves the choice to torch.
        media: a video and a document.
        say: what is measured now.

    Raises:
        SetupError: `device_missing`, `model_missing` or `model_unsupported`.
        InputError: of media that cannot be read.
    """
    facts, device = model_facts(directory), resolve(device)
    set_threads(threads)
    say("decoding")
    decoded = stages.decoding(*media)
    say("landing")
    landed = stages.landing()
    say("encoding")
    features, visual_s = stages.encoding(Encoder(directory, device=device), facts)
    generator = Generator(directory, device=device)
    stops = stop_tokens(directory, read_tokenizer(directory))
    say("one answer")
    one = stages.answering(generator, stops, features[:1], 1)
    say(f"{stages.ROWS} answers at a time")
    many = stages.answering(generator, stops, features, stages.ROWS)
    say("the roofline")
    roof, halves = roofline.measure(device, default_dtype(device)), parameters(directory)
    taken = _Taken(decoded, landed, visual_s, one, many)
    speeds, service = _speeds(taken, roof, halves), _service(taken, facts, device)
    return Bench(facts.name, facts.revision, device, halves, roof, speeds, service)


@dataclass(frozen=True)
class _Taken:
    """What the stages gave.

    Attributes:
        decoded: of a video and a document.
        landed: seconds of a commit, and of each part more in it.
        visual_s: visual tokens a second.
        one: an answer at a time.
        many: many of them.
    """

    decoded: Decoded
    landed: tuple[float, float]
    visual_s: float
    one: Answered
    many: Answered


def _speeds(taken: _Taken, roof: Roof, halves: tuple[int, int]) -> tuple[Speed, ...]:
    """Lines of the table; a model's halves have so many parameters."""
    (vision, language), one, many = halves, taken.one, taken.many
    alone, together = (roof.output_tokens(language, each.rows) for each in (one, many))
    return (
        Speed("decode video, one child", "frames", taken.decoded.frames_s),
        Speed("decode document, one child", "pages", 1 / taken.decoded.page_s),
        Speed("encode", "visual tokens", taken.visual_s, roof.visual_tokens(vision)),
        Speed("read prompts", "tokens", many.prompt_tokens_s, roof.prompt_tokens(language)),
        Speed("answer, one at a time", "tokens", one.output_tokens_s, alone),
        Speed(f"answer, {many.rows} at a time", "tokens", many.output_tokens_s, together),
        Speed("land, one at a time", "parts", 1 / taken.landed[0]),
    )


def _service(taken: _Taken, facts: ModelFacts, device: str) -> ServiceTimes:
    frame, page = stages.sizes(facts)
    land_s, land_part_s = taken.landed
    return ServiceTimes(
        device=device,
        threads=torch.get_num_threads(),
        video_s=taken.decoded.video_s,
        page_s=taken.decoded.page_s,
        visual_s=1 / taken.visual_s,
        prompt_s=1 / taken.many.prompt_tokens_s,
        output_s=1 / taken.many.output_tokens_s,
        land_s=land_s,
        land_part_s=land_part_s,
        frame_tokens=frame,
        page_tokens=page,
        prompt_tokens=taken.many.prompt_tokens,
    )
