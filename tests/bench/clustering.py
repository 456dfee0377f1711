"""Clustering measured: seconds and memory beside the bare neighbour search and the published dense way."""

from __future__ import annotations

import dataclasses
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import click
import numpy as np
import torch
from sklearn.cluster import DBSCAN
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

from data.runtime.tables import format_table
from tests.bench.people import people
from trainer.clustering import approximate, neighbours
from trainer.clustering import labels as clustering
from trainer.method import EPS, K1, K2, MIN_SAMPLES

WAYS = ("search", "ours", "approximate", "dense")
HEADER = (
    "way",
    "seconds",
    "/ search",
    "after search",
    "GiB above features",
    "clusters",
    "noise",
    "ARI to ours",
    "recall",
)
SEEDED = 3000  # photos of the run that loads libraries and compiled code before the clock starts


@dataclass(frozen=True)
class Measured:
    """What one way took: seconds in all and in its neighbour search, GiB above the features; its labels, neighbours."""

    seconds: float
    search: float
    memory: float
    labels: np.ndarray
    nearest: np.ndarray

    @property
    def clusters(self) -> int:
        """Clusters found."""
        return int(self.labels.max(initial=-1)) + 1


@click.command()
@click.option(
    "--photos", type=int, multiple=True, default=(17896,), show_default=True, help="N; give it several times."
)
@click.option("--dimensions", type=int, default=2048, show_default=True, help="d of the features.")
@click.option("--repeats", type=int, default=3, show_default=True, help="Rounds; the median of each way is shown.")
@click.option(
    "--way", "ways", type=click.Choice(WAYS), multiple=True, default=("search", "ours", "dense"), show_default=True
)
@click.option("--threads", type=int, default=torch.get_num_threads(), show_default=True)
def main(photos: tuple[int, ...], dimensions: int, repeats: int, ways: tuple[str, ...], threads: int) -> None:
    """Measure pseudo_labels on synthetic photos of people in outfits, each way in a process of its own.

    ours is pseudo_labels, approximate the same with approximate neighbours. search is the bare exact neighbour search:
    blocked float32 products and top-k. dense is the Jaccard distance of Cluster Contrast in N x N arrays, which takes
    12 N^2 bytes and more, then scikit-learn's DBSCAN.
    """
    for size in photos:
        click.echo(
            f"N = {size:,}, d = {dimensions}, k1 = {K1}, k2 = {K2}, eps = {EPS}, {threads} threads, median of {repeats}"
        )
        with tempfile.TemporaryDirectory() as folder:
            np.save(Path(folder, "features.npy"), people(size, dimensions).numpy())
            rounds = [{way: _in_process(way, Path(folder), threads) for way in ways} for _ in range(repeats)]
        click.echo(format_table(HEADER, [_row(way, rounds) for way in ways]) + "\n")


def dense_labels(features: np.ndarray) -> np.ndarray:
    """Label photos the published way: N x N arrays and a loop over photos, then scikit-learn's DBSCAN."""
    size = len(features)
    x = torch.from_numpy(features)
    rank = torch.cat([(rows @ x.T).topk(K1).indices for rows in x.split(512)]).numpy()
    half = int(np.around(K1 / 2)) + 1

    def reciprocal(i: int, k: int) -> np.ndarray:
        return rank[i, :k][(rank[rank[i, :k], :k] == i).any(axis=1)]

    full, halves = [reciprocal(i, K1) for i in range(size)], [reciprocal(i, half) for i in range(size)]
    weights = np.zeros((size, size), np.float32)
    for i in range(size):
        own = [halves[j] for j in full[i] if 3 * len(np.intersect1d(halves[j], full[i])) > 2 * len(halves[j])]
        members = np.unique(np.concatenate([full[i], *own]))
        weights[i, members] = torch.softmax(2 * x[i] @ x[members].T - 2, dim=0).numpy()
    weights = np.stack([weights[rank[i, :K2]].mean(axis=0) for i in range(size)])
    columns = [np.flatnonzero(weights[:, j]) for j in range(size)]
    distance = np.ones((size, size), np.float32)
    for i in range(size):
        overlap = np.zeros(size, np.float32)
        for j in np.flatnonzero(weights[i]):
            overlap[columns[j]] += np.minimum(weights[i, j], weights[columns[j], j])
        distance[i] = np.maximum(1 - overlap / (2 - overlap), 0)
    return DBSCAN(eps=EPS, min_samples=MIN_SAMPLES, metric="precomputed").fit(distance).labels_


