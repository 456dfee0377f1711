"""Outfits: the templates whose clothes photos are redrawn in, their choice, and the shape of clothes."""

from pipeline.outfits.choice import TemplateChoice, choose
from pipeline.outfits.shape import Shape, measure_shape, reshape, reshape_each
from pipeline.outfits.templates import Templates

__all__ = ["Shape", "TemplateChoice", "Templates", "choose", "measure_shape", "reshape", "reshape_each"]
