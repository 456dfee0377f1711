"""Pose and parsing from pretrained models, by tiny random ones of the real classes; and the choice of an annotator."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data.annotation import Annotation, Joint, write_annotation
from data.photo import Photo
from data.runtime.errors import InputError
from pipeline.annotate import models as annotation_models
from pipeline.annotate.annotator import KeptAnnotations, PairedAnnotator, StoredAnnotations
from pipeline.annotate.blazepose import BlazePose
from pipeline.annotate.choose import choose_annotator
from pipeline.annotate.label_spaces import LABEL_SPACES
from pipeline.annotate.models import SegformerParsing, VitPose
from pipeline.annotate.parser import BuiltInAnnotator, BuiltInParsing
from pipeline.loaded import PROCESS

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SegFormer of 18 labels, in a folder."""
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=18, depths=[1] * 4, hidden_sizes=[8] * 4, num_attention_heads=[1] * 4, decoder_hidden_size=8
    )
    folder = tmp_path_factory.mktemp("segformer")
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(folder)
    transformers.SegformerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def poser(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ViTPose of 17 joints, in a folder."""
    torch.manual_seed(0)
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[16, 16], hidden_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=True)
    folder = tmp_path_factory.mktemp("vitpose")
    transformers.VitPoseForPoseEstimation(config).save_pretrained(folder)
    transformers.VitPoseImageProcessor(size={"height": 64, "width": 48}).save_pretrained(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def _nothing_stays_loaded() -> Iterator[None]:
    yield
    PROCESS.clear()


def photos(number: int = 6) -> list[Photo]:
    """More than go through a model at once, of two sizes."""
    sizes = [(128, 96), (96, 48)]
    return [
        Photo(Path(name), name, np.random.default_rng(seed).integers(0, 256, (*sizes[seed % 2], 3), np.uint8))
        for seed, name in enumerate(f"{number}.jpg" for number in range(number))
    ]


def test_a_parser_gives_each_photo_the_regions_of_its_labels(parser: str) -> None:
    given = photos()
    found = SegformerParsing(parser)(given)
    model = transformers.SegformerForSemanticSegmentation.from_pretrained(parser)
    processor = transformers.SegformerImageProcessor.from_pretrained(parser)
    for photo, parsing in zip(given, found, strict=True):
        image = photo.pixels
        with torch.no_grad():
            logits = model(**processor(images=[image], return_tensors="pt")).logits
        whole = torch.nn.functional.interpolate(logits, image.shape[:2], mode="bilinear")[0]
        wanted = LABEL_SPACES["atr"][whole.argmax(0).numpy()]
        assert parsing is not None
        assert parsing.shape == image.shape[:2]
        # Near-ties may fall either way, depending on the batch.
        assert (parsing == wanted).mean() > 0.99
        assert parsing.any()


def test_joints_are_in_openpose_order_in_pixels_of_the_photo(poser: str) -> None:
    peaks = [(joint % 4 * 2 + 3, joint // 4 * 2 + 3) for joint in range(17)]

    def dictated(_module: torch.nn.Module, _given: Any, output: Any) -> None:
        batch = output.heatmaps.shape[0]
        rows, columns = torch.arange(16.0)[:, None], torch.arange(12.0)
        maps = [torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4) for x, y in peaks]
        maps[9] *= 0.1
        output.heatmaps = torch.stack(maps).expand(batch, -1, -1, -1).clone()

    source = VitPose(poser, threshold=0.3)
    _, model = annotation_models._poser(poser, "cpu")
    model.register_forward_hook(dictated)
    (joints,) = source(photos(1))
    assert joints is not None
    assert joints.dtype == np.float32
    # The photo is 96 wide and 128 high; the model sees it with a margin of an eighth on each side.
    place = {
        joint: np.array([(x / 11 - 0.5) * 120 + 48, (y / 15 - 0.5) * 160 + 64]) for joint, (x, y) in enumerate(peaks)
    }
    coco = ["nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow",
            "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee",
            "left ankle", "right ankle"]  # fmt: skip
    for index, name in enumerate(joint.title for joint in Joint):
        if name == "left wrist":  # Below the threshold.
            assert np.isnan(joints[index]).all()
            continue
        wanted = (place[5] + place[6]) / 2 if name == "neck" else place[coco.index(name)]
        np.testing.assert_allclose(joints[index], wanted, atol=3)


def test_a_neck_needs_both_shoulders_and_a_person_some_joint(poser: str) -> None:
    source = VitPose(poser, threshold=0.5)
    scores = torch.ones(17)
    scores[5] = 0.4
    joints = source._joints(torch.arange(34.0).reshape(17, 2), scores)
    assert joints is not None
    assert set(np.flatnonzero(np.isnan(joints[:, 0]))) == {Joint.NECK, Joint.LEFT_SHOULDER}
    assert source._joints(torch.zeros(17, 2), torch.zeros(17)) is None


def test_digests_follow_weights_and_settings(parser: str, poser: str, tmp_path: Path) -> None:
    assert SegformerParsing(parser).digest == SegformerParsing(parser).digest
    assert VitPose(poser).digest != VitPose(poser, threshold=0.4).digest
    torch.manual_seed(1)
    transformers.VitPoseForPoseEstimation(transformers.VitPoseConfig.from_pretrained(poser)).save_pretrained(tmp_path)
    transformers.VitPoseImageProcessor.from_pretrained(poser).save_pretrained(tmp_path)
    assert VitPose(str(tmp_path)).digest != VitPose(poser).digest


def test_wrong_models_are_refused(parser: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tells 18 labels apart, but 'lip' has 20"):
        SegformerParsing(parser, labels="lip")
    with pytest.raises(InputError, match="label space 'coco' is unknown"):
        SegformerParsing(parser, labels="coco")
    with pytest.raises(InputError, match="no such model"):
        VitPose(str(tmp_path))


def test_without_a_connection_the_way_out_is_named_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    began = time.monotonic()
    for make in (VitPose, SegformerParsing):
        with pytest.raises(InputError, match=r"no connection to .* --keypoints and --parsing") as refused:
            make("nobody/has-this-model")
        assert "no such model" not in str(refused.value)
    assert time.monotonic() - began < 15


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, parser: str) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'sync-person-cloud\[annotate\]'"):
        SegformerParsing(parser)


def test_plain_photos_are_annotated_by_models_once(
    parser: str, poser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.annotate.annotator.FEWEST_JOINTS", 0)
    monkeypatch.setattr("pipeline.annotate.annotator.LEAST_CLOTHING", 0)
    annotator = choose_annotator(tmp_path, tmp_path / "kept", parsing_model=parser, pose_model=poser)
    assert isinstance(annotator, KeptAnnotations)
    sent = pickle.loads(pickle.dumps(annotator))
    first = sent(photos(2))
    assert sent.digest == annotator.digest
    monkeypatch.setattr(PairedAnnotator, "__call__", lambda *_: pytest.fail("annotated again"))
    for before, after in zip(first, annotator(photos(2)), strict=True):
        assert isinstance(before, Annotation)
        assert isinstance(after, Annotation)
        np.testing.assert_array_equal(before.parsing, after.parsing)
        np.testing.assert_array_equal(before.joints, after.joints)


def test_choice_of_an_annotator(parser: str, poser: str, tmp_path: Path) -> None:
    maps, points, kept = tmp_path / "maps", tmp_path / "points", tmp_path / "kept"
    maps.mkdir()
    points.mkdir()
    bands = np.repeat((np.arange(96) * 8 // 96).astype(np.uint8)[:, None], 48, 1)
    Image.fromarray(bands).save(maps / "1.png")
    person = np.stack([np.arange(18), np.arange(18), np.ones(18)], 1)
    (points / "1_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": person.ravel().tolist()}]}))
    one = replace(photos(2)[1], path=tmp_path / "1.jpg")

    files = choose_annotator(tmp_path, kept, parsing=maps, keypoints=points, labels="pise")
    (annotation,) = files([one])
    assert isinstance(annotation, Annotation)
    np.testing.assert_array_equal(annotation.parsing, bands)
    assert annotation.joints[3].tolist() == [3.5, 3.5]
    assert not kept.exists()

    mixed = choose_annotator(tmp_path, kept, parsing_model=parser, keypoints=points)
    assert isinstance(mixed, KeptAnnotations)
    assert mixed.digest != files.digest
    write_annotation(tmp_path, one.path, annotation)
    built_in = choose_annotator(tmp_path, kept, parsing=maps, labels="pise")
    assert isinstance(built_in, KeptAnnotations)
    assert isinstance(built_in.annotator, PairedAnnotator)
    assert isinstance(built_in.annotator.pose, BlazePose)
    assert isinstance(choose_annotator(tmp_path, kept), StoredAnnotations)
    plain = choose_annotator(tmp_path / "plain", kept)
    assert isinstance(plain, KeptAnnotations)
    assert isinstance(plain.annotator, BuiltInAnnotator)
    named = choose_annotator(tmp_path, kept, pose_model=poser)
    assert isinstance(named, KeptAnnotations)
    assert isinstance(named.annotator, PairedAnnotator)
    assert isinstance(named.annotator.parsing, BuiltInParsing)

    with pytest.raises(InputError, match="give one of these"):
        choose_annotator(tmp_path / "plain", kept, labels="lip")
    with pytest.raises(InputError, match="say which labels"):
        choose_annotator(tmp_path, kept, parsing=maps, pose_model=poser)
    with pytest.raises(InputError, match="either of them"):
        choose_annotator(tmp_path, kept, parsing=maps, parsing_model=parser)
    with pytest.raises(InputError, match="no such file of key points"):
        choose_annotator(tmp_path, kept, parsing=maps, labels="pise", keypoints=tmp_path / "absent")
