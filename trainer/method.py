"""The method in names and numbers: the paper's values and the named choices, each in one place, without torch."""

from __future__ import annotations

from typing import Literal

K1 = 30
"""Neighbours by which the Jaccard distance is measured, the photo itself counted."""
K2 = 6
"""Neighbours over whose weights the query expansion of the Jaccard distance takes the mean; 1 takes none."""
EPS = 0.4
"""Radius of DBSCAN in Jaccard distance."""
MIN_SAMPLES = 4
"""Photos within the radius, itself counted, that make a core point of DBSCAN: the paper's M."""

SEARCHES = ("exact", "approximate")
"""How neighbours are sought."""

TEMPERATURE = 0.05
"""Temperature of InfoNCE (eq. 8)."""
DISTRIBUTION_TEMPERATURE = 0.1
"""Temperature at which a feature is read as a distribution; at 1, as printed (eq. 9), its numbers come out alike."""

Update = Literal["instance", "average", "hardest", "hardest-cosine"]
"""How a memory moves: the names are explained at `trainer.memory.ClusterMemory`."""

UPDATES: dict[str, tuple[Update, ...]] = {
    "none": ("instance",),
    "average": ("average",),
    "hardest": ("hardest",),
    "both": ("average", "hardest"),
}
"""The memories of each sampling, by how they move: one that is not here cannot be chosen."""

PRECISIONS = ("float32", "bfloat16")
"""Number formats of the encoder's forward pass."""
