"""Painting: photos in, redrawn versions out; what a painter is, and the three that there are."""

from pipeline.paint.ideal import IdealPainter
from pipeline.paint.painter import Painter, Redrawn
from pipeline.paint.pise import PisePainter
from pipeline.paint.recolour import RecolourPainter

__all__ = ["IdealPainter", "Painter", "PisePainter", "RecolourPainter", "Redrawn"]
