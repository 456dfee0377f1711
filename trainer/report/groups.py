"""Groups of photos to look at: training photos with their redrawn versions, and photos that share a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data.shards import SyncStore
from trainer.report.pictures import Pictures
from trainer.report.strips import Shot
from trainer.report.subject import Subject

_GROUPS = 12
_CLUSTERS = 8
_MEMBERS = 8


@dataclass(frozen=True)
class Group:
    """A training photo and its redrawn versions, by numbers of pictures; copies where it was not redrawn."""

    name: str
    photo: int
    versions: tuple[int, ...]
    redrawn: bool


@dataclass(frozen=True)
class Cluster:
    """A cluster: its number, how many photos it has, how many people are in it (0 if unknown), and some of them."""

    number: int
    size: int
    people: int
    shots: tuple[Shot, ...]


def draw_groups(store: SyncStore, pictures: Pictures) -> list[Group]:
    """Draw a few of a store's photos with their redrawn versions."""
    drawn = np.sort(np.random.default_rng(0).permutation(len(store))[:_GROUPS]).tolist()
    found = []
    for number, group in zip(drawn, store.groups(drawn), strict=True):
        photo, *versions = [pictures.add(picture) for picture in group]
        found.append(Group(store.source(number), photo, tuple(versions), store.redrawn(number)))
    return found


def draw_clusters(subject: Subject, pictures: Pictures) -> Iterator[Cluster]:
    """Draw a few of a run's clusters, the largest ones no more than others, each with a few of its photos."""
    store, labels = subject.store, subject.labels
    if store is None or not len(labels):
        return
    random = np.random.default_rng(0)
    for number in np.sort(random.permutation(int(labels.max()) + 1)[:_CLUSTERS]).tolist():
        members = np.flatnonzero(labels == number)
        people = {subject.records[member].person for member in members.tolist()}
        drawn = np.sort(random.permutation(members)[:_MEMBERS]).tolist()
        shots = []
        for member, group in zip(drawn, store.groups(drawn), strict=True):
            record = subject.records[member]
            camera, clothes, person = record.camera or "", record.clothes or "", record.person or ""
            shots.append(Shot(pictures.add(group[0]), store.source(member), person, camera, clothes, "", 0))
        yield Cluster(number, len(members), 0 if None in people else len(people), tuple(shots))
