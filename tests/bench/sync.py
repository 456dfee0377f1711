"""Bench of redrawing: the published way and ours, on the same photos, templates and weights, in one run."""

from __future__ import annotations

import copy
import math
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from data.annotation import CLOTHING_REGIONS, Joint, Region, parsing_maps, pose_maps
from data.runtime.allocator import give_freed_memory_back, keep_freed_memory
from data.runtime.files import write_json
from data.runtime.progress import progress
from data.runtime.tables import format_table
from pipeline.dress import Dresser
from pipeline.pise import Generator, Style

Person = Sequence[torch.Tensor]
"""Image (B, 3, H, W) in [-1, 1], pose (B, 18, H, W) and parsing (B, 8, H, W)."""


@dataclass(frozen=True)
class Timing:
    """One way of redrawing, and how it compares with the published way.

    `seconds` is what a picture takes, `faster` how many times faster it is: medians over the rounds. `peak_mib` is the
    most memory used above what was in use before; `largest_difference` and `psnr` (dB, for a range of 2) are against
    the published way's pictures.
    """

    way: str
    seconds: float
    faster: float
    peak_mib: float
    largest_difference: float
    psnr: float


class PublishedWay:
    """Redrawing as the published code does it: each (photo, template) pair through the whole network.

    Spectral norm is computed in every pass; style codes and the style map are filled by loops over samples and regions.
    """

    def __init__(self, network: Generator) -> None:
        """Take a generator whose weights `with_spectral_norm` made."""
        self.network = network

    def dress(self, person: Person, template: Person) -> torch.Tensor:
        """Pictures (B, 3, H, W) of B pairs, a photo and a template each."""
        image, pose, parsing = person
        codes, present = self._style(image, parsing)
        template_codes, _ = self._style(template[0], template[2])
        for region in CLOTHING_REGIONS:
            codes[:, region] = template_codes[:, region]
        layout = self.network.layout(image, pose, parsing, parsing)
        return self._paint(layout, parsing, codes, present)

    def _style(self, image: torch.Tensor, parsing: torch.Tensor) -> Style:
        encoder = self.network.style_encoder
        style = encoder.block3(encoder.block2(encoder.block1(encoder.block0(image))))
        style = encoder.get_code(encoder.block5(encoder.block4(style)))
        shrunk = functional.interpolate(parsing, style.shape[2:])
        batch, channels = style.shape[:2]
        codes = torch.zeros(batch, len(Region) + 1, channels, device=image.device)
        present = torch.zeros(batch, len(Region), device=image.device)
        for sample in range(batch):
            for region in range(len(Region)):
                inside = shrunk[sample, region] != 0
                if inside.sum() > 0:
                    codes[sample, region] = style[sample][:, inside].mean(1)
                    present[sample, region] = 1
            codes[sample, -1] = style[sample].flatten(1).mean(1)
        return Style(codes, present)

    def _paint(
        self, layout: torch.Tensor, parsing: torch.Tensor, codes: torch.Tensor, present: torch.Tensor
    ) -> torch.Tensor:
        part = self.network.region_norm
        shrunk = functional.interpolate(parsing, layout.shape[2:])
        style_map = torch.zeros_like(layout)
        for sample in range(len(layout)):
            for region in range(len(Region)):
                inside = shrunk[sample, region] != 0
                if inside.sum() > 0:
                    code = codes[sample, region if present[sample, region] == 1 else -1]
                    style = functional.relu(functional.linear(code, part.fc_weight[region], part.fc_bias[region]))
                    style_map[sample][:, inside] = style[:, None]
        x = part.norm(layout) * (1 + part.conv_gamma(style_map)) + part.conv_beta(style_map)
        return self.network.decoder(self.network.res(x))


def with_spectral_norm(generator: Generator) -> Generator:
    """The generator with spectral norm in its old form where the published networks have it, and their kind of norms.

    The effective weights differ from those given: fold them with `without_spectral_norm`.
    """
    network = copy.deepcopy(generator)
    for part in (network.style_encoder, network.layout_encoder, network.decoder):
        for name, module in list(part.named_modules()):
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not name.startswith(("get_code", "deform")):
                nn.utils.spectral_norm(module, n_power_iterations=10)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.GroupNorm):
                norm = nn.InstanceNorm2d(child.num_channels, affine=child.affine)
                norm.load_state_dict(child.state_dict())
                setattr(parent, name, norm)
    image, pose, parsing = people(1, 64, 64, np.random.default_rng(0))
    network.train()
    network.paint(network.layout(image, pose, parsing, parsing), parsing, *network.style(image, parsing))
    return network.eval()


def without_spectral_norm(network: Generator) -> Generator:
    """What `load_generator` would make of the checkpoint of such a network."""
    weights = copy.deepcopy(network)
    for module in weights.modules():
        if hasattr(module, "weight_orig"):
            nn.utils.remove_spectral_norm(module)
    generator = Generator(network.channels, network.kind)
    generator.load_state_dict(weights.state_dict())
    return generator.eval()


