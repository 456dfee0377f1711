"""Batches: which photos make one, how groups and photo files are read, how pictures become a network's input."""

from trainer.batches.augment import DRAWS, Input, augment, normalise
from trainer.batches.groups import died_line, plan_epoch, read_groups, reader_died
from trainer.batches.photos import read_photos, read_readable_photos

__all__ = [
    "DRAWS",
    "Input",
    "augment",
    "died_line",
    "normalise",
    "plan_epoch",
    "read_groups",
    "read_photos",
    "read_readable_photos",
    "reader_died",
]
