"""Pose and parsing from pretrained models of the transformers library: ViTPose, and SegFormer or any such parser."""

from __future__ import annotations

import functools
import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from data.photo import Photo
from data.runtime.errors import InputError
from pipeline.annotate.label_spaces import LABEL_SPACES, to_regions
from pipeline.loaded import PROCESS

PARSING_MODEL = "mattmdjaga/segformer_b2_clothes"
POSE_MODEL = "usyd-community/vitpose-base-simple"

_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
_PATIENCE = 5.0  # seconds
_AT_ONCE = {"cpu": 4, "cuda": 32}

_LEFT_SHOULDER, _RIGHT_SHOULDER = 5, 6
_FROM_COCO = [0, 17, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]
"""Of each of the 18 joints, its place among COCO's 17 with the neck behind them."""


class SegformerParsing:
    """Parsing by a semantic segmentation model for clothes.

    Args:
        name: a name on the Hugging Face hub, or a folder, with weights as safetensors.
        labels: its label space, a name in `LABEL_SPACES`.
        device: where it runs; in half precision on a GPU.

    Raises:
        InputError: transformers is not installed, there is no such model, or it has another number of labels.
    """

    def __init__(self, name: str = PARSING_MODEL, labels: str = "atr", device: str = "cpu") -> None:
        self.name, self.labels, self.device = name, labels, device
        known = LABEL_SPACES.get(labels)
        if known is None:
            raise InputError(f"label space {labels!r} is unknown: choose one of {', '.join(LABEL_SPACES)}")
        number = _transformers().AutoConfig.from_pretrained(_files(name)[0].parent).num_labels
        if number != len(known):
            raise InputError(
                f"{name}: tells {number} labels apart, but {labels!r} has {len(known)}: name its label space"
            )

    @property
    def origin(self) -> str:
        """The model's name and the label space."""
        return f"{self.name} (labels {self.labels})"

    @functools.cached_property
    def digest(self) -> str:
        """Of the model's files and the label space."""
        return _digest(self.name, self.labels)

    def __call__(self, photos: Sequence[Photo]) -> list[npt.NDArray[np.uint8] | None]:
        """Parse a batch of photos, each of which gets a parsing."""
        processor, model = _parser(self.name, self.device)
        parsings: list[npt.NDArray[np.uint8] | None] = []
        for images in _batches(photos, self.device):
            inputs = processor(images=images, return_tensors="pt").to(self.device)
            with torch.inference_mode(), _half(self.device):
                outputs = model(**inputs)
            sizes = [(image.shape[0], image.shape[1]) for image in images]
            pairs = zip(outputs.logits.float(), sizes, strict=True)
            parsings += [to_regions(_likeliest(logits, size).cpu().numpy(), self.labels) for logits, size in pairs]
        return parsings


class VitPose:
    """Joints by a ViTPose model that finds COCO's 17; the neck is the middle of the shoulders.

    Args:
        name: a name on the Hugging Face hub, or a folder, with weights as safetensors.
        threshold: a joint of a lower score (0 to 1) is missing.
        device: where it runs; in half precision on a GPU.

    Raises:
        InputError: transformers is not installed, or there is no such model.
    """

    def __init__(self, name: str = POSE_MODEL, threshold: float = 0.3, device: str = "cpu") -> None:
        self.name, self.threshold, self.device = name, threshold, device
        _files(name)

    @property
    def origin(self) -> str:
        """The model's name."""
        return self.name

    @functools.cached_property
    def digest(self) -> str:
        """Of the model's files and the threshold."""
        return _digest(self.name, str(self.threshold))

    def __call__(self, photos: Sequence[Photo]) -> list[npt.NDArray[np.float32] | None]:
        """Find the joints in a batch of photos; None where none reaches the threshold."""
        processor, model = _poser(self.name, self.device)
        found: list[npt.NDArray[np.float32] | None] = []
        for images in _batches(photos, self.device):
            boxes = [[[0.0, 0.0, float(image.shape[1]), float(image.shape[0])]] for image in images]
            inputs = processor(images=images, boxes=boxes, return_tensors="pt").to(self.device)
            if model.config.backbone_config.num_experts > 1:
                # ViTPose+ has an expert for each data set it was trained on; the first is COCO's.
                inputs["dataset_index"] = torch.zeros(len(images), dtype=torch.long, device=self.device)
            with torch.inference_mode(), _half(self.device):
                outputs = model(**inputs)
            outputs.heatmaps = outputs.heatmaps.float()
            people = processor.post_process_pose_estimation(outputs, boxes=boxes)
            found += [self._joints(person["keypoints"], person["scores"]) for (person,) in people]
        return found

    def _joints(self, points: torch.Tensor, scores: torch.Tensor) -> npt.NDArray[np.float32] | None:
        """Eighteen joints of COCO's 17 (17, 2), given as indices of pixels, and their scores (17,)."""
        coco = points.numpy().astype(np.float32) + np.float32(0.5)
        coco[scores.numpy().reshape(-1) < self.threshold] = np.nan
        neck = (coco[_LEFT_SHOULDER] + coco[_RIGHT_SHOULDER]) / 2
        joints = np.concatenate([coco, neck[None]])[_FROM_COCO]
        return None if np.isnan(joints).all() else joints


