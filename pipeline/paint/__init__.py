"""Painting: photos in, redrawn versions out; what a painter is, and the four that there are."""

from pipeline.paint.ideal import IdealPainter
from pipeline.paint.mixed import MixedPainter
from pipeline.paint.painter import Painter, Redrawn
from pipeline.paint.pise import PisePainter
from pipeline.paint.recolour import RecolourPainter

__all__ = ["IdealPainter", "MixedPainter", "Painter", "PisePainter", "RecolourPainter", "Redrawn"]
