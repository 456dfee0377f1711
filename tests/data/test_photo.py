from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from data.photo import Photo, name_below, names_below, photos_digest, read_batches, read_photo
from data.runtime.errors import InputError

SCENE = np.random.default_rng(1).integers(0, 256, (8, 5, 3), dtype=np.uint8)


def test_a_lossless_photo_comes_back_as_it_was(tmp_path: Path) -> None:
    Image.fromarray(SCENE).save(tmp_path / "scene.png")
    photo = read_photo(tmp_path / "scene.png")
    assert photo.dtype == np.uint8
    assert photo.flags.writeable
    np.testing.assert_array_equal(photo, SCENE)


def test_size_is_height_and_width(tmp_path: Path) -> None:
    Image.new("RGB", (30, 50), (10, 20, 30)).save(tmp_path / "plain.png")
    photo = read_photo(tmp_path / "plain.png", size=(16, 8))
    assert photo.shape == (16, 8, 3)
    assert (photo == [10, 20, 30]).all()


def test_odd_kinds_of_pictures_become_rgb(tmp_path: Path) -> None:
    grey = np.full((4, 4), 77, np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.jpg", quality=100)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "grey16.png")
    Image.fromarray(SCENE).convert("CMYK").save(tmp_path / "press.jpg", quality=100)
    Image.fromarray(SCENE).convert("P").save(tmp_path / "palette.png")
    assert (read_photo(tmp_path / "grey.jpg") == 77).all()
    assert (read_photo(tmp_path / "grey16.png") == 77).all()
    assert read_photo(tmp_path / "press.jpg").shape == SCENE.shape
    expected = Image.fromarray(SCENE).convert("P").convert("RGB")
    np.testing.assert_array_equal(read_photo(tmp_path / "palette.png"), np.asarray(expected))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0] = [200, 0, 0, 255]
    Image.fromarray(pixels).save(tmp_path / "cut-out.png")
    photo = read_photo(tmp_path / "cut-out.png")
    assert (photo[0] == [200, 0, 0]).all()
    assert (photo[1] == 255).all()


def test_the_first_frame_of_an_animation_is_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (read_photo(tmp_path / "moving.gif") == [255, 0, 0]).all()


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned a quarter clockwise
    Image.fromarray(SCENE).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_photo(tmp_path / "turned.png"), np.rot90(SCENE, -1))


