"""What a camera does to a picture of a walker: viewpoint, framing, light, backdrop, blur and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

_BACKDROP = (256, 512)  # height and width of a camera's whole backdrop
_WINDOW = (224, 112)  # what one photo shows of it


@dataclass(frozen=True)
class Camera:
    """A fixed camera: its colours, its sharpness, its place, and from which sides it sees people."""

    name: str
    tint: tuple[float, float, float]
    brightness: float
    gamma: float
    blur: float  # pixels at a height of 256
    noise: float  # standard deviation, of 255
    backdrop: int  # seed
    views: tuple[int, ...]  # degrees a person is turned; 0 is from the front
    textured: bool = False  # whether the place is full of contrast


CAMERAS = {
    camera.name: camera
    for camera in (
        Camera("A", (1.0, 0.99, 0.97), 1.0, 1.0, 0.3, 4, 11, (-30, 0, 30)),
        Camera("B", (0.95, 1.0, 1.035), 0.93, 1.06, 0.8, 6, 22, (-60, -30, 0, 30)),
        Camera("C", (1.05, 1.0, 0.93), 1.05, 0.95, 0.6, 5, 33, (60, 30, 0, -30, 180)),
    )
}

PLACES = {name: replace(camera, textured=True) for name, camera in CAMERAS.items()}
"""The same cameras in places of bricks, windows and posters, which an encoder can take for the person."""


@dataclass(frozen=True)
class Shot:
    """One photo's circumstances: everything in it but the person and the clothes."""

    camera: Camera
    yaw: float  # radians the person is turned; 0 faces the camera
    phase: float  # of the gait, radians
    swing: float  # of the gait, 0 to 1
    shift: tuple[float, float]  # of the person in the frame, right and down, as a share of the height
    zoom: float
    window: tuple[float, float]  # where the backdrop is seen, 0 to 1
    brightness: float
    tint: tuple[float, float, float]
    gradient: float  # of the light from left to right
    blur: float  # relative to the camera's
    noise: int  # seed


def draw_shot(rng: np.random.Generator, camera: Camera) -> Shot:
    """The circumstances of a photo by `camera`, drawn at random."""
    return Shot(
        camera=camera,
        yaw=math.radians(camera.views[int(rng.integers(len(camera.views)))] + rng.normal(0, 18)),
        phase=rng.uniform(0, 2 * math.pi),
        swing=rng.uniform(0.58, 1.0),
        shift=(rng.normal(0, 0.0084), rng.normal(0, 0.006)),
        zoom=float(np.clip(rng.normal(1, 0.018), 0.93, 1.07)),
        window=(rng.uniform(0.44, 0.56), rng.uniform(0.44, 0.56)),
        brightness=rng.normal(1, 0.042),
        tint=(rng.normal(1, 0.015), rng.normal(1, 0.015), rng.normal(1, 0.015)),
        gradient=rng.normal(0, 0.06),
        blur=rng.uniform(0.6, 1.4),
        noise=int(rng.integers(1 << 31)),
    )


def backdrop(shot: Shot, height: int, width: int, enlarged: int) -> Image.Image:
    """What `shot` shows behind the person, RGB: `height` x `width`, each pixel then enlarged that many times."""
    draw = _textured_backdrop if shot.camera.textured else _plain_backdrop
    whole = draw(shot.camera.backdrop)
    left = round(shot.window[0] * (_BACKDROP[1] - _WINDOW[1]))
    top = round(shot.window[1] * (_BACKDROP[0] - _WINDOW[0]))
    box = (left, top, left + _WINDOW[1], top + _WINDOW[0])
    seen = whole.resize((width, height), Image.Resampling.BILINEAR, box=box)
    return seen.resize((width * enlarged, height * enlarged), Image.Resampling.NEAREST)


