"""Judge: knows the people's labels and rates pseudo labels and encoders by them, for the record alone.

The loop hands over what it has found and takes nothing back but numbers for the record; a data
set without labels has no judge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from data.benchmark import Benchmark
from data.photo import name_below
from data.shards import SyncStore
from trainer.encoder import Encoder
from trainer.ranking import Measurement, evaluate_benchmark

PREFERRED = ("clothing-change", "standard", "same-clothing")


def label_quality(labels: np.ndarray, people: np.ndarray) -> dict[str, float]:
    """Rate how pseudo labels, int64 (N,), noise -1 and left out, agree with who is in the photos, int64 (N,).

    ARI: adjusted Rand index, at most 1, 0 for chance. NMI: normalised mutual information, in [0, 1]. purity: the share
    of photos that belong to the person most frequent in their cluster, in [0, 1]. Without any cluster all are 0.
    """
    kept = labels >= 0
    if not kept.any():
        return {"ARI": 0.0, "NMI": 0.0, "purity": 0.0}
    table = contingency_matrix(people[kept], labels[kept], sparse=True)
    return {
        "ARI": float(adjusted_rand_score(people[kept], labels[kept])),
        "NMI": float(normalized_mutual_info_score(people[kept], labels[kept])),
        "purity": float(table.max(axis=0).sum() / kept.sum()),
    }


@dataclass(frozen=True)
class Judge:
    """Rates by a benchmark's labels.

    people holds the person of each photo of the store, int64 (N,), or is None where they are not all known.
    """

    benchmark: Benchmark
    people: np.ndarray | None
    workers: int = 0

    def clusters(self, labels: np.ndarray) -> dict[str, float]:
        """Give ARI, NMI and purity of pseudo labels; nothing where people are unknown."""
        return {} if self.people is None else label_quality(labels, self.people)

    def validate(self, encoder: Encoder) -> dict[str, float]:
        """Give mAP and R1 in each validation protocol, per cent, and `score`, the mAP of the first PREFERRED setting.

        Nothing where the benchmark has no validation people; never a look at the test.
        """
        if not self.benchmark.validation:
            return {}
        results = evaluate_benchmark(
            self.benchmark,
            lambda records: encoder.embed([record.path for record in records], self.workers),
            Measurement(split="validation"),
        )
        measures = {
            f"validation {result.protocol.setting} {result.protocol.shots} {metric}": result[metric].value
            for result in results
            for metric in ("R1", "mAP")
        }
        named = {result.protocol.setting: result for result in results}
        return measures | {"score": next(named[name]["mAP"].value for name in PREFERRED if name in named)}


def people_of(benchmark: Benchmark, store: SyncStore) -> np.ndarray | None:
    """Tell who is in each photo of the store, int64 (N,); None where the benchmark does not know all of its photos."""
    person = {name_below(record.path, benchmark.root): record.person for record in benchmark.train}
    names = [person.get(store.source(i)) for i in range(len(store))]
    if None in names:
        return None
    return np.unique(np.array(names, dtype=str), return_inverse=True)[1].astype(np.int64)
