"""Presets: settings by name, as differences from the paper's."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    # Found by trying: a small encoder that learns walkers in minutes on two cores.
    "walkers": {
        "backbone": "small",
        "backbone_weights": "none",
        "height": 64,
        "width": 32,
        "k1": 15,
        "k2": 4,
        "eps": 0.5,
        "consistency_from": 6,
        "lr": 1e-3,
        "warmup": 0,
        "camera_means": True,
        "epochs": 48,
        "iterations": 50,
        "precision": "bfloat16",
    },
    # Tried on rendered 3-D people in photographed places, at half the size in five seeds: see docs/results.md.
    "people": {
        "backbone": "small",
        "backbone_weights": "none",
        "height": 128,
        "width": 64,
        "sampling": "average",
        "temperature": 0.1,
        "backgrounds": 0.8,
        "labeller": True,
        "labeller_epochs": 20,
        "camera_means": True,
        "camera_negatives": True,
        "k1": 15,
        "k2": 4,
        "eps": 0.5,
        "consistency_from": 21,
        "lr": 1e-3,
        "warmup": 0,
        "epochs": 50,
        "iterations": 50,
        "precision": "bfloat16",
    },
}
"""The defaults of `trainer.config.Config` are the paper's; a data set's preset has the data set's name."""
