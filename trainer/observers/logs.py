"""Logs of a run: a line an epoch, a progress bar on a terminal, and metrics.jsonl."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from data.runtime.files import write_lines
from data.runtime.logs import get_logger
from trainer.config import Config
from trainer.encoder import Encoder
from trainer.observers.boards import Board
from trainer.observers.judge import CAMERAS, Judge
from trainer.runs import Run

_log = get_logger(__name__)

_NOTICED = 0.1
"""Agreement of clusters with cameras that is said: chance gives 0, and rarely more than a few hundredths."""


class RunLog:
    """The observer of a training: prints, writes metrics.jsonl, feeds the boards, and lets the judge, if any, rate."""

    def __init__(self, run: Run, config: Config, judge: Judge | None, boards: Sequence[Board] = ()) -> None:
        self.run, self.config, self.judge, self.boards = run, config, judge, boards
        self._bar: tqdm[Any] | None = None

    def say(self, line: str) -> None:
        """Log a line."""
        _log.info(line)

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
        """Let the judge rate pseudo labels."""
        return self.judge.clusters(labels) if self.judge else {}

    def validate(self, encoder: Encoder) -> dict[str, float]:
        """Let the judge rate an encoder."""
        return self.judge.validate(encoder) if self.judge else {}

    def epoch(self, history: list[dict[str, float]], labels: np.ndarray) -> None:
        """Write the record of all epochs so far, print the last one's, and show its clusters on the boards."""
        write_lines(self.run.folder / "metrics.jsonl", [json.dumps(record) for record in history])
        for board in self.boards:
            board.show(history[-1], labels)
        _log.info(epoch_line(history[-1], self.config))


def epoch_line(record: dict[str, float], config: Config) -> str:
    """Tell an epoch in a line: loss and its parts, clusters, their quality where labels are known, and times."""
    parts = [
        f"epoch {record['epoch']:.0f}/{config.epochs}",
        f"loss {record['loss']:.3f} (L_q {record['L_q']:.3f}, L_s {record['L_s']:.3f})",
        f"{record['clusters']:.0f} clusters, {record['outliers']:.0f} outliers, largest {record['largest']:.0f},"
        f" eps {record['eps']:g}",
    ]
    if "ARI" in record:
        parts.append(f"ARI {record['ARI']:.2f}, NMI {record['NMI']:.2f}, purity {record['purity']:.2f}")
    if record.get(CAMERAS, 0.0) > _NOTICED:
        parts.append(f"clusters go with cameras, AMI {record[CAMERAS]:.2f}")
    if "score" in record:
        parts.append(f"validation mAP {record['score']:.1f}")
    data, step = 1000 * record["data_seconds"], 1000 * record["step_seconds"]
    parts.append(f"clustering {record['cluster_seconds']:.1f} s, step {step:.0f} ms of which data {data:.0f} ms")
    return "  |  ".join(parts)
