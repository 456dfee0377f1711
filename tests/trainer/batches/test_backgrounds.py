"""Backgrounds of other photos behind the people of a batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score

from data.shards import Groups, Manifest, SyncStore, write_manifest, writing_shard
from trainer.batches import Behind, Input, augment, find_backgrounds, make_views, read_with_masks, soft_masks
from trainer.batches.backgrounds import Backgrounds, take_out
from trainer.config import Config, make_config

SIZE = (32, 16)
INPUT = Input(SIZE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
PERSON = np.zeros(SIZE, np.bool_)
PERSON[6:30, 5:11] = True


def scene(place: np.random.Generator, coat: int) -> np.ndarray:
    """A person in one colour before the texture of a place."""
    pixels = place.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    pixels[PERSON] = coat
    return pixels


@pytest.fixture
def store(tmp_path: Path) -> SyncStore:
    """80 people before 80 places, and one of whom it is not known where he is."""
    images = np.stack([scene(np.random.default_rng(n), 3 * n) for n in range(81)])[:, None].repeat(3, 1)
    masks = np.where(PERSON, 255, 0).astype(np.uint8)[None, None].repeat(81, 0)
    masks[80] = 255
    with writing_shard(tmp_path / "shard-00000.h5", 2, SIZE, "k", {}) as shard:
        names = [f"{n}.jpg" for n in range(81)]
        worn, moved = np.zeros((81, 2), np.int32), np.zeros((81, 2), np.float32)
        shard.add(Groups(images, names, ["0" * 64] * 81, worn, np.ones(81, np.bool_), moved, masks=masks))
        status = shard.status()
    write_manifest(tmp_path, Manifest("k", "d", "r", 2, SIZE, (status,), "now", {}))
    return SyncStore(tmp_path)


def test_a_person_is_taken_out_by_what_lies_beside_in_a_mirror() -> None:
    picture = np.arange(8, dtype=np.uint8)[None, :, None].repeat(3, 0).repeat(3, 2)
    person = np.zeros((3, 8), np.bool_)
    person[:, 3:6] = True
    assert take_out(picture, person)[1, :, 0].tolist() == [0, 1, 2, 1, 0, 7, 6, 7]
    person[:, :6] = True
    assert take_out(picture, person)[1, :, 0].tolist() == [6, 6, 6, 6, 6, 7, 6, 7], "nothing lies beyond the border"


def test_backgrounds_show_nobody(store: SyncStore) -> None:
    found = find_backgrounds(store, INPUT, np.random.default_rng(0))
    assert found is not None
    assert found.plates.shape == (80, 3, 32, 48), "the one without a mask gives none"
    plates = found.plates.permute(0, 2, 3, 1).numpy()
    mirrored = plates[:, :, :16][:, :, ::-1]
    assert (plates[:, :, 16:32] == mirrored).all()
    shown = {plate[:, :16][0].tobytes() for plate in plates}
    assert shown == {store.group(n)[0][0].tobytes() for n in range(80)}, "beside people nothing changes"
    for plate in plates:
        coats = (plate[:, :16] == plate[:, :16, :1]).all(2) & (plate[:, :16] % 3 == 0).all(2)
        assert coats.mean() < 0.05


def test_windows_are_drawn_from_all_of_a_strip() -> None:
    plates = torch.arange(24, dtype=torch.uint8).expand(2, 3, 4, 24).clone()
    plates[1] += 100
    chosen = Backgrounds(plates).choose(torch.tensor([[0.0, 0.0], [0.6, 0.999], [0.4, 0.5]]))
    assert chosen.shape == (3, 3, 4, 8)
    assert chosen[:, 0, 0, 0].tolist() == [0, 115, 8]
    assert (chosen.diff(dim=-1) == 1).all()


def test_people_stay_and_what_is_behind_changes(store: SyncStore) -> None:
    [groups] = read_with_masks(store, [np.array([0, 5, 80])], 3)
    assert groups.masks is not None
    people = soft_masks(groups.masks.flatten(0, 1), SIZE).repeat_interleave(3, 0)
    other = torch.full((9, 3, *SIZE), 77, dtype=torch.uint8)
    images = groups.images.flatten(0, 1)
    taken = augment(images, torch.full((9, 3), 0.5), INPUT, 1.0, 0.0, Behind(people, other)) * 255
    own = images.permute(0, 3, 1, 2).float()
    person = torch.from_numpy(PERSON)
    assert torch.allclose(taken[:6, :, person], own[:6, :, person], atol=1e-2)
    assert torch.allclose(taken[:6, :, ~person], torch.tensor(77.0), atol=1e-2)
    assert torch.allclose(taken[6:], own[6:], atol=1e-2), "where no mask is known nothing is exchanged"


def config_of(**settings: float) -> Config:
    return make_config("walkers", {"height": 32, "width": 16, "crop": 1.0, "flip": 0.0, **settings})


def test_as_many_are_exchanged_as_asked_for_each_image_on_its_own(store: SyncStore) -> None:
    config = config_of(backgrounds=0.7)
    views = make_views(config, store, INPUT, torch.device("cpu"))
    [groups] = read_with_masks(store, [np.arange(80)], 3, masked=views.masked)
    taken = views.step(groups, 2, 3).unflatten(0, (80, 3)) * 255
    own = groups.images.permute(0, 1, 4, 2, 3).float()
    changed = ((taken - own).abs().amax((2, 3, 4)) > 1).numpy()
    assert 0.6 < changed.mean() < 0.8
    assert set(changed.sum(1)) == {0, 1, 2, 3}
    assert torch.equal(views.step(groups, 2, 3), taken.flatten(0, 1) / 255), "drawn from the position"
    assert not torch.equal(views.step(groups, 2, 4), taken.flatten(0, 1) / 255)
    plain = make_views(config_of(), store, INPUT, torch.device("cpu"))
    assert not plain.masked
    assert torch.allclose(plain.step(groups, 2, 3) * 255, own.flatten(0, 1), atol=1e-2)


def test_nothing_linear_tells_an_exchanged_background_from_the_own_one(store: SyncStore) -> None:
    """By a probe on the pixels, of photos that it was not fitted to; half of it is chance."""
    views = make_views(config_of(backgrounds=0.5), store, INPUT, torch.device("cpu"))
    [groups] = read_with_masks(store, [np.arange(80)], 3)
    pixels, changed, photos = [], [], []
    for step in range(4):
        taken = views.step(groups, 0, step).unflatten(0, (80, 3))
        own = groups.images.permute(0, 1, 4, 2, 3) / 255
        changed.append(((taken - own).abs().amax((2, 3, 4)) > 0.01).flatten())
        pixels.append(taken.flatten(0, 1).flatten(1))
        photos.append(np.arange(80).repeat(3))
    scores = cross_val_score(
        LogisticRegression(max_iter=200),
        torch.cat(pixels).numpy(),
        torch.cat(changed).numpy(),
        groups=np.concatenate(photos),
        cv=GroupKFold(4),
    )
    assert scores.mean() < 0.6
