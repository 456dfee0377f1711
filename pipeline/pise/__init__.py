"""PISE: the generator that redraws a photo in another outfit."""

from pipeline.pise.checkpoint import load_generator, save_generator
from pipeline.pise.model.generator import KINDS, POSE_TRANSFER, TEXTURE_TRANSFER, Generator
from pipeline.pise.model.style import Style

__all__ = ["KINDS", "POSE_TRANSFER", "TEXTURE_TRANSFER", "Generator", "Style", "load_generator", "save_generator"]