def _likeliest(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Labels (height, width) of logits (L, h, w), resized one after the other: all at once are 0.9 GB for 12 MP."""
    best, labels = None, torch.zeros(size, dtype=torch.long, device=logits.device)
    for label, small in enumerate(logits):
        large = functional.interpolate(small[None, None], size, mode="bilinear", align_corners=False)[0, 0]
        if best is None:
            best = large
            continue
        labels[large > best] = label
        best = torch.maximum(best, large)
    return labels


def _parser(name: str, device: str) -> tuple[Any, Any]:
    def load() -> tuple[Any, Any]:
        library, folder = _quiet(_transformers()), _files(name)[0].parent
        model = library.AutoModelForSemanticSegmentation.from_pretrained(folder, use_safetensors=True)
        return library.AutoImageProcessor.from_pretrained(folder), model.eval().to(device)

    return PROCESS.get("parser", (name, device), load)


def _poser(name: str, device: str) -> tuple[Any, Any]:
    def load() -> tuple[Any, Any]:
        library, folder = _quiet(_transformers()), _files(name)[0].parent
        model = library.VitPoseForPoseEstimation.from_pretrained(folder, use_safetensors=True)
        return library.VitPoseImageProcessor.from_pretrained(folder), model.eval().to(device)

    return PROCESS.get("poser", (name, device), load)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise InputError(
            "pose and parsing from models need transformers: pip install 'sync-person-cloud[annotate]', or give files"
        ) from None
    return transformers


def _quiet(library: Any) -> Any:
    """Without its notes and bars on loading from disk, one set a worker; those of a download stay."""
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    return library


@functools.cache
def _files(name: str) -> list[Path]:
    """The files of a model in a folder, kept from before, or fetched from the hub."""
    _transformers()
    try:
        return _find(name, local_files_only=True)
    except OSError as error:
        if Path(name).is_dir():
            raise _no_such_model(name, error) from error
    _check_connection(name)
    try:
        return _find(name, local_files_only=False)
    except OSError as error:
        raise _no_such_model(name, error) from error


def _find(name: str, local_files_only: bool) -> list[Path]:
    from transformers.utils.hub import cached_file

    found = [cached_file(name, file, local_files_only=local_files_only) for file in _FILES]
    if None in found:
        raise FileNotFoundError(f"it lacks {_FILES[found.index(None)]}")
    return [Path(file) for file in found if file]


def _no_such_model(name: str, error: OSError) -> InputError:
    reason = " ".join(str(error).split())[:160]
    return InputError(f"{name}: no such model ({reason}): give a name on the hub, or a folder with its files")


def _check_connection(name: str) -> None:
    """See that the hub answers at all: its own library tries for half a minute, and then doubts the model's name."""
    from huggingface_hub import constants

    reason = "HF_HUB_OFFLINE is set"
    if not constants.HF_HUB_OFFLINE:
        try:
            with urllib.request.urlopen(constants.ENDPOINT, timeout=_PATIENCE):
                return
        except urllib.error.HTTPError:
            return
        except OSError as error:
            reason = str(getattr(error, "reason", error))
    raise InputError(
        f"{name}: not on this machine, and there is no connection to {constants.ENDPOINT} ({reason}): give a folder "
        "with its files, or pose and parsing as --keypoints and --parsing, or leave the model out for what is built in"
    )


def _digest(name: str, setting: str) -> str:
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in _files(name)]
    return hashlib.sha256(" ".join([*digests, setting]).encode()).hexdigest()


def _batches(photos: Sequence[Photo], device: str) -> Iterator[list[npt.NDArray[np.uint8]]]:
    at_once = _AT_ONCE[torch.device(device).type]
    for start in range(0, len(photos), at_once):
        yield [photo.pixels for photo in photos[start : start + at_once]]


def _half(device: str) -> torch.autocast:
    kind = torch.device(device).type
    return torch.autocast(kind, torch.float16 if kind == "cuda" else torch.bfloat16, enabled=kind == "cuda")
