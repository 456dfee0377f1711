"""Settings: how a generator is fitted, to rendered people or to photos."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from data.runtime.errors import InputError

# The coarse steps are taken at half the size, which must be a multiple of 16 too.
_MULTIPLE = 32


@dataclass(frozen=True)
class PiseSettings:
    """How a generator is fitted: by L1, `clothes_weight` times as heavy on the clothes, and an adversarial loss.

    The first `coarse_steps` are taken at half the size, four times as fast; the discriminator comes in after them. From
    step `chroma_from` on, what colours differ in besides lightness weighs `chroma_weight` more: by then shapes and
    lightness are there, while hues, by far the smaller part of the error, would take much longer. The values were found
    by trying on rendered people: they are those of the weights that come with the project.
    """

    channels: int = 16
    height: int = 128
    width: int = 64
    scenes: int = 6000
    steps: int = 12000
    coarse_steps: int = 5000
    batch: int = 10
    learning_rate: float = 8e-4
    clothes_weight: float = 3.0
    chroma_weight: float = 3.0
    chroma_from: int = 6500
    adversarial_weight: float = 0.02
    discriminator_channels: int = 24
    average_decay: float = 0.998
    seed: int = 0

    @property
    def reshapes(self) -> bool:
        """Whether the examples have targets whose clothes have another shape than the source's."""
        return True

    @property
    def backdrop(self) -> bool:
        """Whether the examples show people cut out of their pictures, before a backdrop."""
        return False


@dataclass(frozen=True)
class PhotoSettings(PiseSettings):
    """How a generator is fitted to photos; `scenes` is the most of them that are read.

    The weights of content and style are relative to the L1, as those of PISE are. `same_clothes` uses the labels of
    person and clothes. `examples` and `vgg` are digests: which photos and annotations, which VGG weights, if any.
    """

    channels: int = 32
    height: int = 256
    width: int = 128
    steps: int = 20000
    coarse_steps: int = 8000
    chroma_from: int = 10000
    codes_weight: float = 1.0
    content_weight: float = 0.1
    style_weight: float = 40.0
    same_clothes: bool = False
    examples: str = ""
    vgg: str = ""

    @property
    def reshapes(self) -> bool:
        """No: a photo is only ever painted into its own parsing."""
        return False


@dataclass(frozen=True)
class PeopleSettings(PiseSettings):
    """How a generator is fitted to 3-D people before a backdrop; it starts from the walkers' one if that is as wide.

    The last `held_out` people are measured on. `grid_weight`: of what repeats every four pixels.
    """

    steps: int = 9000
    coarse_steps: int = 3150
    chroma_from: int = 3600
    learning_rate: float = 7e-4
    clothes_weight: float = 4.0
    early_chroma_weight: float = 1.0
    grid_weight: float = 0.5
    held_out: int = 12

    @property
    def backdrop(self) -> bool:
        """Yes: people are cut out of their pictures."""
        return True


Settings = TypeVar("Settings", bound=PiseSettings)


def adjust(
    settings: Settings,
    *,
    steps: int | None = None,
    channels: int | None = None,
    batch: int | None = None,
    size: tuple[int, int] | None = None,
    scenes: int | None = None,
    seed: int = 0,
) -> Settings:
    """Put what is given in the place of settings; the shares of coarse steps and of those without hues stay.

    Args:
        settings: where the rest comes from.
        steps: of training.
        channels: of the generator.
        batch: examples a step.
        size: height and width of the pictures.
        scenes: scenes to render, or the most photos to read.
        seed: of all that is drawn.

    Raises:
        InputError: `size` cannot be halved for the coarse steps.
    """
    height, width = size or (settings.height, settings.width)
    if min(height, width) < _MULTIPLE or height % _MULTIPLE or width % _MULTIPLE:
        raise InputError(f"size {height}x{width}: both sides must be multiples of {_MULTIPLE}")
    steps = steps or settings.steps
    return replace(
        settings,
        steps=steps,
        coarse_steps=steps * settings.coarse_steps // settings.steps,
        chroma_from=steps * settings.chroma_from // settings.steps,
        channels=channels or settings.channels,
        batch=batch or settings.batch,
        height=height,
        width=width,
        scenes=scenes or settings.scenes,
        seed=seed,
    )
