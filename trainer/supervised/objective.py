"""Objective: what a supervised method minimises, with the classifiers that training needs and an encoder does not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from data.runtime.errors import InputError
from trainer.encoder import Encoder
from trainer.supervised.batches import Batch, require_annotations
from trainer.supervised.labels import LabelledPhotos


class Objective(nn.Module, ABC):
    """What a method minimises; a method is a subclass that makes its classifiers and gives its losses.

    Args:
        encoder: what is trained.
        photos: what it is trained on, for the number of classes.

    Raises:
        InputError: the method needs labels or annotations that the photos do not have.
    """

    annotated: ClassVar[bool] = False
    """Whether batches need the photos' pose and parsing."""
    clothes: ClassVar[bool] = False
    """Whether it learns from the names of clothes."""

    def __init__(self, encoder: Encoder, photos: LabelledPhotos) -> None:
        super().__init__()
        if self.clothes and photos.clothes is None:
            raise InputError(
                "this method learns from the names of clothes, which the data set does not have of each photo: choose"
                " another METHOD"
            )
        if self.annotated:
            require_annotations(photos)
        self.people = int(photos.people.max()) + 1

    @abstractmethod
    def forward(self, encoder: Encoder, batch: Batch) -> dict[str, Tensor]:
        """Give the losses by name, scalars in float32; their sum is minimised."""

    @staticmethod
    def vectors(encoder: Encoder, images: Tensor) -> Tensor:
        """Give the body's vectors, float32 (B, d), of images; where there is a neck, before it."""
        with encoder.computing():
            vectors: Tensor = encoder.body(images)
        return vectors.float()


def classifier(numbers: int, classes: int, bias: bool = False) -> nn.Linear:
    """Make a linear classifier that begins almost without an opinion."""
    linear = nn.Linear(numbers, classes, bias=bias)
    nn.init.normal_(linear.weight, std=0.001)
    if bias:
        nn.init.zeros_(linear.bias)
    return linear


class CosineClassifier(nn.Module):
    """Logits that are cosines between a vector and the classes' weights, times a scale (Wang et al., NormFace, 2017).

    Args:
        numbers: of a vector.
        classes: how many there are.
        scale: of the cosines.
    """

    def __init__(self, numbers: int, classes: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, numbers))
        nn.init.normal_(self.weight, std=0.001)
        self.scale = scale

    def forward(self, vectors: Tensor, fixed: bool = False) -> Tensor:
        """Give logits (B, classes); where `fixed`, no gradient goes to the weights."""
        weight = self.weight.detach() if fixed else self.weight
        normalize = nn.functional.normalize
        return self.scale * normalize(vectors) @ normalize(weight).T
