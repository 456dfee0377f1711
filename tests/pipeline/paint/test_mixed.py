"""The mixed painter: each painter's versions as it would make them alone, in one store."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from data import open_benchmark
from data.photo import Photo
from data.shards import SyncStore, newest_store
from pipeline.__main__ import main
from pipeline.annotate.annotator import StoredAnnotations
from pipeline.outfits.choice import TemplateChoice
from pipeline.paint import MixedPainter, PisePainter, RecolourPainter

SIZE = (64, 32)


@pytest.fixture
def mixed(rendered: Path, random_weights: Path, tmp_path: Path) -> MixedPainter:
    """Two versions by a generator in a cut of its templates, one recoloured."""
    annotator = StoredAnnotations(rendered)
    pise = PisePainter(random_weights, rendered, annotator, TemplateChoice(3), 2, SIZE, cut="template")
    made = MixedPainter(pise, RecolourPainter(rendered, annotator, 1, SIZE))
    made.prepare(tmp_path, [record.path for record in open_benchmark("walkers", rendered).train])
    return made


def photos(root: Path) -> list[Photo]:
    return [Photo.read(record.path, root) for record in open_benchmark("walkers", root).train[:5]]


def test_each_painter_makes_its_versions_as_it_would_alone(mixed: MixedPainter, rendered: Path) -> None:
    batch = photos(rendered)
    redrawn = mixed.paint(mixed.sketch(batch))
    painted = mixed.generator.paint(mixed.generator.sketch(batch))
    recoloured = mixed.recolour.paint(mixed.recolour.sketch(batch))
    assert redrawn.images.shape == (5, mixed.versions, *SIZE, 3) == (5, 3, 64, 32, 3)
    np.testing.assert_array_equal(redrawn.images[:, :2], painted.images)
    np.testing.assert_array_equal(redrawn.images[:, 2:], recoloured.images)
    np.testing.assert_array_equal(redrawn.templates[:, 2:], recoloured.templates + 3)
    np.testing.assert_array_equal(redrawn.clothing, painted.clothing | recoloured.clothing)
    assert redrawn.masks is not None
    assert painted.masks is not None
    assert recoloured.masks is not None
    np.testing.assert_array_equal(redrawn.masks[:, :3], painted.masks)
    np.testing.assert_array_equal(redrawn.masks[:, 3:], recoloured.masks)


def test_its_key_is_its_own_and_it_travels(mixed: MixedPainter, rendered: Path) -> None:
    keys = [str(painter.recipe) for painter in (mixed, mixed.generator, mixed.recolour)]
    assert len(set(keys)) == 3
    other = MixedPainter(mixed.generator, RecolourPainter(rendered, mixed.annotator, 2, SIZE))
    assert other.recipe != mixed.recipe
    batch = photos(rendered)
    sent = pickle.loads(pickle.dumps(mixed))
    np.testing.assert_array_equal(sent.paint(sent.sketch(batch)).images, mixed.paint(mixed.sketch(batch)).images)
    assert sent.inputs([photo.name for photo in batch]) == mixed.inputs([photo.name for photo in batch])


def test_by_command_half_is_painted_and_half_recoloured(walkers: Path) -> None:
    options = ["--dataset", "prcc", "--data-root", str(walkers), "--size", "64x32", "--painter", "mixed"]
    result = CliRunner().invoke(main, ["sync", *options, "--versions", "3", "--jobs", "2"])
    assert result.exit_code == 0, result.output
    store = SyncStore(newest_store(Path("work/sync")))
    assert (store.manifest.recipe["painter"], store.manifest.recipe["versions"]) == ("mixed", [2, 1])
    sheets = CliRunner().invoke(main, ["templates", *options, "--versions", "3"]).output
    assert "templates.png" in sheets
    assert "palette.png" in sheets
    result = CliRunner().invoke(main, ["sync", *options, "--versions", "1"])
    assert (result.exit_code, result.output.splitlines()[-1]) == (
        2,
        "error: --painter mixed makes at least two versions: give S=2 or more, or choose one painter",
    )
