"""Style: whose code a region takes, which regions count as present, and how templates are broadcast."""

from __future__ import annotations

import pytest
import torch

from data.annotation import CLOTHING_REGIONS, Region
from pipeline.pise import Generator, Style

BARE = (Region.BACKGROUND, Region.HAIR, Region.SKIN, Region.FACE)


def wearing(*clothes: int, seed: int) -> Style:
    """One person with random codes, bare but for these regions."""
    codes = torch.randn(9, 4, generator=torch.Generator().manual_seed(seed))
    return Style(codes, torch.tensor([float(region in (*BARE, *clothes)) for region in range(8)]))


def one_by_one(person: Style, template: Style, regions: tuple[int, ...], added: bool) -> Style:
    """What `dressed_in` shall give for one person and one template, region by region."""
    codes, present = person.codes.clone(), person.present.clone()
    for region in regions:
        if template.present[region]:
            codes[region] = template.codes[region]
            present[region] = 1 if added else present[region]
    return Style(codes, present)


def stack(*styles: Style) -> Style:
    return Style(*(torch.stack(parts) for parts in zip(*styles, strict=True)))


PEOPLE = [wearing(3, 5, seed=0), wearing(3, seed=1)]
TEMPLATES = [wearing(3, 5, seed=2), wearing(3, 4, seed=3), wearing(seed=4)]


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("regions", [CLOTHING_REGIONS, (3,), ()])
def test_each_person_in_each_template(regions: tuple[int, ...], added: bool) -> None:
    people = Style(*(part.unsqueeze(1) for part in stack(*PEOPLE)))
    codes, present = people.dressed_in(stack(*TEMPLATES), regions, added)
    assert (codes.shape, present.shape) == ((2, 3, 9, 4), (2, 3, 8))
    for row, person in enumerate(PEOPLE):
        for column, template in enumerate(TEMPLATES):
            wanted = one_by_one(person, template, regions, added)
            assert torch.equal(codes[row, column], wanted.codes)
            assert torch.equal(present[row, column], wanted.present)


@pytest.mark.parametrize("added", [False, True])
def test_each_person_in_a_template_of_their_own(added: bool) -> None:
    codes, present = stack(*PEOPLE).dressed_in(stack(*TEMPLATES[:2]), added=added)
    wanted = [one_by_one(*pair, CLOTHING_REGIONS, added) for pair in zip(PEOPLE, TEMPLATES, strict=False)]
    assert torch.equal(codes, stack(*wanted).codes)
    assert torch.equal(present, stack(*wanted).present)


@pytest.mark.parametrize("added", [False, True])
def test_each_person_in_several_templates_of_their_own(added: bool) -> None:
    choices = [TEMPLATES[:2], TEMPLATES[1:]]
    people = Style(*(part.unsqueeze(1) for part in stack(*PEOPLE)))
    codes, present = people.dressed_in(stack(*(stack(*choice) for choice in choices)), added=added)
    for row, (person, choice) in enumerate(zip(PEOPLE, choices, strict=True)):
        for column, template in enumerate(choice):
            wanted = one_by_one(person, template, CLOTHING_REGIONS, added)
            assert torch.equal(codes[row, column], wanted.codes)
            assert torch.equal(present[row, column], wanted.present)


def test_the_template_learns_only_by_what_is_taken_of_it() -> None:
    person, template = PEOPLE[0], TEMPLATES[1]
    template = Style(template.codes.clone().requires_grad_(), template.present)
    person.dressed_in(template).codes.sum().backward()
    gradient = template.codes.grad
    assert gradient is not None
    assert gradient.any(1).nonzero().flatten().tolist() == [3, 4]


def test_a_generator_gives_a_style() -> None:
    parsing = torch.zeros(2, 8, 32, 32)
    parsing[:, Region.SKIN] = 1
    with torch.no_grad():
        style = Generator(4).style(torch.zeros(2, 3, 32, 32), parsing)
    assert isinstance(style, Style)
    codes, present = style
    assert (codes.shape, present.tolist()) == ((2, 9, 16), [[0, 0, 0, 0, 0, 0, 1, 0]] * 2)