def people(number: int, height: int, width: int, random: np.random.Generator) -> Person:
    """Stand-ins for people: smooth random pictures, random joints, and a band of each region from head to foot."""
    coarse = torch.from_numpy(random.standard_normal((number, 3, 16, 8), np.float32))
    image = functional.interpolate(coarse, (height, width), mode="bicubic").tanh()
    joints = random.uniform(0, [width, height], (number, len(Joint), 2))
    borders = (np.arange(1, 7) + random.uniform(-0.3, 0.3, (number, 1, 6))) * height / 7
    band = (np.arange(height)[None, :, None] > borders).sum(2)
    labels = np.array([1, 2, 7, 3, 5, 4, 6], np.uint8)[band]
    parsing = np.zeros((number, height, width), np.uint8)
    parsing[:, :, width // 5 : -(width // 5)] = labels[:, :, None]
    return image, torch.from_numpy(pose_maps(joints, height, width)), torch.from_numpy(parsing_maps(parsing))


def compare(
    photos: int, templates: int, channels: int, size: tuple[int, int], rounds: int, device: str
) -> list[Timing]:
    """Redraw `photos` x `templates` pictures in each way, in turn, `rounds` times after one to warm up.

    Args:
        photos: number of photos, redrawn together.
        templates: number of templates, S.
        channels: of the generator, whose weights are random.
        size: height and width of the photos.
        rounds: how often each way is timed.
        device: "cpu" or "cuda".

    Returns:
        A row for each way, the published one first.
    """
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    with torch.inference_mode():
        network = with_spectral_norm(Generator(channels))
        generator = without_spectral_norm(network).to(device)
        published = PublishedWay(network.to(device))
        given, outfits = (
            tuple(part.to(device) for part in people(number, *size, random)) for number in (photos, templates)
        )
        image, pose, parsing = given
        codes = generator.style(outfits[0], outfits[2])
        pairs = [part.repeat_interleave(templates, 0) for part in given]
        pair_outfits = [part.repeat(photos, 1, 1, 1) for part in outfits]
        exact, half = Dresser(generator, codes), Dresser(generator, codes, dtype=torch.bfloat16)
        ways: dict[str, Callable[[], torch.Tensor]] = {
            "published way, float32": lambda: published.dress(pairs, pair_outfits),
            "ours, float32": lambda: exact.dress(image, pose, parsing).flatten(0, 1),
            "ours, bfloat16": lambda: half.dress(image, pose, parsing).flatten(0, 1),
        }
        pictures = {way: redraw() for way, redraw in ways.items()}
        peaks = {way: _peak_mib(redraw, device) for way, redraw in ways.items()}
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        with progress("timing", rounds, "rounds") as shown:
            for _ in range(rounds):
                for way, redraw in ways.items():
                    seconds[way].append(_seconds(redraw, device) / (photos * templates))
                shown.advance()
    reference, *_ = ways
    timings = []
    for way in ways:
        difference = pictures[way] - pictures[reference]
        ratios = [before / after for before, after in zip(seconds[reference], seconds[way], strict=True)]
        psnr = 10 * torch.log10(4 / difference.square().mean()).item()
        timings.append(
            Timing(
                way,
                statistics.median(seconds[way]),
                statistics.median(ratios),
                peaks[way],
                difference.abs().max().item(),
                psnr,
            )
        )
    return timings


def _seconds(redraw: Callable[[], torch.Tensor], device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    redraw()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _peak_mib(redraw: Callable[[], torch.Tensor], device: str) -> float:
    """Most memory that one call uses above what was in use before; on a CPU as Linux counts pages, else unknown."""
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        redraw()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    if sys.platform != "linux":
        return math.nan
    # What was freed but kept for re-use would hide as much of the peak; writing 5 resets the high-water mark (proc(5)).
    give_freed_memory_back()
    Path("/proc/self/clear_refs").write_text("5")
    before = status_kib("VmRSS")
    redraw()
    return (status_kib("VmHWM") - before) / 2**10


def status_kib(field: str) -> int:
    """A field of this process's status as Linux tells it, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def _row(timing: Timing) -> list[str]:
    return [
        timing.way,
        f"{timing.seconds:.4f}",
        f"{1 / timing.seconds:.1f}",
        f"{timing.faster:.2f}x",
        f"{timing.peak_mib:.0f}",
        f"{timing.largest_difference:.1e}",
        f"{timing.psnr:.1f}",
    ]


@click.command()
@click.option("--photos", default=2, show_default=True, type=click.IntRange(1), help="Photos redrawn together.")
@click.option("--templates", default=4, show_default=True, type=click.IntRange(1), help="Outfits a photo, S.")
@click.option("--channels", default=64, show_default=True, type=click.IntRange(2), help="Of the generator.")
@click.option("--size", default=(256, 128), show_default=True, type=(int, int), help="Height and width of the photos.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="How often each way is timed.")
@click.option(
    "--device",
    default="cuda" if torch.cuda.is_available() else "cpu",
    show_default=True,
    type=click.Choice(["cpu", "cuda"]),
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Also write the timings here, as JSON.")
def main(
    photos: int, templates: int, channels: int, size: tuple[int, int], rounds: int, device: str, output: Path | None
) -> None:
    """Time redrawing against the published way: ratios, memory, and how near the pictures are."""
    if device == "cuda" and not torch.cuda.is_available():
        raise click.UsageError("--device cuda: this machine has no usable GPU; leave the option out")
    if min(size) < 64 or any(side % 16 for side in size):
        raise click.UsageError("--size: height and width must be multiples of 16, 64 or more")
    keep_freed_memory()
    torch.backends.cudnn.allow_tf32 = False
    timings = compare(photos, templates, channels, size, rounds, device)
    threads = f"{torch.get_num_threads()} threads" if device == "cpu" else torch.cuda.get_device_name()
    click.echo(
        f"{photos} photos x {templates} templates of {size[0]}x{size[1]}, {channels} channels, {device} ({threads})"
    )
    header = ["way", "s/picture", "pictures/s", "faster", "peak MiB", "max diff", "PSNR dB"]
    click.echo(format_table(header, [_row(timing) for timing in timings]))
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        shape = {"width": channels, "size": size, "device": device, "threads": torch.get_num_threads()}
        write_json(output, {**shape, "ways": [asdict(timing) for timing in timings]})


if __name__ == "__main__":
    main()
