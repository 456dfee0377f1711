"""Batches: which photos make one, how groups and photo files are read, how pictures become a network's input."""

from trainer.batches.augment import (
    DRAWS,
    Behind,
    Input,
    augment,
    augment_joints,
    augment_labels,
    normalise,
    soft_masks,
)
from trainer.batches.backgrounds import Backgrounds, find_backgrounds
from trainer.batches.groups import (
    Groups,
    died_line,
    plan_epoch,
    read_ahead,
    read_groups,
    read_with_masks,
    reader_died,
)
from trainer.batches.photos import read_photos, read_readable_photos
from trainer.batches.views import Views, make_views

__all__ = [
    "DRAWS",
    "Backgrounds",
    "Behind",
    "Groups",
    "Input",
    "Views",
    "augment",
    "augment_joints",
    "augment_labels",
    "died_line",
    "find_backgrounds",
    "make_views",
    "normalise",
    "plan_epoch",
    "read_ahead",
    "read_groups",
    "read_photos",
    "read_readable_photos",
    "read_with_masks",
    "reader_died",
    "soft_masks",
]
