"""The choice of an annotator: what a dataset has of its own, files, models that are named, else what is built in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from data.annotation import FOLDER
from data.runtime.errors import InputError
from data.runtime.logs import get_logger
from pipeline.annotate.annotator import (
    Annotator,
    KeptAnnotations,
    PairedAnnotator,
    ParsingSource,
    PoseSource,
    StoredAnnotations,
)
from pipeline.annotate.blazepose import BlazePose
from pipeline.annotate.files import KeypointsCsv, OpenPoseFolder, ParsingFolder, open_keypoints
from pipeline.annotate.label_spaces import LABEL_SPACES
from pipeline.annotate.models import PARSING_MODEL, POSE_MODEL, SegformerParsing, VitPose
from pipeline.annotate.parser import BuiltInAnnotator, BuiltInParsing

_log = get_logger(__name__)


def choose_annotator(
    root: Path,
    kept: Path,
    *,
    parsing: Path | None = None,
    keypoints: Path | None = None,
    labels: str | None = None,
    parsing_model: str | None = None,
    pose_model: str | None = None,
    device: str = "cpu",
    names: Callable[[], Sequence[str]] = tuple,
) -> Annotator:
    """The annotator for a dataset.

    With no choice made, the annotations that the dataset has of its own serve. Else pose and parsing each come from the
    files given, else from the model named, else from what is built in: BlazePose, and a small parser that sees its
    outline and joints. What is on the network never changes the choice.

    Args:
        root: the dataset's folder.
        kept: folder that keeps what models find, so that a photo is annotated once.
        parsing: folder of parsing PNGs.
        keypoints: folder of OpenPose JSON files, or a CSV file.
        labels: label space of the PNGs, which must be said, or of the parsing model, by default "atr".
        parsing_model: name or folder of a semantic segmentation model.
        pose_model: name or folder of a ViTPose model.
        device: where models run.
        names: gives the photos' names, to each of which files must belong unmistakably; called only where there are
            files, as a million names are a hundred megabytes.

    Raises:
        InputError: contradicting choices, something given that cannot be used, or files that belong to no photo or to
            several.
    """
    if (parsing and parsing_model) or (keypoints and pose_model):
        raise InputError("files and a model for the same thing: give either of them")
    if not any((parsing, keypoints, parsing_model, pose_model)) and (root / FOLDER).is_dir():
        stored = StoredAnnotations(root)
        if listed := names():
            stored.check(listed)
        return stored
    if parsing and labels is None:
        raise InputError(f"{parsing}: say which labels its PNGs have: {', '.join(LABEL_SPACES)}")
    if labels and not (parsing or parsing_model):
        raise InputError(f"labels {labels}: they say what --parsing or --parsing-model gives: give one of these")
    if not (keypoints or pose_model):
        _log.info("pose: BlazePose, which is built in; a larger model: --pose-model %s", POSE_MODEL)
    if not (parsing or parsing_model):
        _log.info("parsing: a small network, which is built in; a larger model: --parsing-model %s", PARSING_MODEL)
    if not any((parsing, keypoints, parsing_model, pose_model)):
        return KeptAnnotations(BuiltInAnnotator(), kept)
    pose_source: PoseSource
    if keypoints is None:
        pose_source = VitPose(pose_model, device=device) if pose_model else BlazePose()
    else:
        pose_source = open_keypoints(keypoints)
    parsing_source: ParsingSource
    if parsing:
        parsing_source = ParsingFolder(parsing, labels or "")
    elif parsing_model:
        parsing_source = SegformerParsing(parsing_model, labels or "atr", device)
    else:
        parsing_source = BuiltInParsing()
    for source in (pose_source, parsing_source):
        if isinstance(source, OpenPoseFolder | KeypointsCsv | ParsingFolder) and (listed := names()):
            source.check(listed)
    annotator = PairedAnnotator(pose_source, parsing_source)
    return annotator if parsing and keypoints else KeptAnnotations(annotator, kept)
