from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from data.annotation import Joint
from trainer.batches.augment import MEAN, STD, Input, augment, augment_joints, augment_labels, normalise

SIZE = (24, 12)
INPUT = Input(SIZE)


def photos(count: int = 4) -> torch.Tensor:
    smooth = torch.rand(count, 3, 6, 3, generator=torch.Generator().manual_seed(0))
    return (F.interpolate(smooth, SIZE, mode="bilinear") * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def test_normalise_is_torchvisions() -> None:
    images = photos()
    expected = (images.numpy().transpose(0, 3, 1, 2) / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    assert np.abs(normalise(images, INPUT).numpy() - expected).max() < 1e-5


def test_without_crop_and_flip_nothing_changes() -> None:
    images = photos()
    assert torch.allclose(augment(images, torch.rand(4, 3), INPUT, 1.0, 0.0), normalise(images, INPUT), atol=1e-4)


def test_flip_is_a_mirror_and_its_probability_holds() -> None:
    images = photos(1).expand(1000, -1, -1, -1)
    draws = torch.rand(1000, 3, generator=torch.Generator().manual_seed(1))
    taken = augment(images, draws, INPUT, 1.0, 0.3)
    plain = normalise(images[:1], INPUT)
    mirrored = (taken - plain.flip(-1)).abs().amax((1, 2, 3)) < 1e-4
    kept = (taken - plain).abs().amax((1, 2, 3)) < 1e-4
    assert (mirrored ^ kept).all()
    assert mirrored.tolist() == (draws[:, 2] < 0.3).tolist()


def test_crop_is_a_window_of_the_enlarged_image() -> None:
    images = photos(2)
    draws = torch.tensor([[0.0, 0.0, 0.9], [1.0 - 1e-7, 1.0 - 1e-7, 0.9]])
    taken = augment(images, draws, INPUT, 1.25, 0.5)
    enlarged = F.interpolate(normalise(images, INPUT), (30, 15), mode="bilinear", align_corners=False)
    assert (taken[0] - enlarged[0, :, :24, :12]).abs().max() < 1e-4
    assert (taken[1] - enlarged[1, :, 6:, 3:]).abs().max() < 1e-4


def test_nothing_is_padded() -> None:
    images = torch.full((50, *SIZE, 3), 200, dtype=torch.uint8)
    taken = augment(images, torch.rand(50, 3), INPUT, 1.5, 0.5)
    assert torch.allclose(taken, normalise(images, INPUT), atol=1e-4)


def test_each_image_has_its_own_draws() -> None:
    images, draws = photos(), torch.rand(4, 3, generator=torch.Generator().manual_seed(2))
    whole = augment(images, draws, INPUT, 1.2, 0.5)
    for i in range(4):
        assert torch.allclose(augment(images[i : i + 1], draws[i : i + 1], INPUT, 1.2, 0.5)[0], whole[i], atol=1e-5)
    same = augment(images[:1].expand(2, -1, -1, -1), draws[:2], INPUT, 1.2, 0.5)
    assert (same[0] - same[1]).abs().max() > 0.01


def test_another_size_is_reached() -> None:
    assert augment(photos(), torch.rand(4, 3), Input((12, 6)), 1.1, 0.5).shape == (4, 3, 12, 6)
    flat = torch.full((1, 40, 20, 3), 77, dtype=torch.uint8)
    assert torch.allclose(normalise(flat, INPUT), normalise(flat[:, :24, :12], INPUT), atol=1e-4)


def test_many_images_change_nothing_and_are_channels_last() -> None:
    images, draws = photos(300).repeat(5, 4, 4, 1), torch.rand(1500, 3)
    large = Input((4 * SIZE[0], 4 * SIZE[1]))
    whole = augment(images, draws, large, 1.2, 0.5)
    assert whole.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(whole[-3:], augment(images[-3:], draws[-3:], large, 1.2, 0.5))


def test_joints_and_labels_stay_on_what_they_were_on() -> None:
    """A dot at a joint of the left, and one at its mirror's: each is afterwards where the augmentation says."""
    size, sides = (64, 32), (Joint.LEFT_KNEE, Joint.RIGHT_KNEE)
    labels = torch.zeros(40, *size, dtype=torch.uint8)
    joints = torch.full((40, len(Joint), 2), torch.nan)
    for joint, (row, column), label in zip(sides, ((40, 20), (20, 8)), (1, 2), strict=True):
        labels[:, row - 1 : row + 2, column - 1 : column + 2] = label
        joints[:, joint] = torch.tensor([(column + 0.5) / 32, (row + 0.5) / 64])
    draws = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    moved = augment_labels(labels, draws, Input(size), 1.125, 0.5)
    found = augment_joints(joints, draws, 1.125, 0.5)
    for picture in range(40):
        names = sides[::-1] if draws[picture, 2] < 0.5 else sides
        for joint, label in zip(names, (1, 2), strict=True):
            rows, columns = torch.nonzero(moved[picture] == label, as_tuple=True)
            centre = torch.stack([(columns.float().mean() + 0.5) / 32, (rows.float().mean() + 0.5) / 64])
            assert torch.allclose(found[picture, joint], centre, atol=0.03)
    assert found[:, [joint for joint in Joint if joint not in sides]].isnan().all()


def test_without_crop_and_flip_joints_stay_and_one_outside_is_missing() -> None:
    joints = torch.rand(2, len(Joint), 2)
    draws = torch.tensor([[0.0, 0.0, 0.9]]).expand(2, 3)
    assert torch.allclose(augment_joints(joints, draws, 1.0, 0.5), joints, atol=1e-6)
    joints[0, Joint.NOSE] = torch.tensor([0.5, 0.99])
    cut = augment_joints(joints, draws, 1.25, 0.0)  # the window ends at 0.8
    assert cut[0, Joint.NOSE].isnan().all()
