"""BlazePose: pose and outline of a person by a small network that ships with the project."""

from pipeline.annotate.blazepose.blazepose import BlazePose, Sighting

__all__ = ["BlazePose", "Sighting"]
