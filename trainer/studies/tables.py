"""Tables: which trainings are compared, as data; one more table is a few lines at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PAPER = "prcc"
"""The data set of the paper's figures that stand beside numbers of a data set it has none of."""


@dataclass(frozen=True)
class Figure:
    """What the paper reports of a row, in per cent; it does not say whether of one gallery photo a person or of all."""

    benchmark: str
    setting: str
    rank1: float
    mean_ap: float


@dataclass(frozen=True)
class Shards:
    """A kind of shards, and the options of `make sync` that make them.

    Attributes:
        options: as they stand in ARGS.
        painter: who redrew.
        kept: all but the clothes are the photo's own pixels.
        dealt: each photo has outfits of its own, drawn from more templates than it has versions.
    """

    options: str = ""
    painter: str = "pise"
    kept: bool = False
    dealt: bool = False


@dataclass(frozen=True)
class Row:
    """A way to train.

    Attributes:
        name: as the table shows it.
        settings: in which it differs from the preset, as `trainer.config.Config` calls them.
        shards: which it is trained on; by default those made or asked for last.
        method: a supervised one, which is trained on the data set's labels instead; settings that it lacks pass it by.
        paper: what the paper reports of it.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    shards: Shards | None = None
    method: str = ""
    paper: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows that are compared with the first of them.

    Attributes:
        name: by which it is asked for.
        title: what it asks.
        rows: in the order they are shown.
        share: two rows: a line says how much of the second's gain over the first row the first of them has.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    share: tuple[str, str] | None = None

    @property
    def varied(self) -> set[str]:
        """Name the settings that differ between the rows, and between the trainings of one."""
        return {"seed", *(name for row in self.rows for name in row.settings)}


def _changing(rank1: float, mean_ap: float) -> tuple[Figure, ...]:
    """Give what the paper's ablations report: of PRCC under clothing change."""
    return (Figure(PAPER, "clothing-change", rank1, mean_ap),)


BASELINE: Mapping[str, Any] = {"c_a": False, "c_i": False, "sampling": "none"}
"""What is left of the method is its cluster contrast on the photos: Cluster Contrast."""
FULL = (
    *_changing(43.7, 39.8),
    Figure(PAPER, "same-clothing", 87.4, 82.1),
    Figure("vc-clothes", "clothing-change", 67.4, 62.5),
    Figure("vc-clothes", "same-clothing", 91.9, 89.3),
)
"""What the paper reports of the whole method."""

_FIXED, _DEALT = Shards(), Shards("--bank 64", dealt=True)
_KEPT, _IDEAL = Shards("--keep-person", kept=True), Shards("--painter ideal", painter="ideal")

_TABLES = (
    Table(
        "components",
        "What each component adds",
        (
            Row("baseline", BASELINE, paper=_changing(29.6, 27.4)),
            Row("C_a", {"c_i": False, "sampling": "none"}, paper=_changing(30.3, 27.9)),
            Row("C_s", {"c_a": False, "c_i": False}, paper=_changing(32.4, 30.8)),
            Row("C_a + C_s", {"c_i": False}, paper=_changing(35.1, 33.3)),
            Row("C_a + C_i", {"sampling": "none"}, paper=_changing(37.2, 35.3)),
            Row("all", paper=FULL),
        ),
    ),
    Table(
        "sampling",
        "What steps the memories",
        (
            Row("none", {"sampling": "none"}, paper=_changing(37.2, 35.3)),
            Row("average", {"sampling": "average"}, paper=_changing(36.1, 34.7)),
            Row("hardest", {"sampling": "hardest"}, paper=_changing(41.2, 37.4)),
            Row("both", {"sampling": "both"}, paper=FULL),
        ),
    ),
    Table(
        "eps",
        "The radius of DBSCAN",
        (
            Row("0.2", {"eps": 0.2}, paper=_changing(38.4, 33.1)),
            Row("0.3", {"eps": 0.3}, paper=_changing(41.2, 36.5)),
            Row("0.4", {"eps": 0.4}, paper=FULL),
            Row("0.5", {"eps": 0.5}, paper=_changing(40.8, 35.9)),
            Row("0.6", {"eps": 0.6}, paper=_changing(40.2, 35.8)),
            Row("0.7", {"eps": 0.7}, paper=_changing(40.4, 34.1)),
        ),
    ),
    Table(
        "versions",
        "How many redrawn versions of each photo are used",
        (
            Row("S = 0", {"c_a": False, "c_i": False}, paper=_changing(32.4, 30.8)),
            Row("S = 1", {"versions": 1}),
            Row("S = 2", {"versions": 2}),
            Row("S = 3", {"versions": 3}),
            Row("S = 4", {"versions": 4}, paper=FULL),
        ),
    ),
    Table(
        "templates",
        "The same outfits for every photo, or outfits dealt out to each",
        (Row("fixed", shards=_FIXED, paper=FULL), Row("dealt out", shards=_DEALT)),
    ),
    Table(
        "keep-person",
        "All but the clothes as the generator paints it, or as the photo has it",
        (Row("painted", shards=_FIXED, paper=FULL), Row("kept", shards=_KEPT)),
    ),
    Table(
        "cameras",
        "What cameras are worth: each one's mean out before clustering, its own clusters alone to contrast with",
        (
            Row("baseline", {**BASELINE, "camera_means": False, "camera_negatives": False}),
            Row("baseline, means out", {**BASELINE, "camera_means": True, "camera_negatives": False}),
            Row("full method", {"camera_means": False, "camera_negatives": False}),
            Row("full method, means out", {"camera_means": True, "camera_negatives": False}),
            Row("full method, means out, own clusters", {"camera_means": True, "camera_negatives": True}),
        ),
    ),
    Table(
        "backgrounds",
        "What exchanging backgrounds is worth",
        (
            Row("baseline", {**BASELINE, "backgrounds": 0.0}),
            Row("baseline, exchanged", {**BASELINE, "backgrounds": 0.8}),
            Row("full method", {"backgrounds": 0.0}),
            Row("full method, exchanged", {"backgrounds": 0.8}),
        ),
    ),
    Table(
        "worth",
        "What redrawing is worth",
        (
            Row("baseline", BASELINE, _FIXED, paper=_changing(29.6, 27.4)),
            Row("generator", shards=_FIXED, paper=FULL),
            Row("kept", shards=_KEPT),
            Row("ideal", shards=_IDEAL),
        ),
        share=("generator", "ideal"),
    ),
    Table(
        "1",
        "What labels are worth: supervised methods beside ours",
        (
            Row("ours, without labels", paper=FULL),
            Row("Cluster Contrast, without labels", BASELINE, paper=_changing(29.6, 27.4)),
            # The eight that the paper compares with.
            Row("LOMO + KISSME", method="lomo-kissme"),
            Row("LOMO + XQDA", method="lomo-xqda"),
            Row("PCB", method="pcb"),
            Row("MGN", method="mgn"),
            Row("RGA-SC", method="rga-sc"),
            Row("SGPS", method="sgps"),
            Row("CESD", method="cesd"),
            Row("FSAM", method="fsam"),
            Row("identity + triplet", method="twin"),
            Row("CAL", method="cal"),
        ),
    ),
)

TABLES = {table.name: table for table in _TABLES}
"""All tables there are, by name."""
