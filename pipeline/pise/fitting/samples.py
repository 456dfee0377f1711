"""Samples: a sheet that shows what a generator does."""

from __future__ import annotations

from pathlib import Path

import torch

from data.runtime.files import replacing
from data.sheet import contact_sheet
from pipeline.pise.fitting.batch import Batch
from pipeline.pise.fitting.objectives import redraw
from pipeline.pise.model.generator import Generator

_ACROSS = 4  # examples in a row of the sheet


def write_samples(file: Path, generator: Generator, batch: Batch) -> None:
    """Write a sheet of redrawn examples: source, template, redrawn and, where it is known, the true target of each.

    Args:
        file: the picture's, PNG by its name.
        generator: on the batch's device; its mode stays as it is.
        batch: the examples, four a row; those that would not fill a row are left out.
    """
    was_training = generator.training
    generator.eval()
    with torch.no_grad():
        painted = redraw(generator, batch)
        if generator.backdrop:
            painted = torch.where(batch.target_parsing[:, :1] > 0, batch.target, painted)
    generator.train(was_training)
    truth = [] if torch.equal(batch.source, batch.target) else [batch.target]
    examples = torch.stack([batch.source, batch.template, painted, *truth], 1)
    across = min(_ACROSS, len(examples))
    pixels = ((examples.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 1, 3, 4, 2).cpu().numpy()
    rows = pixels[: len(pixels) // across * across].reshape(-1, across * pixels.shape[1], *pixels.shape[2:])
    with replacing(file, flushed=False) as temporary:
        contact_sheet(list(rows), enlarged=False).save(temporary, format="PNG")
