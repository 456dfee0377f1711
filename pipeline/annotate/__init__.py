"""Annotation: where each photo's pose and parsing come from, and whether they belong to it.

The networks, which take a while to load, stay in their modules: `blazepose`, `parser`, `models`; `choose` brings all
together.
"""

from pipeline.annotate.agreement import check_agreement
from pipeline.annotate.annotator import (
    Annotator,
    KeptAnnotations,
    NoAnnotation,
    PairedAnnotator,
    ParsingSource,
    PoseSource,
    StoredAnnotations,
)
from pipeline.annotate.files import KeypointsCsv, OpenPoseFolder, ParsingFolder
from pipeline.annotate.label_spaces import LABEL_SPACES, to_regions
from pipeline.annotate.people import People, find_people, read_people

__all__ = [
    "LABEL_SPACES",
    "Annotator",
    "KeptAnnotations",
    "KeypointsCsv",
    "NoAnnotation",
    "OpenPoseFolder",
    "PairedAnnotator",
    "ParsingFolder",
    "ParsingSource",
    "People",
    "PoseSource",
    "StoredAnnotations",
    "check_agreement",
    "find_people",
    "read_people",
    "to_regions",
]
