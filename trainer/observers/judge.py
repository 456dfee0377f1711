"""Judge: knows the people's labels and rates pseudo labels and encoders by them, for the record alone.

The loop hands over what it has found and takes nothing back but numbers for the record; a data
set without labels has no judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from data.benchmark import Benchmark, Setting, named
from data.photo import name_below, read_photo
from data.record import ImageRecord
from data.runtime.errors import InputError
from data.runtime.logs import get_logger
from data.shards import SyncStore
from trainer.encoder import Encoder
from trainer.ranking import Measurement, Result, evaluate_benchmark, unmeasured

CAMERAS = "cameras AMI"
"""Name in the record of how far clusters go with cameras."""

PREFERRED = ("clothing-change", "standard", "same-clothing")

_VALIDATION = Measurement(split="validation")

_log = get_logger(__name__)


def label_quality(labels: np.ndarray, people: np.ndarray) -> dict[str, float]:
    """Rate how pseudo labels, int64 (N,), -1 for noise, agree with who is in the photos, int64 (N,), -1 where unknown.

    Photos with a -1 are left out.

    ARI: adjusted Rand index, at most 1, 0 for chance. NMI: normalised mutual information, in [0, 1]. purity: the share
    of photos that belong to the person most frequent in their cluster, in [0, 1]. Without any cluster all are 0.
    """
    kept = (labels >= 0) & (people >= 0)
    if not kept.any():
        return {"ARI": 0.0, "NMI": 0.0, "purity": 0.0}
    table = contingency_matrix(people[kept], labels[kept], sparse=True)
    return {
        "ARI": float(adjusted_rand_score(people[kept], labels[kept])),
        "NMI": float(normalized_mutual_info_score(people[kept], labels[kept])),
        "purity": float(table.max(axis=0).sum() / kept.sum()),
    }


def camera_agreement(labels: np.ndarray, cameras: np.ndarray) -> float:
    """Say how far pseudo labels, int64 (N,), noise -1 and left out, go with the cameras (N,).

    Adjusted mutual information (Vinh et al. 2010): at most 1, 0 for chance or where there is one camera or no cluster.
    """
    kept = labels >= 0
    if len(np.unique(cameras[kept])) < 2:
        return 0.0
    return float(adjusted_mutual_info_score(cameras[kept], labels[kept]))


class Judge:
    """Rates by a benchmark's labels; what of its validation people cannot be used is said once and left out.

    Args:
        benchmark: whose labels they are.
        people: the person of each photo of the store, int64 (N,), -1 where unknown; None where all are.
        workers: processes that read ahead; 0 reads in this one.
        cameras: the camera of each photo, (N,); None where they are not all known.
    """

    def __init__(
        self, benchmark: Benchmark, people: np.ndarray | None, workers: int = 0, cameras: np.ndarray | None = None
    ) -> None:
        self.benchmark, self.people, self.workers, self.cameras = benchmark, people, workers, cameras

    def clusters(self, labels: np.ndarray) -> dict[str, float]:
        """Give ARI, NMI and purity of pseudo labels, and their agreement with cameras; of what is known."""
        quality = {} if self.people is None else label_quality(labels, self.people)
        return quality if self.cameras is None else quality | {CAMERAS: camera_agreement(labels, self.cameras)}

    def validate(self, encoder: Encoder) -> dict[str, float]:
        """Give mAP and R1 in each validation protocol, per cent, and `score`, the mAP of the first PREFERRED setting.

        Nothing where the benchmark has no validation people; never a look at the test.
        """
        results = self._rank(encoder)
        if not results:
            return {}
        measures = {
            f"validation {result.protocol.setting} {result.protocol.shots} {metric}": result[metric].value
            for result in results
            for metric in ("R1", "mAP")
        }
        named = {result.protocol.setting: result for result in results}
        return measures | {"score": next(named[name]["mAP"].value for name in PREFERRED if name in named)}

    def _rank(self, encoder: Encoder) -> tuple[Result, ...]:
        """Rank the validation people; a photo that cannot be read costs itself, never the training."""
        if not self.benchmark.validation:
            return ()
        try:
            return evaluate_benchmark(
                self.benchmark,
                lambda records: encoder.embed([record.path for record in records], self.workers),
                _VALIDATION,
            )
        except InputError as error:
            settings = self.benchmark.validation.values()
            damaged = _damaged(record for setting in settings for record in (*setting.query, *setting.gallery))
            if damaged:
                left = named(*(setting for each in settings if (setting := _without(each, damaged))))
                how = "goes on without" if left else "is left out for"
                shown = next(iter(damaged.values()))
                _log.warning(f"validation {how} {len(damaged):,} photos that cannot be read, such as {shown}")
            else:
                _log.warning(f"validation is left out: {error}")
                left = {}
        self.benchmark = replace(self.benchmark, validation=left)
        return self._rank(encoder)


def validation_problems(judge: Judge | None) -> list[str]:
    """Say, in a line each, what cannot be measured of the validation people, or that there are none."""
    if judge is None or not judge.benchmark.validation:
        return [
            "--validate-every finds no validation people, so no best encoder is kept: list some in a CSV (splits"
            " validation-query and validation-gallery), or leave it out"
        ]
    problems = unmeasured(judge.benchmark, _VALIDATION)
    return [f"validation, {protocol} is left out: {why}" for protocol, why in problems.items()]


def _damaged(records: Iterable[ImageRecord]) -> dict[Path, str]:
    """Find the photos that cannot be read, and why."""
    found: dict[Path, str] = {}
    for path in dict.fromkeys(record.path for record in records):
        try:
            read_photo(path)
        except InputError as error:
            found[path] = str(error)
    return found


def _without(setting: Setting, paths: Iterable[Path]) -> Setting | None:
    """Give the setting without these photos; None where a side is left empty."""
    gone = set(paths)
    query, gallery = (tuple(r for r in side if r.path not in gone) for side in (setting.query, setting.gallery))
    return replace(setting, query=query, gallery=gallery) if query and gallery else None


def people_of(benchmark: Benchmark, store: SyncStore) -> np.ndarray | None:
    """Tell who is in each photo of the store, int64 (N,), -1 where that is not known; None where it is of none."""
    return _numbers(benchmark, store, lambda record: record.person)


def cameras_of(benchmark: Benchmark, store: SyncStore) -> np.ndarray | None:
    """Tell which camera took each photo of the store, int64 (N,); None where that is not known of all."""
    cameras = _numbers(benchmark, store, lambda record: record.camera)
    return None if cameras is None or (cameras < 0).any() else cameras


def _numbers(
    benchmark: Benchmark, store: SyncStore, label_of: Callable[[ImageRecord], str | None]
) -> np.ndarray | None:
    """Number the labels of the store's photos in their alphabetical order, -1 for a missing one; None if all are."""
    # Photos without labels may be a million, of which the names alone would be a hundred megabytes.
    if all(label_of(record) is None for record in benchmark.train):
        return None
    labels = {name_below(record.path, benchmark.root): label_of(record) for record in benchmark.train}
    found = [labels.get(store.source(i)) for i in range(len(store))]
    numbers = {label: number for number, label in enumerate(sorted({label for label in found if label is not None}))}
    return np.array([-1 if label is None else numbers[label] for label in found], np.int64) if numbers else None
