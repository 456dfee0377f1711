"""LOMO with KISSME or XQDA: hand-made features and a metric in closed form; nothing is trained by steps.

Features: `trainer.encoder.networks.lomo` (Liao et al., CVPR 2015; the authors' MATLAB is at
github.com/zhunzhong07/person-re-ranking, evaluation/LOMO_XQDA). Metrics: `trainer.supervised.methods.metric`.
"""

from __future__ import annotations

import numpy as np
import torch

from data.runtime.errors import InputError
from trainer.baselines import BaselineConfig
from trainer.batches import read_photos
from trainer.encoder import Encoder, make_lomo
from trainer.encoder.networks.lomo import lomo
from trainer.supervised.labels import LabelledPhotos
from trainer.supervised.methods.metric import kissme, xqda

_FAR = 16.0
"""Radius of the sphere of features, times the largest of the training: distances are right to half a per cent."""
_METRICS = {"lomo-kissme": kissme, "lomo-xqda": xqda}


@torch.no_grad()
def fit_lomo(config: BaselineConfig, photos: LabelledPhotos, device: torch.device, workers: int) -> Encoder:
    """Give the encoder of LOMO with the metric that was learnt from photos and their people.

    Raises:
        InputError: a photo cannot be read, or nobody has two.
    """
    if np.bincount(photos.people).max() < 2:
        raise InputError("nobody has two training photos: a metric learns from pairs of one person")
    batches = read_photos(photos.paths, (config.height, config.width), workers)
    made = [lomo((batch.to(device) / 255).permute(0, 3, 1, 2)).cpu() for batch in batches]
    features = torch.cat(made).double().numpy()
    projection = _METRICS[config.method](features, photos.people)
    encoder = make_lomo(config, 1 + len(projection))
    mean = features.mean(0)
    largest = np.linalg.norm((features - mean) @ projection.T, axis=1).max()
    encoder.body.load_state_dict(
        {
            "mean": torch.from_numpy(mean),
            "projection": torch.from_numpy(projection),
            "radius": torch.tensor([_FAR * largest]),
        }
    )
    return encoder.to(device).eval()
