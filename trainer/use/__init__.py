"""The encoder in use: features of folders of photos, in files that other programs read."""

from trainer.use.features import write_features

__all__ = ["write_features"]