def test_names_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "dé jà\nvu 人.png"
    Image.fromarray(SCENE).save(path)
    np.testing.assert_array_equal(read_photo(path), SCENE)


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "truncated", "header"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_what_is_no_picture_is_refused_with_its_name(tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"bad{suffix}"
    Image.fromarray(np.tile(SCENE, (40, 40, 1))).save(path)
    content = path.read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        contents = {"empty": b"", "text": b"not a picture", "truncated": content[: len(content) // 2]}
        path.write_bytes(contents.get(kind, content[:30]))
    with pytest.raises(InputError, match=f"bad{suffix}"):
        read_photo(path)


def test_gigantic_pictures_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    Image.new("1", (9000, 9000)).save(tmp_path / "poster.png")
    with pytest.raises(InputError, match="9000 x 9000"):
        read_photo(tmp_path / "poster.png")


def test_a_name_is_the_path_below_the_root_however_either_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo = tmp_path / "root" / "a" / "größe 1.jpg"
    assert name_below(photo, tmp_path / "root") == "a/größe 1.jpg"
    assert name_below(photo, Path("root")) == "a/größe 1.jpg"
    assert name_below(Path("root/a/../a/größe 1.jpg"), tmp_path / "root") == "a/größe 1.jpg"


@pytest.mark.parametrize("root", ["root", "/absolute/root", ".", "../beside", "/"])
def test_names_of_many_photos_are_those_of_each(root: str) -> None:
    below = ("a.jpg", "a/two words.jpg", "..a/b..jpg", "a/../a.jpg", "größe/衣.jpg", "../root2/a.jpg")
    photos = [Path(root, name) for name in below]
    photos += [photo.absolute() for photo in photos]
    assert names_below(photos, Path(root)) == [name_below(photo, Path(root)) for photo in photos]


def test_a_name_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "linked").symlink_to(tmp_path / "elsewhere")
    assert name_below(tmp_path / "root" / "linked" / "a.jpg", tmp_path / "root") == "linked/a.jpg"


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("scene", ["noise", "plain"])
def test_a_jpeg_that_lacks_its_last_bytes_is_a_picture(
    tmp_path: Path, subsampling: int, progressive: bool, scene: str
) -> None:
    pixels = np.tile(SCENE if scene == "noise" else np.full_like(SCENE, 99), (20, 12, 1))
    Image.fromarray(pixels).save(tmp_path / "whole.jpg", subsampling=subsampling, progressive=progressive)
    content = (tmp_path / "whole.jpg").read_bytes()
    whole = read_photo(tmp_path / "whole.jpg")
    for lacking in (1, 2):
        (tmp_path / "cut.jpg").write_bytes(content[:-lacking])
        np.testing.assert_array_equal(read_photo(tmp_path / "cut.jpg"), whole)
    (tmp_path / "cut.jpg").write_bytes(content[: -len(content) // 4])
    with pytest.raises(InputError, match=r"cut\.jpg"):
        read_photo(tmp_path / "cut.jpg")


def test_a_jpeg_without_its_last_scans_is_no_picture(tmp_path: Path) -> None:
    Image.fromarray(np.tile(SCENE, (20, 12, 1))).save(tmp_path / "whole.jpg", progressive=True)
    content = (tmp_path / "whole.jpg").read_bytes()
    scans = [place for place in range(len(content)) if content.startswith(b"\xff\xda", place)]
    assert len(scans) > 3
    for place in scans[1:]:
        (tmp_path / "cut.jpg").write_bytes(content[:place])
        with pytest.raises(InputError, match=r"cut\.jpg"):
            read_photo(tmp_path / "cut.jpg")


def test_a_png_with_much_text_is_a_picture(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("history", "painted " * 400_000, zip=True)
    Image.fromarray(SCENE).save(tmp_path / "wordy.png", pnginfo=text)
    np.testing.assert_array_equal(read_photo(tmp_path / "wordy.png"), SCENE)


@pytest.mark.parametrize("scale", [1, 257, 1 << 23])
def test_grey_of_32_bits_is_scaled_by_what_it_uses(tmp_path: Path, scale: int) -> None:
    grey = SCENE[..., 0].copy()
    grey[0, 0] = 255
    Image.fromarray(grey.astype(np.int32) * scale).save(tmp_path / "grey.tif")
    np.testing.assert_array_equal(read_photo(tmp_path / "grey.tif")[..., 0], grey)


def test_transparency_is_told(tmp_path: Path) -> None:
    for name, alpha in (("clear.png", 128), ("opaque.png", 255)):
        Image.new("RGBA", (4, 4), (1, 2, 3, alpha)).save(tmp_path / name)
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    assert [Photo.read(tmp_path / name, tmp_path).transparent for name in ("clear.png", "opaque.png", "plain.png")] == [
        True,
        False,
        False,
    ]


def test_a_digest_of_photos_tells_names_and_sizes_apart_and_no_order_or_place(tmp_path: Path) -> None:
    for root, size in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / root / "x").mkdir(parents=True)
        (tmp_path / root / "x/1.jpg").write_bytes(b"0" * size)
        (tmp_path / root / "x/2.jpg").write_bytes(b"00")
    names = ["x/1.jpg", "x/2.jpg"]
    digest = photos_digest(tmp_path / "a", names)
    assert digest is not None
    assert len(digest) == 12
    assert digest == photos_digest(tmp_path / "b", names[::-1])
    others = [
        photos_digest(tmp_path / "c", names),
        photos_digest(tmp_path / "a", names[:1]),
        photos_digest(tmp_path / "a/x", ["1.jpg", "2.jpg"]),
    ]
    assert len({digest, *others}) == 4
    assert photos_digest(tmp_path / "a", ["x/3.jpg"]) is None


def test_batches_are_small_where_photos_are_large(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", (3000, 4000) if number < 3 else (30, 40)).save(tmp_path / f"{number}.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    paths = [*sorted(tmp_path.glob("[0-9].jpg")), tmp_path / "bad.jpg"]
    batches = list(read_batches(paths, tmp_path, 32))
    assert [[photo.name for photo in batch.photos] for batch in batches] == [
        ["0.jpg", "1.jpg"],
        ["2.jpg", "3.jpg", "4.jpg"],
    ]
    assert [name for name, _ in batches[-1].failures] == ["bad.jpg"]
    assert [len(batch.photos) for batch in read_batches(paths[3:5] * 4, tmp_path, 3)] == [3, 3, 2]
