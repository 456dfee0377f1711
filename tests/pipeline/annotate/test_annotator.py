"""Annotators: stored, kept and paired annotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.annotation import FOLDER, Annotation, write_annotation
from data.photo import Photo
from data.runtime.errors import InputError
from pipeline.annotate.annotator import KeptAnnotations, NoAnnotation, PairedAnnotator, StoredAnnotations
from pipeline.annotate.people import find_people


def person(height: int = 64, width: int = 32, seed: int = 0) -> Annotation:
    """A person who fills the photo: bands of the 8 regions, and joints of which one is missing."""
    joints = np.random.default_rng(seed).uniform(0, width, (18, 2)).astype(np.float32)
    joints[4] = np.nan
    bands = (np.arange(height) * 8 // height).astype(np.uint8)
    return Annotation(joints, np.repeat(bands[:, None], width, 1))


def photo(root: Path, name: str, seed: int = 0, height: int = 64, width: int = 32) -> Photo:
    return Photo(root / name, name, np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


class Counting:
    """An annotator that counts what it is asked; a photo named "nobody" shows no person."""

    digest = "ab" * 32
    origin = "counted"

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, photos: Sequence[Photo]) -> list[Annotation | None]:
        self.seen += [photo.name for photo in photos]
        return [None if photo.name == "nobody" else person(*photo.pixels.shape[:2]) for photo in photos]


def same(first: Annotation | NoAnnotation | None, second: Annotation) -> None:
    assert isinstance(first, Annotation)
    np.testing.assert_allclose(first.joints, second.joints, atol=0.01)
    np.testing.assert_array_equal(first.parsing, second.parsing)


def test_stored_annotations_come_back_at_the_size_of_the_photo(tmp_path: Path) -> None:
    write_annotation(tmp_path, tmp_path / "a" / "one.jpg", person())
    found = StoredAnnotations(tmp_path)([photo(tmp_path, "a/one.jpg"), photo(tmp_path, "a/one.jpg", 0, 128, 64)])
    same(found[0], person())
    same(found[1], person().resize(128, 64))


def test_photos_without_a_usable_person_give_none(tmp_path: Path) -> None:
    few_joints = np.full((18, 2), np.nan, np.float32)
    few_joints[:3] = 5
    naked = np.where(np.isin(person().parsing, (3, 4, 5)), 6, person().parsing).astype(np.uint8)
    write_annotation(tmp_path, tmp_path / "good.jpg", person())
    write_annotation(tmp_path, tmp_path / "few.jpg", Annotation(few_joints, person().parsing))
    write_annotation(tmp_path, tmp_path / "naked.jpg", Annotation(person().joints, naked))
    names = ("good", "few", "naked", "absent")
    found = StoredAnnotations(tmp_path)([photo(tmp_path, f"{name}.jpg") for name in names])
    assert isinstance(found[0], Annotation)
    assert found[1:3] == [None, None]
    assert isinstance(found[3], NoAnnotation), "a photo that nothing is known of is none without a person"
    assert "absent.jpg: no annotation" in found[3].reason


def test_a_dataset_without_annotations_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no annotations of its own"):
        StoredAnnotations(tmp_path)
    write_annotation(tmp_path, tmp_path / "one.jpg", person())
    (tmp_path / FOLDER / "one.jpg.png").write_bytes(b"\x89PNG cut short")
    (found,) = StoredAnnotations(tmp_path)([photo(tmp_path, "one.jpg")])
    assert isinstance(found, NoAnnotation)
    assert "one.jpg.png: damaged" in found.reason


def test_the_digest_follows_names_and_bytes(tmp_path: Path) -> None:
    def digest() -> str:
        return StoredAnnotations(tmp_path).digest

    write_annotation(tmp_path, tmp_path / "one.jpg", person())
    first = digest()
    assert digest() == first
    write_annotation(tmp_path, tmp_path / "one.jpg", person(seed=1))
    second = digest()
    write_annotation(tmp_path, tmp_path / "two.jpg", person(seed=1))
    assert len({first, second, digest()}) == 3


def test_kept_annotations_ask_once_a_photo(tmp_path: Path) -> None:
    source = Counting()
    photos = [photo(tmp_path, name, seed) for seed, name in enumerate(("one", "nobody", "two"))]
    first = KeptAnnotations(source, tmp_path)(photos[:2])
    again = KeptAnnotations(source, tmp_path)(photos)
    assert source.seen == ["one", "nobody", "two"]
    same(first[0], person())
    same(again[0], person())
    same(again[2], person())
    assert first[1] is None
    assert again[1] is None
    assert KeptAnnotations(source, tmp_path).digest == source.digest
    assert isinstance(first[0], Annotation)
    assert isinstance(again[0], Annotation)
    np.testing.assert_array_equal(first[0].joints, again[0].joints)


def test_kept_annotations_notice_changed_pixels_and_cut_files(tmp_path: Path) -> None:
    source = Counting()
    keep = KeptAnnotations(source, tmp_path)
    one = photo(tmp_path, "one")
    keep([one])
    keep([replace(one, pixels=255 - one.pixels)])
    assert source.seen == ["one", "one"]
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(file.read_bytes()[:40])
    same(keep([one])[0], person())
    assert source.seen == ["one", "one", "one"]


def test_a_pair_needs_both_halves(tmp_path: Path) -> None:
    class Joints:
        digest = "pose"
        origin = "joints"

        def __call__(self, photos: Sequence[Photo]) -> list[np.ndarray | None]:
            return [None if photo.name == "no pose" else person().joints for photo in photos]

    class Parsing:
        digest = "parsing"
        origin = "maps"

        def __call__(self, photos: Sequence[Photo]) -> list[np.ndarray | None]:
            return [None if photo.name == "no parsing" else person().parsing for photo in photos]

    annotator = PairedAnnotator(Joints(), Parsing())
    found = annotator([photo(tmp_path, name) for name in ("both", "no pose", "no parsing")])
    same(found[0], person())
    assert found[1:] == [None, None]
    assert len(annotator.digest) == 64


class Stumbling(Counting):
    """An annotator that fails on photos whose names are in `stones`, all those of a batch with them."""

    def __init__(self, error: Exception, *stones: str) -> None:
        super().__init__()
        self.error, self.stones = error, stones

    def __call__(self, photos: Sequence[Photo]) -> list[Annotation | None]:
        if any(photo.name in self.stones for photo in photos):
            raise self.error
        return super().__call__(photos)


def test_a_photo_over_which_an_annotator_stumbles_has_no_annotation_and_the_others_have(tmp_path: Path) -> None:
    photos = [photo(tmp_path, name) for name in ("a", "b", "nobody", "c")]
    people = find_people(Stumbling(IndexError("a row too many\nin all"), "b"), photos)
    assert sorted(people.annotations) == [0, 3]
    assert people.reasons == {1: f"{tmp_path / 'b'}: it cannot be annotated (IndexError: a row too many)"}
    assert np.isnan(people.agreement).tolist() == [False, True, True, False]
    alone = find_people(Stumbling(IndexError(), "b"), photos[1:2])
    assert alone.reasons == {0: f"{tmp_path / 'b'}: it cannot be annotated (IndexError)"}


def test_an_annotator_that_stumbles_over_every_photo_or_a_machines_fault_is_no_photos(tmp_path: Path) -> None:
    photos = [photo(tmp_path, name) for name in ("a", "b")]
    with pytest.raises(TypeError, match="of no use"):
        find_people(Stumbling(TypeError("of no use"), "a", "b"), photos)
    for error in (MemoryError(), InputError("no weights"), RuntimeError("CUDA error: unspecified launch failure")):
        with pytest.raises(type(error)):
            find_people(Stumbling(error, "b"), photos)
