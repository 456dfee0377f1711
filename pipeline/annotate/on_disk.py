"""Annotations that lie on the disk: a manifest names them, shards have digests of them, and `verify` compares."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from data.annotation import FOLDER
from data.runtime.errors import InputError
from data.runtime.logs import get_logger
from pipeline.annotate.annotator import Annotator, KeptAnnotations, PairedAnnotator, StoredAnnotations
from pipeline.annotate.files import KeypointsCsv, OpenPoseFolder, ParsingFolder, open_keypoints

AnnotationFiles = StoredAnnotations | ParsingFolder | OpenPoseFolder | KeypointsCsv
"""Whatever has a photo's annotation, or half of it, in files."""

_DIGITS = 16

_log = get_logger(__name__)


def files_of(annotator: Annotator) -> list[AnnotationFiles]:
    """Give the files that an annotator goes by, of pose first; none if models do it all."""
    if isinstance(annotator, KeptAnnotations):
        return files_of(annotator.annotator)
    if isinstance(annotator, StoredAnnotations):
        return [annotator]
    sources = (annotator.pose, annotator.parsing) if isinstance(annotator, PairedAnnotator) else ()
    return [source for source in sources if isinstance(source, ParsingFolder | OpenPoseFolder | KeypointsCsv)]


def places_of(annotator: Annotator) -> dict[str, str]:
    """Say where an annotator's files are, by the name of the option that gives them; `comparing` opens them again."""
    places = {}
    for source in files_of(annotator):
        if isinstance(source, StoredAnnotations):
            places["annotation"] = str((source.root / FOLDER).absolute())
        elif isinstance(source, ParsingFolder):
            places |= {"parsing": str(source.folder.absolute()), "labels": source.labels}
        else:
            place = source.file if isinstance(source, KeypointsCsv) else source.folder
            places["keypoints"] = str(place.absolute())
    return places


def _reopen(places: Mapping[str, str]) -> list[AnnotationFiles]:
    """Open what `places_of` named, in the order of `files_of`.

    Raises:
        InputError: something of it is gone, or a CSV cannot be read.
    """
    files: list[AnnotationFiles] = []
    if "annotation" in places:
        files.append(StoredAnnotations(Path(places["annotation"]).parent))
    if "keypoints" in places:
        files.append(open_keypoints(Path(places["keypoints"])))
    if "parsing" in places:
        files.append(ParsingFolder(places["parsing"], places["labels"]))
    return files


def digest_annotation(files: Sequence[AnnotationFiles], name: str) -> str:
    """Digest what files have for the photo of this name: hexadecimal digits for each of them, a space between."""
    return " ".join(hashlib.sha256(source.digest_of(name).encode()).hexdigest()[:_DIGITS] for source in files)


def comparing(places: Mapping[str, str]) -> Callable[[str, str], None] | None:
    """Give what compares a photo's annotation with its digest; None, which is said, if the files are gone.

    Args:
        places: what `places_of` said when `digest_annotation` gave the digests.

    Returns:
        A function of a photo's name and its digest, that raises InputError if the files have something else now.

    Raises:
        InputError: a CSV of key points cannot be read any more.
    """
    gone = [place for option, place in places.items() if option != "labels" and not Path(place).exists()]
    if gone:
        _log.warning("%s: gone, so annotations are not compared with those of the sync", " and ".join(gone))
        return None
    return functools.partial(_compare, _reopen(places)) if places else None


def _compare(files: Sequence[AnnotationFiles], name: str, digest: str) -> None:
    """The comparison; a digest of "" says nothing."""
    now = digest_annotation(files, name)
    if digest and now != digest:
        pairs = zip(files, now.split(), digest.split(), strict=True)
        changed = " and ".join(source.origin for source, one, other in pairs if one != other)
        raise InputError(f"{name}: its annotation has changed since the sync ({changed}): repeat `make sync`")
