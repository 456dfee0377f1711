"""Logs of a run: a line an epoch, a progress bar on a terminal, metrics.jsonl, and TensorBoard or wandb where asked."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
import numpy as np
from torch import nn
from tqdm import tqdm

from trainer.config import Config
from trainer.judge import Judge
from trainer.runs import Run, write_lines


class RunLog:
    """The observer of a training: prints, writes metrics.jsonl, and lets the judge, if there is one, rate."""

    def __init__(self, run: Run, config: Config, judge: Judge | None) -> None:
        self.run, self.config, self.judge = run, config, judge
        self._bar: tqdm[Any] | None = None

    def say(self, line: str) -> None:
        """Print a line."""
        click.echo(line)

    def step(self, done: int, of: int, epoch: int) -> None:
        """Move the progress bar, on a terminal."""
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar = tqdm(total=of, initial=done - 1, desc=f"epoch {epoch}", unit="step", leave=False)
        self._bar.update(done - self._bar.n)
        if done == of:
            self._bar.close()
            self._bar = None

    def clusters(self, labels: np.ndarray) -> dict[str, float]:
        """What the judge says of pseudo labels."""
        return self.judge.clusters(labels) if self.judge else {}

    def validate(self, encoder: nn.Module) -> dict[str, float]:
        """What the judge says of an encoder."""
        return self.judge.validate(encoder) if self.judge else {}

    def epoch(self, history: list[dict[str, float]]) -> None:
        """Write the figures of all epochs so far, and print the last one's."""
        write_lines(self.run.folder / "metrics.jsonl", [json.dumps(figures) for figures in history])
        click.echo(epoch_line(history[-1], self.config))


def epoch_line(figures: dict[str, float], config: Config) -> str:
    """An epoch in a line: loss and its parts, clusters, their quality where labels are known, and times."""
    parts = [
        f"epoch {figures['epoch']:.0f}/{config.epochs}",
        f"loss {figures['loss']:.3f} (L_q {figures['L_q']:.3f}, L_s {figures['L_s']:.3f})",
        f"{figures['clusters']:.0f} clusters, {figures['outliers']:.0f} outliers, largest {figures['largest']:.0f},"
        f" eps {figures['eps']:g}",
    ]
    if "ARI" in figures:
        parts.append(f"ARI {figures['ARI']:.2f}, NMI {figures['NMI']:.2f}, purity {figures['purity']:.2f}")
    if "score" in figures:
        parts.append(f"validation mAP {figures['score']:.1f}")
    data, step = 1000 * figures["data_seconds"], 1000 * figures["step_seconds"]
    parts.append(f"clustering {figures['cluster_seconds']:.1f} s, step {step:.0f} ms of which data {data:.0f} ms")
    return "  |  ".join(parts)