def expose(picture: Image.Image, shot: Shot) -> npt.NDArray[np.uint8]:
    """The photo that the camera makes of a clean RGB `picture`: blur, gamma, light, noise. Returns uint8 (H, W, 3)."""
    camera = shot.camera
    radius = camera.blur * shot.blur * picture.height / 256
    light = np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255
    gain = np.array(camera.tint) * np.array(shot.tint) * camera.brightness * shot.brightness
    fall_off = 1 + shot.gradient * np.linspace(-1, 1, picture.width)
    light = light**camera.gamma * (fall_off[None, :, None] * gain).astype(np.float32) * 255
    grain = np.random.default_rng(shot.noise).standard_normal(light.shape, dtype=np.float32)
    return (light + grain * camera.noise).clip(0, 255).astype(np.uint8)


@cache
def _plain_backdrop(seed: int) -> Image.Image:
    """A wall with faint clouds and panels, and a floor. Low in contrast: a busy one is learnt for the person."""
    rng = np.random.default_rng(seed)
    height, width = _BACKDROP
    base = rng.uniform(110, 180) + rng.normal(0, 12, 3)
    wall = np.broadcast_to(base, (height, width, 3)).copy()
    for cells in (4, 8, 16, 32):
        coarse = rng.normal(0, 1, (cells // 2 + 1, cells + 1, 1)) + rng.normal(0, 0.6, (cells // 2 + 1, cells + 1, 3))
        channels = [
            Image.fromarray(coarse[..., channel].astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
            for channel in range(3)
        ]
        wall = wall + np.stack([np.asarray(channel) for channel in channels], axis=-1) * (7 / math.sqrt(cells / 4))
    picture = Image.fromarray(wall.clip(0, 255).astype(np.uint8))
    pencil = ImageDraw.Draw(picture)
    for _ in range(14):
        left, top = int(rng.integers(0, width)), int(rng.integers(0, height * 2 // 3))
        right, bottom = left + int(rng.integers(15, 70)), top + int(rng.integers(20, 110))
        red, green, blue = (base + rng.normal(0, 12, 3)).clip(0, 255).astype(int).tolist()
        pencil.rectangle((left, top, right, bottom), fill=(red, green, blue))
    scene = np.asarray(picture, dtype=np.float32).copy()
    horizon = int(height * 0.72)
    floor = rng.uniform(80, 160) + rng.normal(0, 10, 3)
    scene[horizon:] = scene[horizon:] * 0.35 + floor.astype(np.float32) * 0.65
    return Image.fromarray(scene.clip(0, 255).astype(np.uint8))


@cache
def _textured_backdrop(seed: int) -> Image.Image:
    """A wall of bricks with windows and striped posters, and a floor of tiles, all in strong colours."""
    rng = np.random.default_rng(seed)
    height, width = _BACKDROP
    horizon = int(height * 0.72)
    wall, mortar, floor, grout = (_strong(rng) for _ in range(4))
    picture = Image.new("RGB", (width, height), wall)
    pencil = ImageDraw.Draw(picture)
    course, brick = int(rng.integers(9, 16)), int(rng.integers(22, 36))
    for row, top in enumerate(range(0, horizon, course)):
        pencil.line((0, top, width, top), fill=mortar, width=2)
        for left in range(-(row % 2) * brick // 2, width, brick):
            pencil.line((left, top, left, top + course), fill=mortar, width=2)
    for left in range(int(rng.integers(0, 20)), width, 64):
        tall, wide = int(rng.integers(40, 110)), int(rng.integers(22, 50))
        top = int(rng.integers(10, horizon - tall))
        pencil.rectangle((left, top, left + wide, top + tall), fill=_strong(rng))
        stripe, step = _strong(rng), int(rng.integers(6, 14))
        for line in range(top + step // 2, top + tall, step):
            pencil.rectangle((left, line, left + wide, line + step // 3), fill=stripe)
    pencil.rectangle((0, horizon, width, height), fill=floor)
    tile = int(rng.integers(16, 30))
    for row, top in enumerate(range(horizon, height, tile)):
        for left in range((row % 2) * tile, width, 2 * tile):
            pencil.rectangle((left, top, left + tile, top + tile), fill=grout)
    return picture


def _strong(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(20, 236, 3).tolist()
    return red, green, blue
