"""The encoder: backbones, their weights, the neck, and features of photo files and of whole stores."""

from trainer.encoder.encoder import Encoded, Encoder, calibrate, describe, make_encoder, make_lomo, restore_encoder
from trainer.encoder.features import encode_store

__all__ = [
    "Encoded",
    "Encoder",
    "calibrate",
    "describe",
    "encode_store",
    "make_encoder",
    "make_lomo",
    "restore_encoder",
]
