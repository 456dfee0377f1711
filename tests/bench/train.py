"""How fast the trainer reads and steps: beside a loader of JPEGs, a plain step, and a generator in the loop."""

from __future__ import annotations

import dataclasses
import io
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms import v2

from data.runtime.allocator import keep_freed_memory
from data.shards import Groups, Manifest, SyncStore, write_manifest, writing_shard
from trainer.batches import Input, augment, make_views, plan_epoch, read_groups, read_with_masks
from trainer.config import Config, make_config
from trainer.encoder import Encoder, make_encoder
from trainer.loop import Trainer
from trainer.observers import Silence
from trainer.presets import PRESETS
from trainer.randomness import Purpose, stream
from trainer.runs import Run

CLUSTERS = 64


@click.command()
@click.option("--preset", type=click.Choice(list(PRESETS)), default="walkers", show_default=True, help="settings")
@click.option("--backbone", default=None, help="another backbone than the preset's")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default=None, help="of our step")
@click.option("--device", default="cuda" if torch.cuda.is_available() else "cpu", show_default=True)
@click.option("--photos", default=128, show_default=True, help="photos in the shards that are made for it")
@click.option("--steps", default=30, show_default=True, help="steps timed, ours and the plain one's in turn")
@click.option("--workers", default=0, show_default=True, help="processes that read ahead")
@click.option("--compile/--no-compile", "compiled", default=False, help="torch.compile our step's encoder")
@click.option(
    "--generator",
    "redrawing",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="what a redrawn picture takes on this machine: bench-sync's --output",
)
def main(
    preset: str,
    backbone: str | None,
    precision: str | None,
    device: str,
    photos: int,
    steps: int,
    workers: int,
    compiled: bool,
    redrawing: Path | None,
) -> None:
    """Time the trainer's parts on shards of random blots, in one run; medians and peak memory are printed."""
    keep_freed_memory()
    given = {"backbone": backbone, "precision": precision, "backbone_weights": "none"}
    config = make_config(
        preset, {name: value for name, value in given.items() if value}, {"consistency_from": 1, "compile": compiled}
    )
    place = torch.device(device)
    size = (config.height, config.width)
    images = config.batch_clusters * config.batch_photos * config.images
    click.echo(
        f"{config.backbone}{', compiled' * compiled}, {images} images of {size[0]}x{size[1]} a step, "
        f"{config.precision}, "
        f"{_name(place)}, {torch.get_num_threads()} threads"
    )
    with tempfile.TemporaryDirectory() as folder:
        store, jpegs = _make_data(Path(folder), config, photos)
        labels = np.arange(photos) % CLUSTERS
        _bench_loaders(store, jpegs, config, labels, steps)
        seconds = _bench_steps(store, config, labels, place, steps, workers)
        _bench_backgrounds(store, config, place, steps, seconds)
    if redrawing:
        _tell_generator(json.loads(redrawing.read_text()), images - images // config.images, seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    click.echo(f"peak memory of this process: {peak:,.0f} MiB")


def _tell_generator(measured: dict[str, Any], redrawn: int, step: float) -> None:
    """What a step of so many seconds would take with the generator in the loop, by what bench-sync measured of it."""
    height, width = measured["size"]
    click.echo(f"\na generator in the loop (Algorithm 1 as printed): {redrawn} pictures redrawn in every step,")
    click.echo(f"of width {measured['width']} at {height}x{width}, {measured['device']}, {measured['threads']} threads")
    for way in measured["ways"]:
        inside = redrawn * way["seconds"]
        click.echo(f"  {way['way']:<41}{inside * 1e3:>10,.0f} ms more  {(inside + step) / step:.1f}x the step's time")


def _bench_loaders(store: SyncStore, jpegs: list[list[bytes]], config: Config, labels: np.ndarray, steps: int) -> None:
    """Images a second of one process: a group read and augmented in batch, against a decode and transforms an image."""
    plan = plan_epoch(labels, config.batch_clusters, config.batch_photos, steps, stream(0, Purpose.PLAN)).reshape(
        steps, -1
    )
    taken = Input((config.height, config.width))
    transforms = v2.Compose(
        [
            v2.PILToTensor(),
            v2.Resize([round(side * config.crop) for side in taken.size], antialias=True),
            v2.RandomCrop(taken.size),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(taken.mean, taken.std),
        ]
    )

    def read() -> Tensor:
        return next(iter(read_groups(store, [plan[0]], config.images)))

    groups = read()
    draws = np.random.default_rng(0).random((groups.shape[0] * groups.shape[1], 3))

    def ours() -> None:
        augment(read().flatten(0, 1), torch.from_numpy(draws), taken, config.crop, config.flip)

    def plain() -> None:
        for photo in plan[0]:
            for data in jpegs[photo][: config.images]:
                transforms(Image.open(io.BytesIO(data)).convert("RGB"))

    read_s, ours_s, plain_s = _in_turn([read, ours, plain], steps)
    count = draws.shape[0]
    click.echo("\nloader, images a second of CPU time (one process)")
    click.echo(f"  JPEG, Pillow, transforms image by image  {count / plain_s:>10,.0f}")
    click.echo(f"  groups read                              {count / read_s:>10,.0f}   {plain_s / read_s:.1f}x")
    click.echo(f"  groups read and augmented, on the CPU    {count / ours_s:>10,.0f}   {plain_s / ours_s:.1f}x")


def _bench_steps(
    store: SyncStore, config: Config, labels: np.ndarray, device: torch.device, steps: int, workers: int
) -> float:
    """Seconds of our step, with all the method's parts, told beside a plainly written Cluster Contrast step.

    That one computes in float32, as published; where ours does not, it is also told what it takes in our precision.
    """
    torch.manual_seed(0)
    trainer = _trainer(dataclasses.replace(config, iterations=steps + 2), store, labels, device, workers)
    precisions = list(dict.fromkeys(["float32", config.precision]))
    plain = [_PlainStep(config, precision, device) for precision in precisions]
    waits: list[float] = []

    def ours() -> None:
        before = trainer.seconds_waited
        trainer.step()
        waits.append(trainer.seconds_waited - before)

    photos = config.batch_clusters * config.batch_photos
    random_images = torch.randn(photos * config.images, 3, config.height, config.width)
    targets = torch.randint(CLUSTERS, (photos * config.images,))

    with FlopCounterMode(display=False) as counter:
        ours()
    work = counter.get_total_flops()
    limit = _convolution_speed(config.precision, device)
    theirs = [partial(step, random_images, targets) for step in plain]
    ours_s, *theirs_s = _in_turn([ours, *theirs], steps, clock=time.perf_counter)
    waited = statistics.median(waits[1:])
    click.echo("\nstep, elapsed ms")
    click.echo(f"  ours, reading and augmenting included    {ours_s * 1e3:>10,.1f}")
    click.echo(f"  of which waiting for data                {waited * 1e3:>10,.1f}   {100 * waited / ours_s:.1f} %")
    for precision, seconds in zip(precisions, theirs_s, strict=True):
        name = f"Cluster Contrast's, plain, {precision}"
        click.echo(f"  {name:<41}{seconds * 1e3:>10,.1f}   {seconds / ours_s:.2f}x")
    reached = work / ours_s
    click.echo(
        f"  ours does {work / 1e9:,.0f} GFLOP at {reached / 1e12:.2f} TFLOP/s, {100 * reached / limit:.0f} % of what"
        f" one large convolution reaches here ({limit / 1e12:.2f})"
    )
    if device.type == "cuda":
        click.echo(
            f"  peak memory of the GPU                   {torch.cuda.max_memory_allocated() / 2**20:>10,.0f} MiB"
        )
    return ours_s


def _bench_backgrounds(store: SyncStore, config: Config, device: torch.device, steps: int, step: float) -> None:
    """Share of a step of so many seconds that exchanging backgrounds adds, masks read from the shards included."""
    indices = [np.arange(config.batch_clusters * config.batch_photos) % len(store)]
    taken = Input((config.height, config.width))

    def seen(backgrounds: float) -> Callable[[], float]:
        views = make_views(dataclasses.replace(config, backgrounds=backgrounds), store, taken, device)

        def see() -> float:
            groups = next(iter(read_with_masks(store, indices, config.images, masked=views.masked)))
            return views.step(groups, 0, 0).sum().item()

        return see

    own, exchanged = _in_turn([seen(0.0), seen(0.8)], 3 * steps)
    added = exchanged - own
    click.echo(f"  exchanging backgrounds adds              {added * 1e3:>10,.1f}   {100 * added / step:.1f} %")


def _convolution_speed(precision: str, device: torch.device) -> float:
    """FLOP/s of one large convolution, 3x3 from 512 channels to 512: what the device can be brought to."""
    kind = {"device": device, "dtype": getattr(torch, precision)}
    pictures = torch.randn(512 if device.type == "cuda" else 16, 512, 32, 16, **kind)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    weights = torch.randn(512, 512, 3, 3, **kind).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        [seconds] = _in_turn([lambda: F.conv2d(pictures, weights, padding=1).sum().item()], 5, clock=time.perf_counter)
    return 2 * pictures.numel() * weights[:, 0].numel() / seconds


class _PlainStep:
    """Cluster Contrast's step as it is usually written; its one memory is stepped feature by feature in Python."""

    def __init__(self, config: Config, precision: str, device: torch.device) -> None:
        encoder = make_encoder(dataclasses.replace(config, precision=precision), "none", device)
        self.encoder: Encoder = encoder.to(memory_format=torch.contiguous_format).train()
        self.config, self.device = config, device
        self.optimiser = torch.optim.Adam(encoder.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        self.memory = F.normalize(torch.randn(CLUSTERS, encoder.dimensions, device=device))

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """Step on pictures (B, 3, H, W) that are augmented already."""
        images, labels = images.to(self.device), labels.to(self.device)
        features = self.encoder(images)
        loss = F.cross_entropy(features @ self.memory.T / self.config.temperature, labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        with torch.no_grad():
            for feature, label in zip(features, labels.tolist(), strict=True):
                moved = self.config.momentum * self.memory[label] + (1 - self.config.momentum) * feature
                self.memory[label] = moved / moved.norm()
        loss.item()


def _trainer(config: Config, store: SyncStore, labels: np.ndarray, device: torch.device, workers: int) -> Trainer:
    """Give a training whose clusters are these."""
    trainer = Trainer(config, store, Run(store.path), device, Silence(), workers)
    trainer.begin_epoch(labels, torch.randn(CLUSTERS, trainer.state.encoder.dimensions))
    return trainer


def _make_data(folder: Path, config: Config, photos: int) -> tuple[SyncStore, list[list[bytes]]]:
    """Shards of smooth random pictures, and the same pictures as JPEGs in memory, so that no disk is timed."""
    random, size = np.random.default_rng(0), (config.height, config.width)
    groups, jpegs = [], []
    for _ in range(photos):
        small = random.integers(0, 256, (config.images, 16, 8, 3), dtype=np.uint8)
        pictures = [Image.fromarray(s).resize(size[::-1], Image.Resampling.BICUBIC) for s in small]
        groups.append(np.stack([np.asarray(picture) for picture in pictures]))
        jpegs.append([_jpeg(picture) for picture in pictures])
    versions = config.images - 1
    with writing_shard(folder / "shard-00000.h5", versions, size, "bench", {}) as writer:
        names = [f"{number}.jpg" for number in range(photos)]
        worn, redrawn = np.zeros((photos, versions), np.int32), np.ones(photos, np.bool_)
        moved = np.zeros((photos, 2), np.float32)
        masks = np.zeros((photos, 1, *size), np.uint8)
        masks[..., size[0] // 8 :, size[1] // 4 : 3 * size[1] // 4] = 255
        writer.add(Groups(np.stack(groups), names, ["0" * 64] * photos, worn, redrawn, moved, masks=masks))
        shards = (writer.status(),)
    write_manifest(folder, Manifest("bench", "bench", "", versions, size, shards, "now", {}))
    return SyncStore(folder), jpegs


def _jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def _in_turn(
    works: Sequence[Callable[[], object]], repeats: int, clock: Callable[[], float] = time.process_time
) -> list[float]:
    """Median seconds of each work, done one after the other, again and again, after one round that is not counted."""
    times: list[list[float]] = [[] for _ in works]
    for round_ in range(repeats + 1):
        for work, taken in zip(works, times, strict=True):
            begun = clock()
            work()
            if round_:
                taken.append(clock() - begun)
    return [statistics.median(taken) for taken in times]


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


if __name__ == "__main__":
    main()
