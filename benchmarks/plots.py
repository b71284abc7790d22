"""Plots: figures beside their goals, what a fleet carries, and how it scales, as SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.common import Report
from benchmarks.outcome import Moment

_MET, _MISSED = "#2a7f62", "#b3432b"
_LONGEST: Final = 3.0
_POINTS: Final = 400  # of a line, about
_STYLE: Final[Any] = {
    "svg.hashsalt": "reelpage",  # the same figures give the same file
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def goals_plot(rows: Sequence[Report], path: Path) -> None:
    """A bar a goal that was measured: how much better than its bound, up to three times."""
    shown = [row for row in rows if row["figure"]]
    with rc_context(_STYLE):
        figure = Figure(figsize=(11, 1 + 0.32 * len(shown)), layout="constrained")
        axes = figure.subplots()
        for place, row in enumerate(reversed(shown)):
            ratio = row["figure"] / row["bound"]
            value = min(1 / ratio if row["at_most"] else ratio, _LONGEST)
            axes.barh(place, value, color=_MET if row["verdict"] == "met" else _MISSED)
            said = f" {row['figure']:.3g} ({row['goal']}), {row['against']}"
            axes.annotate(said, (value, place), va="center")
        axes.set_yticks(range(len(shown)), [row["what"] for row in reversed(shown)])
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_xlabel("of the goal; right of the line it is met")
        axes.set_xlim(0, 2 * _LONGEST)
        _save(figure, path)


def fleet_plot(curves: Mapping[str, Sequence[tuple[int, float]]], path: Path) -> None:
    """Parts a second over decoders, a line a scenario, both axes logarithmic."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes: Axes = figure.subplots()
        for name, points in curves.items():
            axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("decoders")
        axes.set_ylabel("parts a second")
        axes.legend(frameon=False)
        _save(figure, path)


def scaling_plot(series: Mapping[str, Sequence[Moment]], path: Path) -> None:
    """Lag above, and who works below, over hours, a column for each traffic."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(11, 4.5), layout="constrained")
        axes = figure.subplots(2, len(series), sharex="col", squeeze=False)
        for (name, every), above, below in zip(series.items(), *axes, strict=True):
            moments = every[:: 1 + len(every) // _POINTS]
            hours = [one.second / 3600 for one in moments]
            above.fill_between(hours, [one.lag for one in moments], color=_MISSED, alpha=0.4)
            above.set_title(name, fontsize=9)
            for what in ("workers", "encoders", "decoders"):
                counts = [getattr(one, what) for one in moments]
                below.step(hours, counts, where="post", linewidth=1, label=what)
            below.set_xlabel("hours")
        axes[0][0].set_ylabel("jobs that have not landed")
        figure.legend(*axes[1][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
