"""Maps of a report: features of training photos laid out in two dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from data.runtime.progress import progress
from data.shards import SyncStore
from trainer.batches import read_groups
from trainer.encoder import Encoder
from trainer.report.clusters import TRAITS, trait_of
from trainer.report.subject import Subject

_POINTS = 900
"""Photos on the maps of a page, together: as many as one can tell apart, laid out in seconds."""
_FEWEST = 20
"""Photos below which t-SNE has nothing to say, and principal components are shown."""
_PERPLEXITY = 30.0
"""scikit-learn's default, and the middle of what van der Maaten and Hinton (JMLR 2008) advise."""
_BATCH = 128
_SIDE = 400
"""Of a map, in its own units."""
_SHORT = 3.0


@dataclass(frozen=True)
class Point:
    """A photo on a map: where it lies, in units of the map, its name, and its traits by number, -1 where unknown."""

    x: float
    y: float
    name: str
    traits: dict[str, int]


@dataclass(frozen=True)
class Map:
    """A run's map.

    Attributes:
        run: its name.
        method: how the photos were laid out.
        of: how many there are to draw from.
        points: the photos drawn.
        names: what the numbers of each trait stand for; the traits that are known.
    """

    run: str
    method: str
    of: int
    points: tuple[Point, ...]
    names: dict[str, list[str]]


def make_map(subject: Subject, maps: int, workers: int) -> Map | None:
    """Lay out photos drawn from a run's store by what its encoder makes of them; None without a store.

    Args:
        subject: the run.
        maps: how many share the page.
        workers: processes that read ahead.
    """
    store = subject.store
    if store is None or len(store) < 3:
        return None
    count = min(len(store), _POINTS // maps)
    drawn = np.sort(np.random.default_rng(0).permutation(len(store))[:count])
    places, method = lay_out(_encode(subject.encoder, store, drawn, workers))
    columns = {trait: trait_of(subject.records, trait) for trait in TRAITS}
    names = {trait: known for trait, (_, known) in columns.items() if known}
    traits = {trait: columns[trait][0] for trait in names}
    if len(subject.labels):
        traits["cluster"] = subject.labels
        names["cluster"] = [str(number) for number in range(int(subject.labels.max(initial=-1)) + 1)]
    points = tuple(
        Point(round(float(x), 1), round(float(y), 1), store.source(n), {t: int(v[n]) for t, v in traits.items()})
        for n, (x, y) in zip(drawn.tolist(), places, strict=True)
    )
    return Map(subject.name, method, len(store), points, names)


def lay_out(features: np.ndarray) -> tuple[np.ndarray, str]:
    """Lay features, float (N, d), out in a square, float (N, 2) in [0, 400], and say how."""
    if len(features) < _FEWEST:
        places, method = PCA(2).fit_transform(features), "the first two principal components"
    else:
        perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
        fitted = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(features)
        places, method = fitted, f"t-SNE of perplexity {perplexity:.0f}"
    low, high = places.min(0), places.max(0)
    margin = 0.03 * _SIDE
    return margin + (places - low) / max(float((high - low).max()), 1e-12) * (_SIDE - 2 * margin), method


def _encode(encoder: Encoder, store: SyncStore, drawn: np.ndarray, workers: int) -> np.ndarray:
    batches = [drawn[start : start + _BATCH] for start in range(0, len(drawn), _BATCH)]
    with progress("encoding training photos", len(drawn), delay=_SHORT) as shown:
        features = []
        for groups in read_groups(store, batches, 1, workers):
            features.append(encoder.encode([groups[:, 0]]).cpu().numpy())
            shown.advance(len(groups))
    return np.concatenate(features)
