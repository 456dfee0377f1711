"""A benchmark: photos to train on, and named settings in which retrieval is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data.record import ImageRecord
from data.runtime.errors import InputError

SETTINGS = ("clothing-change", "same-clothing", "standard")
SHOTS = ("single-shot", "multi-shot")


@dataclass(frozen=True)
class Setting:
    """Who is looked for among whom.

    `name` is also the rule of which gallery photos are removed from a query's ranking, always photos of its own person:
    "standard" removes those of the same camera; "clothing-change" also those in the same clothes; "same-clothing" those
    of the same camera and those in other clothes.

    `shots` says what the gallery is: "multi-shot" all of it, "single-shot" one photo of each person, drawn `draws`
    times. Raises InputError where a label that the rule needs is unknown of a photo.
    """

    name: str
    query: tuple[ImageRecord, ...]
    gallery: tuple[ImageRecord, ...]
    shots: tuple[str, ...] = ("multi-shot",)
    draws: int = 10

    def __post_init__(self) -> None:
        """Check the name, the shots and that both sides can be ranked under the rule."""
        if self.name not in SETTINGS:
            raise InputError(f"setting {self.name!r} is unknown: choose one of {', '.join(SETTINGS)}")
        if not self.shots or not set(self.shots) <= set(SHOTS):
            raise InputError(f"shots {self.shots!r} are unknown: choose from {', '.join(SHOTS)}")
        for side, records in (("query", self.query), ("gallery", self.gallery)):
            if not records:
                raise InputError(f"the {side} of the {self.name} setting is empty: see the dataset's folder")
            unknown = next((record.path for record in records if None in (record.person, record.camera)), None)
            if unknown is not None:
                raise InputError(f"{unknown}: its person or camera is unknown, but the {self.name} setting needs both")
            if self.name != "standard":
                bare = next((record.path for record in records if record.clothes is None), None)
                if bare is not None:
                    raise InputError(f"{bare}: its clothes are unknown, but the {self.name} setting needs them")

    def queries_with_match(self) -> int:
        """Count the queries of which some gallery photo is a match under the rule; the others cannot be ranked."""
        same_or_other = {"same-clothing": (True,), "clothing-change": (False,), "standard": (True, False)}[self.name]
        seen: dict[str | None, set[tuple[str | None, str | None]]] = {}
        for record in self.gallery:
            seen.setdefault(record.person, set()).add((record.camera, record.clothes))
        return sum(
            any(
                camera != record.camera and (clothes == record.clothes) in same_or_other
                for camera, clothes in seen.get(record.person, ())
            )
            for record in self.query
        )


@dataclass(frozen=True)
class Benchmark:
    """A data set as read from `root`: training photos, test settings by name, and validation settings where it has any.

    Hyper-parameters are chosen on `validation`, never on `settings`. `published` holds how many people and photos the
    authors count, for parts as `parts` names them; None stands for a count that no source gives. `list_file` is the
    list that was chosen among those that a folder may hold, `list_sha256` the digest of its content; both are None
    where there is no choice.
    """

    name: str
    root: Path
    train: Sequence[ImageRecord]
    settings: dict[str, Setting]
    validation: dict[str, Setting] = field(default_factory=dict)
    published: Mapping[str, tuple[int | None, int]] = field(default_factory=dict)
    list_file: Path | None = None
    list_sha256: str | None = None

    @property
    def place(self) -> Path:
        """Where it was read: the list if one was chosen, else the folder; `data.open_benchmark` takes it."""
        return self.list_file or self.root

    def parts(self) -> dict[str, Sequence[ImageRecord]]:
        """Return the records by part: "train", "<setting> query", "<setting> gallery", "validation <setting> ..."."""
        found: dict[str, Sequence[ImageRecord]] = {"train": self.train}
        for prefix, settings in (("", self.settings), ("validation ", self.validation)):
            for name, setting in settings.items():
                found[f"{prefix}{name} query"] = setting.query
                found[f"{prefix}{name} gallery"] = setting.gallery
        return found


def named(*settings: Setting) -> dict[str, Setting]:
    """Return the settings by their names, in the order given."""
    return {setting.name: setting for setting in settings}
