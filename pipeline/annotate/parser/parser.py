"""The annotator that is built in: joints and outline by BlazePose, regions by a small network of our own."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from scipy import ndimage

from data.annotation import MIRRORED_JOINTS, Annotation, Region, pose_maps
from data.photo import Photo
from data.runtime.errors import InputError
from pipeline.annotate.annotator import usable
from pipeline.annotate.blazepose import BlazePose, Sighting
from pipeline.annotate.parser.network import HEIGHT, WIDTH, ParsingNetwork
from pipeline.loaded import PROCESS
from pipeline.person_frame import Frame

WEIGHTS = Path(__file__).parent / "parser.safetensors"

_SPECK = 0.02  # of the person: what hangs together and is smaller is no part of it
_NOT_IN_FRAME = -1e4


class Parser:
    """Gives a person whom BlazePose found their regions; loaded when it is first asked.

    Args:
        weights: the network's file, as `save_parser` writes it.
    """

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self.weights = weights

    @cached_property
    def digest(self) -> str:
        """Of the network's file, and of how it is asked."""
        return hashlib.sha256(b"both ways" + self.weights.read_bytes()).hexdigest()

    def __call__(
        self, photos: Sequence[npt.NDArray[np.uint8]], people: Sequence[Sighting]
    ) -> list[npt.NDArray[np.uint8]]:
        """Parse photos (H, W, 3), of any sizes, of the people seen in them: uint8 (H, W) each, labels 0 to 7."""
        if not photos:
            return []
        frames = [Frame.around(person.mask) for person in people]
        images, masks, joints = [], [], []
        for photo, person, frame in zip(photos, people, frames, strict=True):
            images.append(frame.see(photo, HEIGHT, WIDTH))
            masks.append(frame.see(person.mask, HEIGHT, WIDTH))
            joints.append(frame.joints(person.joints, HEIGHT, WIDTH))
        with torch.inference_mode():
            logits = _both_ways(
                self._network,
                torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255,
                torch.from_numpy(np.stack(masks)).unsqueeze(1),
                torch.from_numpy(pose_maps(np.stack(joints), HEIGHT, WIDTH)),
            ).numpy()
        return [_regions(seen, frame, photo) for seen, frame, photo in zip(logits, frames, photos, strict=True)]

    def all(self, photos: Sequence[Photo], seen: Sequence[Sighting | None]) -> list[npt.NDArray[np.uint8] | None]:
        """Parse the photos in which somebody was seen; None for the others."""
        found = [(photo.pixels, person) for photo, person in zip(photos, seen, strict=True) if person is not None]
        parsings = iter(self([pixels for pixels, _ in found], [person for _, person in found]))
        return [None if person is None else next(parsings) for person in seen]

    @property
    def _network(self) -> ParsingNetwork:
        return PROCESS.get("built-in parser", self.weights, lambda: load_parser(self.weights))


class BuiltInParsing:
    """The parser as a `ParsingSource`, for photos whose joints come from elsewhere: BlazePose finds it the outline."""

    def __init__(self, pose: BlazePose | None = None, parser: Parser | None = None) -> None:
        self.pose = pose or BlazePose()
        self.parser = parser or Parser()

    @property
    def origin(self) -> str:
        """What it is."""
        return "the built-in parser"

    @property
    def digest(self) -> str:
        """Of both networks and all settings."""
        return hashlib.sha256(f"built-in parsing {self.pose.digest} {self.parser.digest}".encode()).hexdigest()

    def __call__(self, photos: Sequence[Photo]) -> list[npt.NDArray[np.uint8] | None]:
        """Parse photos; None where nobody stands in the middle."""
        return self.parser.all(photos, [self.pose.see(photo.pixels) for photo in photos])


class BuiltInAnnotator:
    """Pose and parsing without files and without a model hub: BlazePose, then the parser.

    Of several people the one in the middle counts, by BlazePose's rule.
    """

    def __init__(self, pose: BlazePose | None = None, parser: Parser | None = None) -> None:
        self.pose = pose or BlazePose()
        self.parser = parser or Parser()

    @property
    def origin(self) -> str:
        """What they are."""
        return "pose from BlazePose and parsing from the built-in parser"

    @property
    def digest(self) -> str:
        """Of both networks and all settings."""
        return hashlib.sha256(f"built-in {self.pose.digest} {self.parser.digest}".encode()).hexdigest()

    def __call__(self, photos: Sequence[Photo]) -> list[Annotation | None]:
        """Annotate photos; None where nobody stands in the middle, or hardly any clothes are to be seen."""
        seen = [self.pose.see(photo.pixels) for photo in photos]
        return [
            None if person is None or parsing is None else usable(Annotation(person.joints, parsing))
            for person, parsing in zip(seen, self.parser.all(photos, seen), strict=True)
        ]


def save_parser(network: ParsingNetwork, path: Path) -> None:
    """Write a network as safetensors: weights in half precision, vectors in float32."""
    state = {
        name: (value.half() if value.dim() > 1 else value).detach().contiguous()
        for name, value in network.state_dict().items()
    }
    path.write_bytes(safetensors.torch.save(state))


def load_parser(path: Path) -> ParsingNetwork:
    """Load what `save_parser` wrote, ready to parse; InputError for a file that is missing or of another network."""
    try:
        state = safetensors.torch.load(path.read_bytes())
        network = ParsingNetwork()
        network.load_state_dict({name: value.float() if value.dim() else value for name, value in state.items()})
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file: give the weights of a parser, or make them by `make parser`"
        ) from error
    except (safetensors.SafetensorError, RuntimeError, pickle.UnpicklingError) as error:
        raise InputError(f"{path}: not the weights of a parser: make them anew by `make parser`") from error
    return network.eval()


def _both_ways(network: ParsingNetwork, image: torch.Tensor, mask: torch.Tensor, pose: torch.Tensor) -> torch.Tensor:
    """Mean log-probabilities (B, 8, H, W) of the regions, by the frames and by their mirror images."""
    straight = network(image, mask, pose).log_softmax(1)
    mirrored = network(image.flip(-1), mask.flip(-1), pose[:, MIRRORED_JOINTS].flip(-1)).log_softmax(1)
    return (straight + mirrored.flip(-1)) / 2


def _regions(logits: npt.NDArray[np.float32], frame: Frame, photo: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Labels on the photo from log-probabilities (8, height, width) in the frame; specks are background."""
    rows, columns = photo.shape[:2]
    best, labels = frame.back(logits[Region.BACKGROUND], rows, columns, 0.0), np.zeros((rows, columns), np.uint8)
    # One after the other: all at once are 0.8 GB for a photo of 12 megapixels.
    for region, values in enumerate(logits[1:], start=1):
        laid = frame.back(values, rows, columns, _NOT_IN_FRAME)
        labels[laid > best] = region
        best = np.maximum(best, laid)
    pieces, _ = ndimage.label(labels > 0, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())
    speck = sizes < _SPECK * sizes[1:].sum()
    labels[speck[pieces]] = Region.BACKGROUND
    return labels
