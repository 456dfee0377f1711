"""The recolouring painter: colours of other garments, folds and everything else kept."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from data.annotation import CLOTHING_REGIONS, Annotation, Region, read_annotation, write_annotation
from data.photo import Photo
from data.runtime.errors import InputError
from pipeline.annotate.annotator import StoredAnnotations
from pipeline.cielab import to_cielab
from pipeline.loaded import PROCESS
from pipeline.outfits.garments import measure
from pipeline.paint.palette import FILE, SHEET, Palette, collect, load
from pipeline.paint.recolour import RecolourPainter

SIZE = (64, 32)


def training(root: Path) -> list[Path]:
    return sorted(root.glob("rgb/train/*/*.jpg"))


def painter(root: Path, folder: Path, seed: int = 0) -> RecolourPainter:
    made = RecolourPainter(root, StoredAnnotations(root), size=SIZE, seed=seed)
    made.prepare(folder, training(root))
    return made


def photos(root: Path, count: int = 6) -> list[Photo]:
    return [Photo.read(path, root) for path in training(root)[:count]]


def test_garments_take_the_colours_dealt_and_all_else_stays_to_the_bit(rendered: Path, tmp_path: Path) -> None:
    redrawn = (made := painter(rendered, tmp_path)).paint(made.sketch(photos(rendered)))
    palette = load(tmp_path)
    assert redrawn.images.shape == (6, 4, *SIZE, 3)
    assert redrawn.found.all()
    errors, folds = [], []
    for row, photo in enumerate(photos(rendered)):
        pixels, parsing = photo.pixels, read_annotation(rendered, photo.path).parsing
        np.testing.assert_array_equal(redrawn.clothing[row], np.isin(parsing, CLOTHING_REGIONS))
        for version, donor in enumerate(redrawn.templates[row]):
            image = redrawn.images[row, version]
            np.testing.assert_array_equal(image[~redrawn.clothing[row]], pixels[~redrawn.clothing[row]])
            garment = palette.garment(int(donor), Region.UPPER_CLOTHES)
            assert garment is not None
            upper = parsing == Region.UPPER_CLOTHES
            before, after = to_cielab(pixels)[upper], to_cielab(image)[upper]
            errors.append(float(np.linalg.norm(after.mean(0) - garment[0])))
            folds.append(np.corrcoef(before[:, 0], after[:, 0])[0, 1])
    # What misses the other garment's mean is the seam, wide at 64 x 32, and what sRGB cannot show.
    assert np.median(errors) < 6
    assert np.median(folds) > 0.8


def test_each_photo_has_its_own_donors_by_seed_and_name(rendered: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
    first, second = (painter(rendered, tmp_path / str(seed), seed) for seed in (0, 1))
    batch = photos(rendered)
    dealt = first.sketch(batch).dealt
    palette = load(tmp_path / "0")
    for photo, row in zip(batch, dealt, strict=True):
        assert len(set(row)) == 4
        assert photo.name not in [palette.photos[donor] for donor in row]
    assert len({tuple(row) for row in dealt}) > 1
    np.testing.assert_array_equal(first.sketch(batch[::-1]).dealt[::-1], dealt)
    assert (second.sketch(batch).dealt != dealt).any()
    assert first.recipe != second.recipe


def test_it_is_the_same_again_from_the_palette_on_disk_and_from_a_pickle(rendered: Path, tmp_path: Path) -> None:
    made = painter(rendered, tmp_path)
    written = (tmp_path / FILE).stat().st_mtime_ns
    images = made.paint(made.sketch(photos(rendered))).images
    again = painter(rendered, tmp_path)
    assert (tmp_path / FILE).stat().st_mtime_ns == written
    assert (tmp_path / SHEET).is_file()
    sent = pickle.dumps(made)
    assert len(sent) < 2000
    for other in (again, pickle.loads(sent)):
        np.testing.assert_array_equal(other.paint(other.sketch(photos(rendered))).images, images)
    assert json.loads(json.dumps(made.recipe))["painter"] == "recolour"


def test_a_photo_without_a_person_is_not_found_and_takes_nothing(rendered: Path, tmp_path: Path) -> None:
    stranger = Photo(rendered / "nobody.jpg", "nobody.jpg", np.full((64, 32, 3), 90, np.uint8))
    redrawn = (made := painter(rendered, tmp_path)).paint(made.sketch([*photos(rendered, 1), stranger]))
    np.testing.assert_array_equal(redrawn.found, [True, False])
    assert not redrawn.clothing[1].any()


def test_skirts_and_trousers_stand_in_for_each_other_and_what_lacks_stays() -> None:
    means, spreads = np.full((2, 8, 3), np.nan, np.float32), np.full((2, 8), np.nan, np.float32)
    means[0, Region.SKIRT], spreads[0, Region.SKIRT] = (50, 10, 10), 5
    palette = Palette(("a", "b"), np.zeros((2, 4, 2, 3), np.uint8), means, spreads)
    for lower in (Region.SKIRT, Region.TROUSERS):
        garment = palette.garment(0, lower)
        assert garment is not None
        np.testing.assert_array_equal(garment[0], (50, 10, 10))
    assert palette.garment(0, Region.UPPER_CLOTHES) is None
    assert palette.garment(1, Region.TROUSERS) is None


def test_measures_are_of_the_region_alone() -> None:
    lab = np.zeros((10, 10, 3), np.float32)
    parsing = np.zeros((10, 10), np.uint8)
    parsing[:5], parsing[9, 9] = Region.UPPER_CLOTHES, Region.TROUSERS
    lab[:5] = (40, 5, -5)
    lab[0] = (60, 5, -5)
    means, spreads = measure(lab, parsing, CLOTHING_REGIONS, least=0.02)
    np.testing.assert_allclose(means[Region.UPPER_CLOTHES], (44, 5, -5))
    assert spreads[Region.UPPER_CLOTHES] == pytest.approx(8)
    assert np.isnan(means[Region.TROUSERS]).all()
    assert not np.isnan(measure(lab, parsing, CLOTHING_REGIONS)[1][Region.TROUSERS])


def test_too_few_people_and_a_damaged_palette_are_told(rendered: Path, tmp_path: Path) -> None:
    few = training(rendered)[:3]
    with pytest.raises(InputError, match="only 3 of 3 training photos"):
        collect(few, rendered, StoredAnnotations(rendered), CLOTHING_REGIONS, SIZE, fewest=5)
    made = painter(rendered, tmp_path)
    (tmp_path / FILE).write_bytes(b"no palette")
    PROCESS.clear()
    with pytest.raises(InputError, match="damaged"):
        made.sketch(photos(rendered, 1))


def test_bright_ground_at_the_edge_of_dark_clothes_makes_no_specks(rendered: Path, tmp_path: Path) -> None:
    parsing, pixels = np.zeros(SIZE, np.uint8), np.full((*SIZE, 3), 200, np.uint8)
    parsing[10:50, 8:24] = Region.TROUSERS
    pixels[10:50, 9:24] = np.random.default_rng(0).integers(10, 30, (40, 15, 1), np.uint8)
    annotation = Annotation(np.full((18, 2), 20, np.float32), parsing)
    write_annotation(tmp_path, tmp_path / "dark.jpg", annotation)
    made = painter(rendered, tmp_path)
    made.annotator = StoredAnnotations(tmp_path)
    redrawn = made.paint(made.sketch([Photo(tmp_path / "dark.jpg", "dark.jpg", pixels)]))
    lightness = to_cielab(redrawn.images[0])[:, 12:48, :, 0]
    edge, ground, garment = lightness[..., 8].max(1), lightness[..., 0].max(1), lightness[..., 12:22].max((1, 2))
    assert (edge <= np.maximum(ground, garment) + 1).all()
    assert (edge <= ground + 1).any(), "of the donors some are darker than the ground"
    assert np.abs(redrawn.images[0, :, 12:48, 10:22].astype(int) - pixels[12:48, 10:22]).mean() > 10


def test_colours_far_from_the_photo_and_from_each_other_are_dealt() -> None:
    random = np.random.default_rng(0)
    means = np.full((60, 8, 3), np.nan, np.float32)
    means[:, Region.UPPER_CLOTHES] = random.normal((20, 0, 0), 2, (60, 3))
    means[::8, Region.UPPER_CLOTHES] = random.normal((45, 50, 30), 2, (8, 3))
    means[4::8, Region.UPPER_CLOTHES] = random.normal((35, 10, -50), 2, (7, 3))
    spreads = np.where(np.isnan(means[..., 0]), np.nan, 5).astype(np.float32)
    palette = Palette(tuple(map(str, range(60))), np.zeros((60, 4, 2, 3), np.uint8), means, spreads)
    own = means[1]
    for name in map(str, range(100, 120)):
        dealt = palette.deal(4, 0, name, own)
        assert len(set(dealt)) == 4
        drawn = palette.deal(16, 0, name)
        assert set(dealt) <= set(drawn)
        for kind in (0, 4):
            assert any(number % 8 == kind for number in dealt) == any(number % 8 == kind for number in drawn)
    np.testing.assert_array_equal(palette.deal(4, 0, "100"), palette.deal(16, 0, "100")[:4])
    lacking = np.full((8, 3), np.nan, np.float32)
    lacking[Region.SKIRT] = 50
    assert len(set(palette.deal(4, 0, "100", lacking))) == 4, "where no photo has such a garment, any serves"
