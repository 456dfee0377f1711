"""How fast a gallery is ranked, beside a loop over queries, and in how much memory."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable

import click
import numpy as np
import torch

from data.runtime.tables import format_table
from trainer.ranking import Labels, Ranking, evaluate, evaluate_features

PEOPLE, CAMERAS, OUTFITS = 3_060, 15, 4


@click.command()
@click.option("--queries", default=11_659, show_default=True, help="the size of MSMT17's test set")
@click.option("--gallery", default=82_161, show_default=True)
@click.option("--dimension", default=2048, show_default=True, help="numbers in a feature")
@click.option("--sample", default=256, show_default=True, help="queries that the loop ranks too")
@click.option("--repeats", default=5, show_default=True, help="times both rank the sample, in turn; medians are shown")
def main(queries: int, gallery: int, dimension: int, sample: int, repeats: int) -> None:
    """Rank random features of random people."""
    rng = np.random.default_rng(0)
    query_labels, gallery_labels = _labels(rng, queries), _labels(rng, gallery)
    click.echo(f"{queries:,} x {gallery:,}, {dimension}-d features, {torch.get_num_threads()} threads\n")
    # Without equal distances, which a sorting loop resolves by chance.
    distance = rng.permuted(np.tile(np.arange(gallery, dtype=np.float32), (sample, 1)), axis=1)
    _compare(distance, query_labels[:sample], gallery_labels, repeats)
    del distance

    seeded = torch.Generator().manual_seed(0)
    query_features = torch.randn(queries, dimension, generator=seeded)
    gallery_features = torch.randn(gallery, dimension, generator=seeded)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    elapsed, _ = _seconds(
        lambda: evaluate_features(query_features, gallery_features, query_labels, gallery_labels, "clothing-change")
    )
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    click.echo(
        f"\nthe whole from features, distances included: {elapsed:.1f} s; peak memory grew by {peak:,.0f} MiB "
        f"(the matrix of distances alone is {queries * gallery * 4 / 2**20:,.0f} MiB)"
    )


def _compare(distance: np.ndarray, query: Labels, gallery: Labels, repeats: int) -> None:
    def ours() -> Ranking:
        return evaluate(distance, query, gallery, "standard")

    def loop() -> Ranking:
        return rank_in_a_loop(distance, query, gallery)

    _check_equal(ours(), loop())
    times = [(_seconds(loop), _seconds(ours)) for _ in range(repeats)]
    (loop_wall, loop_cpu), (our_wall, our_cpu) = (
        [statistics.median(run[side][clock] for run in times) / len(query) * 1e3 for clock in (0, 1)] for side in (0, 1)
    )
    rows = [
        ("loop over queries", f"{loop_wall:.2f}", f"{loop_cpu:.2f}"),
        ("trainer.ranking.evaluate", f"{our_wall:.2f}", f"{our_cpu:.2f}"),
        ("ratio", f"{loop_wall / our_wall:.1f}x", f"{loop_cpu / our_cpu:.1f}x"),
    ]
    click.echo(format_table((f"ms a query, of {len(query)}", "elapsed", "of CPU"), rows))


def rank_in_a_loop(distance: np.ndarray, query: Labels, gallery: Labels) -> Ranking:
    """Rank in the standard setting, sorting the whole gallery for one query after another."""
    cmc, ap, inp = np.zeros(len(gallery)), [], []
    for q in range(len(query)):
        order = np.argsort(distance[q])
        own = gallery.person[order] == query.person[q]
        removed = own & (gallery.camera[order] == query.camera[q])
        hits = np.flatnonzero(own[~removed]) + 1
        if len(hits):
            cmc[hits[0] - 1 :] += 1
            ap.append(np.mean(np.arange(1, len(hits) + 1) / hits))
            inp.append(len(hits) / hits[-1])
    return Ranking(cmc / len(ap), float(np.mean(ap)), float(np.mean(inp)), len(ap))


def _check_equal(one: Ranking, other: Ranking) -> None:
    np.testing.assert_allclose(one.cmc, other.cmc, atol=1e-9)
    np.testing.assert_allclose((one.mean_ap, one.mean_inp), (other.mean_ap, other.mean_inp), atol=1e-6)


def _labels(rng: np.random.Generator, number: int) -> Labels:
    person, camera, outfit = (rng.integers(0, most, number) for most in (PEOPLE, CAMERAS, OUTFITS))
    return Labels(person, camera, person * OUTFITS + outfit)


def _seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the elapsed seconds and those of CPU, over all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
