"""The dresser: what it paints is what painting each pair of photo and template by itself gives."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch.nn import functional

from data.runtime.errors import InputError
from pipeline.dress import Dresser
from pipeline.pise import Generator, Style

PHOTO_LABELS = [0, 2, 3, 5, 6, 7]
"""No hat and no skirt."""
TEMPLATE_LABELS = [[0, 2, 3, 5, 6, 7], [0, 1, 2, 3, 4, 6, 7], [0, 2, 5, 6]]
"""The first has all that the photo has, the second a skirt for trousers, the third no upper clothes."""


Person = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture
def generator() -> Iterator[Generator]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield Generator(channels=4).eval()


def people(labels: list[list[int]], seed: int) -> Person:
    """Pictures, poses and parsings of 64x32 whose regions are bands."""
    random = torch.Generator().manual_seed(seed)
    image = torch.rand(len(labels), 3, 64, 32, generator=random) * 2 - 1
    pose = torch.rand(len(labels), 18, 64, 32, generator=random)
    bands = [torch.tensor(band)[torch.arange(64) * len(band) // 64] for band in labels]
    parsing = functional.one_hot(torch.stack(bands), 8).permute(0, 2, 1).float()
    return image, pose, parsing.unsqueeze(3).expand(-1, -1, -1, 32).contiguous()


def one(everyone: Person, number: int) -> Person:
    image, pose, parsing = (part[number : number + 1] for part in everyone)
    return image, pose, parsing


def painted_alone(
    generator: Generator,
    person: Person,
    template: Person,
    exchanged: list[int],
) -> torch.Tensor:
    """One (photo, template) pair through the whole network; the regions `exchanged` take the template's code."""
    image, pose, parsing = person
    codes, present = generator.style(image, parsing)
    codes[:, exchanged] = generator.style(template[0], template[2])[0][:, exchanged]
    return generator.paint(generator.layout(image, pose, parsing, parsing), parsing, codes, present)


def test_each_photo_is_painted_in_each_template(generator: Generator) -> None:
    photos, templates = people([PHOTO_LABELS, PHOTO_LABELS], 1), people(TEMPLATE_LABELS, 2)
    pictures = Dresser(generator, generator.style(templates[0], templates[2])).dress(*photos)
    assert pictures.shape == (2, 3, 3, 64, 32)
    assert pictures.abs().max() <= 1
    exchanged = [[3, 5], [3], [5]]  # Where the template has no such region the photo's own code stays.
    for photo in range(2):
        for outfit in range(3):
            wanted = painted_alone(generator, one(photos, photo), one(templates, outfit), exchanged[outfit])
            torch.testing.assert_close(pictures[photo, outfit], wanted[0], atol=1e-4, rtol=0)
    assert (pictures[:, 0] - pictures[:, 1]).abs().max() > 1e-2


def test_a_template_without_clothes_changes_nothing(generator: Generator) -> None:
    photo, template = people([PHOTO_LABELS], 1), people([[0, 6, 7]], 2)
    image, pose, parsing = photo
    unchanged = painted_alone(generator, photo, template, [])
    pictures = Dresser(generator, generator.style(template[0], template[2])).dress(image, pose, parsing)
    torch.testing.assert_close(pictures[:, 0], unchanged, atol=1e-4, rtol=0)


def test_regions_to_exchange_can_be_chosen(generator: Generator) -> None:
    photo, template = people([PHOTO_LABELS], 1), people([PHOTO_LABELS], 2)
    dresser = Dresser(generator, generator.style(template[0], template[2]), regions=[2, 7])
    wanted = painted_alone(generator, photo, template, [2, 7])
    torch.testing.assert_close(dresser.dress(*photo)[:, 0], wanted, atol=1e-4, rtol=0)