def bare_search(features: np.ndarray) -> np.ndarray:
    """Search the K1 nearest neighbours of all photos in float32, and nothing more; give no labels."""
    x = torch.from_numpy(features)
    for rows in x.split(512):
        (rows @ x.T).topk(K1)
    return np.empty(0, np.int64)


def _in_process(way: str, folder: Path, threads: int) -> Measured:
    """Run one way in a fresh process, for its peak memory."""
    code = f"from tests.bench import clustering as b; b.measure({way!r}, {str(folder)!r}, {threads})"
    subprocess.run([sys.executable, "-c", code], check=True)
    result = np.load(folder / f"{way}.npz")
    seconds, search, memory = (float(result[name]) for name in ("seconds", "search", "memory"))
    return Measured(seconds, search, memory, result["labels"], result["nearest"])


def measure(way: str, folder: str, threads: int) -> None:
    """Run one way on features.npy of the folder and write what it took and its labels beside it."""
    torch.set_num_threads(threads)
    features = np.load(Path(folder, "features.npy"))
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "search": bare_search,
        "ours": clustering.pseudo_labels,
        "approximate": partial(clustering.pseudo_labels, search="approximate"),
        "dense": dense_labels,
    }
    run = ways[way]
    run(features[:SEEDED])
    spent, found = (
        _watch(approximate, "approximate_neighbours")
        if way == "approximate"
        else _watch(neighbours, "nearest_neighbours")
    )
    before = _resident()
    start = time.perf_counter()
    labels = run(features)
    seconds = time.perf_counter() - start
    memory = max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before) / 2**30
    nearest = np.sort(np.concatenate([np.empty((0, K1), np.int64), *(f.numpy() for f in found)]), axis=1)
    measured = Measured(seconds, sum(spent), memory, labels, nearest)
    np.savez(Path(folder, f"{way}.npz"), **dataclasses.asdict(measured))


def _watch(module: ModuleType, name: str) -> tuple[list[float], list[Tensor]]:
    """Have a search that `pseudo_labels` calls timed; return the lists of its seconds and of what it found."""
    seconds: list[float] = []
    results: list[Tensor] = []
    search = getattr(module, name)

    def timed(features: Tensor, k: int) -> Tensor:
        start = time.perf_counter()
        results.append(search(features, k))
        seconds.append(time.perf_counter() - start)
        return results[-1]

    setattr(module, name, timed)
    return seconds, results


def _resident() -> int:
    """Return the bytes this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _row(way: str, rounds: Sequence[Mapping[str, Measured]]) -> list[str]:
    """Return a way's line of the table: medians over the rounds, and how near the first one's labels are to ours."""
    measured = [each[way] for each in rounds]
    first, ours = measured[0], rounds[0].get("ours")
    cells = dict.fromkeys(HEADER, "")
    cells["way"] = way
    cells["seconds"] = f"{statistics.median(m.seconds for m in measured):.2f}"
    cells["GiB above features"] = f"{max(m.memory for m in measured):.2f}"
    if "search" in rounds[0]:
        cells["/ search"] = f"{statistics.median(r[way].seconds / r['search'].seconds for r in rounds):.2f}"
    if way in ("ours", "approximate"):
        cells["after search"] = f"{statistics.median(m.seconds - m.search for m in measured):.2f}"
    if way != "search":
        cells["clusters"], cells["noise"] = str(first.clusters), str((first.labels < 0).sum())
        cells["ARI to ours"] = f"{adjusted_rand_score(ours.labels, first.labels):.4f}" if ours else ""
    if way == "approximate" and ours:
        both = np.sort(np.concatenate([first.nearest, ours.nearest], axis=1), axis=1)
        cells["recall"] = f"{(both[:, 1:] == both[:, :-1]).sum() / first.nearest.size:.4f}"
    return list(cells.values())


if __name__ == "__main__":
    main()
