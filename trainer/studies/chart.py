"""Chart: a table as a picture, a panel for each setting, with error bars over the seeds."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data.runtime.files import replacing
from trainer.studies.layout import NOT_RUN, Filled, figure_for
from trainer.studies.summary import METRICS, Part

_COLOURS = {"R1": "#1b5e9e", "mAP": "#c75b12"}
_MARKERS = {"R1": "o", "mAP": "s"}
_LEGEND = (*METRICS, "chance", "paper")
"""What the legend names, in this order."""
_APART = 0.16
"""How far the two metrics of a row stand from its middle, where rows are 1 apart."""


def draw_table(path: Path, filled: Filled) -> None:
    """Write a PNG: of each row mean ± standard deviation, each seed as a tick, the paper's figures where they compare.

    Of a setting's protocols the first is shown, single-shot where it was measured.
    """
    parts: dict[str, Part] = {}
    for part in filled.parts:
        parts.setdefault(part.protocol.setting, part)
    panels = max(1, len(parts))
    figure = Figure(figsize=(1.6 + 4.2 * panels, 1.9 + 0.5 * len(filled.rows)), dpi=160, layout="constrained")
    axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
    figure.suptitle(f"{filled.table.title}: {filled.dataset}, {filled.ask.split} people", fontsize=12)
    for panel, part in zip(axes, parts.values(), strict=False):
        _draw_part(panel, part, filled)
    axes[0].set_yticks(range(len(filled.rows)), [planned.row.name for planned in filled.rows])
    axes[0].set_ylim(len(filled.rows) - 0.5, -0.5)
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        order = sorted(range(len(labels)), key=lambda at: _LEGEND.index(labels[at].split()[0]))
        handles, labels = [handles[at] for at in order], [labels[at] for at in order]
        figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9)
    with replacing(path) as part_path:
        figure.savefig(part_path, format="png")


def _draw_part(panel: Axes, part: Part, filled: Filled) -> None:
    panel.set_title(str(part.protocol), fontsize=10)
    panel.set_xlabel("per cent; bar: standard deviation over the seeds, tick: one seed", fontsize=8)
    panel.grid(axis="x", color="#dddddd", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.tick_params(axis="y", length=0)
    for metric, offset in zip(METRICS, (-_APART, _APART), strict=True):
        colour = _COLOURS[metric]
        present = [(at + offset, numbers[metric]) for at, numbers in enumerate(part.rows) if metric in numbers]
        for height, number in present:
            values = list(number.values.values())
            panel.plot(values, [height] * len(values), "|", color=colour, alpha=0.6, markersize=11, zorder=2)
        panel.errorbar(
            [number.mean for _, number in present],
            [height for height, _ in present],
            xerr=[number.spread or 0.0 for _, number in present],
            fmt=_MARKERS[metric],
            color=colour,
            markersize=5,
            capsize=3,
            label=metric,
            zorder=3,
        )
        chance = part.chance[metric]
        if chance is not None:
            panel.axvline(chance, color=colour, linestyle=":", linewidth=1, label=f"chance {metric}")
        reported = [
            (at + offset, figure.rank1 if metric == "R1" else figure.mean_ap)
            for at, planned in enumerate(filled.rows)
            if (figure := figure_for(planned.row, filled.dataset, part.protocol.setting))
            and figure.benchmark == filled.dataset
        ]
        if reported:
            panel.plot(
                [value for _, value in reported],
                [height for height, _ in reported],
                "D",
                color=colour,
                fillstyle="none",
                markersize=6,
                label=f"paper {metric}",
            )
    for at, numbers in enumerate(part.rows):
        if not numbers:
            panel.text(0.02, at, NOT_RUN, transform=panel.get_yaxis_transform(), va="center", color="#666666")
    panel.set_xlim(left=0)
