"""Agreement: right annotations of walkers agree, those that do not belong to the photo do not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from data.annotation import Annotation, Joint
from data.runtime.errors import InputError
from data.walkers.camera import CAMERAS, draw_shot
from data.walkers.person import draw_identity, draw_outfit
from data.walkers.render import render
from pipeline.annotate.agreement import DOUBTFUL, REFUSED, agreement, check_agreement
from pipeline.annotate.label_spaces import LABEL_SPACES

Spoil = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def people() -> list[Annotation]:
    rngs = [np.random.default_rng(seed) for seed in range(45)]
    drawn = [
        (draw_identity(rng), draw_outfit(rng), draw_shot(rng, CAMERAS["ABC"[seed % 3]]))
        for seed, rng in enumerate(rngs)
    ]
    return [render(*each, 128, 64)[1] for each in drawn]


def resized(labels: np.ndarray, height: int = 128, width: int = 64) -> np.ndarray:
    return np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))


def with_margins(labels: np.ndarray) -> np.ndarray:
    return resized(np.pad(labels, ((0, 0), (32, 32))))


def declared(labels: np.ndarray, right: str, wrong: str) -> np.ndarray:
    """The regions of a map written in one label space and read in another."""
    first = [int(np.flatnonzero(LABEL_SPACES[right] == region)[0]) for region in range(8)]
    return LABEL_SPACES[wrong][np.array(first)[labels]]


def mean(people: list[Annotation], spoil: Spoil) -> float:
    spoiled = [Annotation(*spoil(person.joints, person.parsing)) for person in people]
    return float(np.nanmean([agreement(each) for each in spoiled]))


def test_right_annotations_agree(people: list[Annotation]) -> None:
    assert mean(people, lambda joints, labels: (joints, labels)) > 0.93
    assert mean(people, lambda joints, labels: (joints * 3, resized(labels, 384, 192))) > 0.93


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda joints, labels: (joints, resized(np.rot90(labels))), id="before its EXIF rotation"),
        pytest.param(lambda joints, labels: (joints, np.rot90(labels, 2)), id="upside down"),
        pytest.param(lambda joints, labels: (joints / np.array([64, 128], np.float32), labels), id="joints of 0 to 1"),
        pytest.param(
            lambda joints, labels: (joints / np.array([32, 64], np.float32) - 1, labels), id="joints of -1 to 1"
        ),
        pytest.param(lambda joints, labels: (joints * 2, labels), id="a larger canvas"),
        pytest.param(lambda joints, labels: (joints / 2, labels), id="a smaller canvas"),
        pytest.param(lambda joints, labels: (joints + np.array([80, 0], np.float32), labels), id="somebody outside"),
        pytest.param(lambda joints, labels: (joints, declared(labels, "atr", "lip")), id="ATR read as LIP"),
        pytest.param(lambda joints, labels: (joints, declared(labels, "pise", "atr")), id="PISE read as ATR"),
        pytest.param(lambda joints, labels: (joints, declared(labels, "pise", "cihp")), id="PISE read as CIHP"),
    ],
)
def test_what_does_not_belong_to_the_photo_is_refused(people: list[Annotation], spoil: Spoil) -> None:
    assert mean(people, spoil) < REFUSED


def test_margins_are_doubtful(people: list[Annotation]) -> None:
    assert REFUSED < mean(people, lambda joints, labels: (joints, with_margins(labels))) < DOUBTFUL


def test_missing_joints_do_not_count(people: list[Annotation]) -> None:
    joints = people[0].joints.copy()
    joints[[Joint.NOSE, Joint.LEFT_EYE, Joint.RIGHT_EYE, Joint.LEFT_EAR, Joint.RIGHT_EAR]] = np.nan
    assert agreement(Annotation(joints, people[0].parsing)) > 0.7
    assert np.isnan(agreement(Annotation(np.full((18, 2), np.nan, np.float32), people[0].parsing)))


def test_a_third_is_refused_and_two_thirds_are_doubted(caplog: pytest.LogCaptureFixture) -> None:
    check_agreement([0.9, float("nan"), 0.6], "pose from a and parsing from b")
    check_agreement([], "nowhere")
    assert caplog.text == ""
    check_agreement([0.5, 0.4], "pose from a and parsing from b")
    assert "pose from a and parsing from b agree to 45% only" in caplog.text
    for cause in ("EXIF", "stretched", "--labels", "0 to 1", "canvas_width"):
        assert cause in caplog.text
    with pytest.raises(InputError, match=r"agree to 20% only, .* in 2 photos"):
        check_agreement([0.3, 0.1], "pose from a and parsing from b")
