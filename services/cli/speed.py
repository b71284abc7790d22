"""Command line of speed: `reelpage bench` on this machine, `reelpage plan --fleet` on paper."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from schemas.errors import SetupError
from services.cli.demo import SAMPLES
from services.cli.shared import Device, Json, Model, err, say, settings

if TYPE_CHECKING:
    from services.bench.measure import Bench, Speed
    from services.fleet.predict import Corpus, Fleet, Stage

_UNITS: Final = {"h": 3600.0, "d": 86400.0}

Medium = Annotated[
    Path, typer.Option(metavar="FILE", help="To decode; default: a sample.", show_default=False)
]
Measured = Annotated[
    Path, typer.Option("--fleet", metavar="FILE", help="What `reelpage bench --json` printed.")
]
Hours = Annotated[
    float, typer.Option("--video-hours", metavar="N", min=0, help="Of all videos, at 1fps.")
]
Pages = Annotated[int, typer.Option(metavar="N", min=0, help="Of documents, and single pictures.")]
Within = Annotated[str, typer.Option(metavar="TIME", help="Until all is done: 12h, 30d.")]
Prompts = Annotated[int, typer.Option(metavar="N", min=0, help="Prompts about each picture.")]
Tokens = Annotated[int, typer.Option(metavar="N", min=1, help="Of an answer, in the mean.")]
GpuPrice = Annotated[float, typer.Option(metavar="N", min=0, help="Of a GPU for an hour.")]
CorePrice = Annotated[float, typer.Option(metavar="N", min=0, help="Of a core for an hour.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (bench, plan):
        app.command()(command)


def bench(
    model: Model = "",
    device: Device = "",
    video: Medium = SAMPLES / "talk.mp4",
    document: Medium = SAMPLES / "report.pdf",
    as_json: Json = False,
) -> None:
    """Measure the stages on this machine, beside what it could do at best."""
    from services.bench import measure
    from services.checkpoints.found import checkpoint

    given = settings(device)
    folder = checkpoint(given, model, quiet=as_json).folder

    def tell(what: str) -> None:
        if not as_json:
            err.print(f"measuring {what} ...", highlight=False)

    found = measure.bench(folder, given.device, given.threads, (video, document), tell)
    say(found.to_dict(), _bench_text(found), as_json)


def _bench_text(found: "Bench") -> str:
    vision, language = (count / 1e6 for count in found.parameters)
    head = (
        f"{found.model} on {found.device}: {vision:,.1f} M parameters see, {language:,.1f} M "
        f"answer\nroofline: {found.roof.flops / 1e9:,.0f} GFLOP/s of a matrix product, "
        f"{found.roof.bytes_s / 1e9:,.1f} GB/s of reading\n\n"
    )
    return head + "\n".join(map(_speed_line, found.speeds))


def _speed_line(one: "Speed") -> str:
    line = f"{one.stage:28} {one.rate:12,.1f} {one.unit}/s"
    if one.roof is None or one.share is None:
        return line
    return f"{line:56} {one.share:6.1%} of {one.roof:,.0f}"


def plan(
    fleet: Measured,
    video_hours: Hours = 0.0,
    pages: Pages = 0,
    within: Within = "24h",
    tasks: Prompts = 1,
    answer_tokens: Tokens = 64,
    gpu_price: GpuPrice = 0.0,
    core_price: CorePrice = 0.0,
    as_json: Json = False,
) -> None:
    """Predict replicas, hours and cost; `index --plan` counts hours and pages."""
    from services.fleet.predict import Corpus, predict
    from services.fleet.times import read

    corpus = Corpus(video_hours, pages, tasks, answer_tokens)
    if not corpus.parts:
        message = "there is nothing to plan for: give --video-hours or --pages"
        raise SetupError("usage", message)
    found = predict(corpus, read(fleet), _seconds(within), gpu_price, core_price)
    say({"corpus": asdict(corpus)} | asdict(found), _fleet_text(corpus, found), as_json)


def _seconds(within: str) -> float:
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([hd])", within)
    if match is None or not float(match[1]):
        message = f"--within {within}: give hours or days, such as 12h or 30d"
        raise SetupError("usage", message)
    return float(match[1]) * _UNITS[match[2]]


def _fleet_text(corpus: "Corpus", found: "Fleet") -> str:
    head = f"{corpus.parts:,.0f} parts in {found.hours:g} hours: {found.parts_s:,.2f} a second\n\n"
    names = ("stage", "replicas", "each", "busy", "a part takes", "and waits")
    head += "{:10} {:>8} {:11} {:>6} {:>13} {:>11}\n".format(*names)
    lines = "\n".join(map(_stage_line, found.stages))
    paid = f"{found.gpu_hours:,.0f} GPU-hours, {found.core_hours:,.0f} core-hours"
    cost = f", cost {found.cost:,.2f}" if found.cost else ""
    return f"{head}{lines}\n\n{paid}{cost}"


def _stage_line(one: "Stage") -> str:
    each = f"{one.gpus} GPU" if one.gpus else f"{one.cores} core{'s' * (one.cores != 1)}"
    waits = "for ever" if one.wait_s is None else f"{one.wait_s:,.3f} s"
    who = f"{one.name:10} {one.replicas:8,} of {each:8}"
    return f"{who} {one.busy:6.0%} {one.part_s:11,.4f} s {waits:>11}"
