"""Charts: lines drawn by matplotlib as SVG that stands in the page and takes its colours and its letters."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

_TEXT, _GRID = "#00000a", "#00000b"
# Colours that no chart uses stand for those of the page, which are others in the dark.
_SERIES = [f"#0000{number:x}0" for number in range(1, 7)]
_COLOURS = {_TEXT: "var(--muted)", _GRID: "var(--line)"} | {c: f"var(--series-{n})" for n, c in enumerate(_SERIES)}
_WIDTH = 2
_DASHES = ("none", "8 4", "2 3", "10 3 2 3")
"""As SVG has them, in pixels; a line is known by them where colours are not seen."""
_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_SIZE = (4.0, 2.6)
"""Inches: at this size its letters are those of the page, on a phone as well."""

_RANKS = (1, 2, 5, 10, 20, 50)

_numbers = count()


@dataclass(frozen=True)
class Line:
    """A line of a chart: its name, float (N,) of either axis, and its look: a colour and a dash, each by number."""

    name: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    colour: int = 0
    dash: int = 0

    @property
    def stroke(self) -> str:
        """Give its colour in the page."""
        return f"var(--series-{self.colour % len(_SERIES)})"

    @property
    def dashes(self) -> str:
        """Give its dashes as SVG has them."""
        return _DASHES[self.dash % len(_DASHES)]


@dataclass(frozen=True)
class Chart:
    """A chart: its title, its SVG, and its lines, from which the page makes the legend and a description."""

    title: str
    svg: Markup
    lines: tuple[Line, ...]


def draw(
    title: str, lines: Sequence[Line], across: str, up: str, logarithmic: bool = False, zero: bool = True
) -> Chart:
    """Draw lines; none of their names is in the SVG.

    Args:
        title: what is shown.
        lines: what to draw.
        across: what the horizontal axis shows.
        up: what the vertical axis shows.
        logarithmic: whether the horizontal axis is.
        zero: whether the vertical axis begins at 0.
    """
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "chart", "font.size": 10, "font.family": "sans-serif"}
    settings |= dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), _TEXT)
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.subplots()
        for line in lines:
            marker = "o" if len(line.x) < 8 else ""
            axes.plot(
                np.asarray(line.x),
                np.asarray(line.y),
                color=_SERIES[line.colour % len(_SERIES)],
                linestyle=_linestyle(line.dashes),
                linewidth=_WIDTH,
                marker=marker,
                markersize=4,
            )
        _dress(axes, across, up, logarithmic, zero)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata=_METADATA)
    return Chart(title, Markup(_in_page(stream.getvalue(), f"c{next(_numbers)}-")), tuple(lines))


def _linestyle(dashes: str) -> Any:
    """A line's dashes as matplotlib has them, in widths of the line."""
    return "-" if dashes == "none" else (0, [float(length) / _WIDTH for length in dashes.split()])


def _dress(axes: matplotlib.axes.Axes, across: str, up: str, logarithmic: bool, zero: bool) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    if logarithmic:
        axes.set_xscale("log")
        ticks = [tick for tick in _RANKS if tick <= axes.dataLim.x1]
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if zero:
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(color=_GRID, linewidth=0.8)
    axes.tick_params(length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(_GRID)


def _in_page(svg: str, prefix: str) -> str:
    """The SVG alone, with names that no other of the page has, in the page's colours and letters."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{prefix}", svg)
    svg = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', r'<svg class="chart" \1 aria-hidden="true">', svg, count=1)
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    return re.sub("|".join(_COLOURS), lambda found: _COLOURS[found.group()], svg)
