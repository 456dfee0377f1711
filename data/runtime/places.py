"""Places: where everything generated goes, below the current folder, and nowhere else."""

from __future__ import annotations

from pathlib import Path

WORK = Path("work")
DATASETS = WORK / "datasets"
ANNOTATIONS = WORK / "annotations"
STORES = WORK / "sync"
GENERATORS = WORK / "pise"
PARSERS = WORK / "parser"
RUNS = WORK / "runs"
ABLATIONS = WORK / "ablations"
FEATURES = WORK / "features"
SEARCHES = WORK / "search"
REPORTS = WORK / "reports"


def dataset_root(dataset: str, given: Path | None = None) -> Path:
    """The folder that a data set is read from: the one given, or its place below `work/datasets`."""
    return given or DATASETS / dataset