def test_templates_can_be_dealt_out_photo_by_photo(generator: Generator) -> None:
    photos, templates = people([PHOTO_LABELS, PHOTO_LABELS], 1), people(TEMPLATE_LABELS, 2)
    codes, present = generator.style(templates[0], templates[2])
    dresser = Dresser(generator, Style(codes, present))
    everything = dresser.dress(*photos)
    choice = torch.tensor([[2, 0], [1, 2]])
    dealt = dresser.dress(*photos, templates=Style(codes[choice], present[choice]))
    torch.testing.assert_close(dealt[0], everything[0, [2, 0]], atol=1e-5, rtol=0)
    torch.testing.assert_close(dealt[1], everything[1, [1, 2]], atol=1e-5, rtol=0)


def test_painting_into_its_own_parsing_is_painting_without_a_target(generator: Generator) -> None:
    photos, templates = people([PHOTO_LABELS, PHOTO_LABELS], 1), people(TEMPLATE_LABELS, 2)
    dresser = Dresser(generator, generator.style(templates[0], templates[2]))
    target = photos[2].unsqueeze(1).expand(-1, 3, -1, -1, -1)
    torch.testing.assert_close(dresser.dress(*photos, target_parsing=target), dresser.dress(*photos), atol=1e-5, rtol=0)


def test_each_version_is_painted_into_its_own_target(generator: Generator) -> None:
    photos, templates = people([PHOTO_LABELS, PHOTO_LABELS], 1), people(TEMPLATE_LABELS, 2)
    codes, present = generator.style(templates[0], templates[2])
    targets = torch.stack([people([[0, 2, 3, label, 6, 7]] * 2, 3)[2] for label in (5, 4, 6)], 1)
    pictures = Dresser(generator, Style(codes, present)).dress(*photos, target_parsing=targets)
    assert pictures.shape == (2, 3, 3, 64, 32)
    worn = [[3, 5], [3, 4], [5]]
    for version, regions in enumerate(worn):
        image, pose, parsing = (part[:1] for part in photos)
        own, has = generator.style(image, parsing)
        own[:, regions] = codes[version, regions]
        has[:, regions] = 1
        target = targets[:1, version]
        wanted = generator.paint(generator.layout(image, pose, parsing, target), target, own, has)
        torch.testing.assert_close(pictures[0, version], wanted[0], atol=1e-4, rtol=0)


def test_targets_are_as_many_as_templates(generator: Generator) -> None:
    photos, templates = people([PHOTO_LABELS], 1), people(TEMPLATE_LABELS, 2)
    dresser = Dresser(generator, generator.style(templates[0], templates[2]))
    with pytest.raises(ValueError, match="2 versions for 3 templates"):
        dresser.dress(*photos, target_parsing=photos[2].unsqueeze(1).expand(-1, 2, -1, -1, -1))


def test_a_pose_transfer_generator_is_refused() -> None:
    with pytest.raises(InputError, match="pose-transfer kind"):
        Dresser(Generator(4, "pose-transfer"), Style(torch.zeros(1, 9, 16), torch.ones(1, 8)))


def test_painting_in_bfloat16_stays_near_float32(generator: Generator) -> None:
    photo, template = people([PHOTO_LABELS], 1), people([PHOTO_LABELS], 2)
    style = generator.style(template[0], template[2])
    exact = Dresser(generator, style).dress(*photo)
    half = Dresser(generator, style, dtype=torch.bfloat16).dress(*photo)
    assert half.dtype == torch.float32
    assert next(generator.parameters()).dtype == torch.float32
    psnr = 10 * torch.log10(4 / (half - exact).square().mean())
    assert 40 < psnr < 100


def test_a_plain_pair_of_codes_and_present_serves_as_style() -> None:
    torch.manual_seed(0)
    generator = Generator(4).eval()
    image, pose = torch.rand(1, 3, 32, 16) * 2 - 1, torch.zeros(1, 18, 32, 16)
    parsing = torch.nn.functional.one_hot(torch.randint(0, 8, (1, 32, 16)), 8).permute(0, 3, 1, 2).float()
    codes, present = generator.style(image, parsing)
    styled = Dresser(generator, generator.style(image, parsing)).dress(image, pose, parsing)
    paired = Dresser(generator, (codes, present)).dress(image, pose, parsing, (codes[None], present[None]))
    assert torch.equal(styled, paired)
