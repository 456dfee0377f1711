"""The command that ranks a benchmark's galleries."""

from __future__ import annotations

from pathlib import Path

import click

from data.runtime.logs import get_logger
from trainer.commands.common import (
    checkpoint_option,
    count_workers,
    device_option,
    find_device,
    find_run,
    run_option,
    workers_option,
)

_log = get_logger("trainer.command")


@click.command("eval")
@run_option
@checkpoint_option
@click.option("--dataset", default=None, help="benchmark to rank in; by default the run's own")
@click.option("--data-root", type=click.Path(path_type=Path), default=None, help="its folder; by default the run's own")
@click.option("--split", type=click.Choice(["test", "validation"]), default="test", help="whose people")
@click.option("--rerank", is_flag=True, help="k-reciprocal re-ranking")
@click.option("--flip", is_flag=True, help="mean feature of a photo and its mirror image")
@click.option("--draws", type=click.Path(path_type=Path), default=None, help="file of single-shot galleries to use")
@click.option("--save-draws", type=click.Path(path_type=Path), default=None, help="write the galleries drawn to a file")
@device_option
@workers_option
def evaluate(
    name: str | None,
    checkpoint: str,
    dataset: str | None,
    data_root: Path | None,
    split: str,
    rerank: bool,
    flip: bool,
    draws: Path | None,
    save_draws: Path | None,
    device: str,
    workers: int | None,
) -> None:
    """Rank a benchmark's galleries with a run's encoder: CMC, mAP and mINP in each setting, also to results.json."""
    from data import open_benchmark
    from data.runtime.places import dataset_root
    from trainer import ranking
    from trainer.encoder import restore_encoder

    run = find_run(name)
    config, facts = run.config, run.facts
    own = data_root or (run.place if dataset in (None, facts["dataset"]) else None)
    dataset = dataset or str(facts["dataset"])
    benchmark = open_benchmark(dataset, dataset_root(dataset, own))
    if save_draws:
        ranking.save_draws(save_draws, benchmark)
    place = find_device(device)
    content = run.checkpoint(checkpoint)
    _log.info(f"{benchmark.name} in {benchmark.place}")
    encoder, readers = restore_encoder(config, content, place), count_workers(workers, place)
    given = ranking.load_draws(draws, benchmark) if draws else None
    origin = ranking.find_origin(facts, benchmark, checkpoint, content["epoch"], encoder.digest)
    measurement = ranking.Measurement(split, rerank, flip, origin, given)
    results = ranking.evaluate_benchmark(
        benchmark, lambda records: encoder.embed([record.path for record in records], readers, flip), measurement
    )
    for protocol, why in ranking.unmeasured(benchmark, measurement).items():
        _log.warning(f"{protocol} is left out: {why}")
    told = ", told who is who" if facts.get("taught_by") == "names" else ""
    _log.info(f"run {run.name}, {checkpoint} encoder, after {content['epoch']} of {config.epochs} epochs{told}")
    click.echo(ranking.format_results(results))
    # Printed before: a file that cannot be written costs no numbers.
    path = run.folder / "results.json"
    ranking.add_results(path, results)
    _log.info(f"written to {path}")
