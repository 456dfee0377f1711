"""Networks of other people's methods: shapes, numbers of parameters as their layers have them, and formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet50

from data.runtime.errors import InputError
from trainer.baselines import LOMO, METHODS, make_baseline
from trainer.encoder import Encoder, make_encoder, make_lomo
from trainer.encoder.networks import Attention, Branches, ShapeDistillation, Stripes
from trainer.encoder.networks.attention import Relations
from trainer.encoder.networks.shape import Detector, Elimination, Shape

RESNET = resnet50(weights=None)
BODY = 23_508_032
"""Parameters of ResNet-50 without its classifier."""


def count(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def paper(method: str, **settings: object) -> Encoder:
    return make_encoder(make_baseline(method, "paper", {"backbone_weights": "none", **settings}))


def relations(numbers: int, nodes: int) -> int:
    """Parameters of one attention as the public code lays it out: three embeddings, the affinities', the weights'."""
    inner, joint = numbers // 8, 1 + nodes // 8
    embeddings = 3 * (numbers * inner + 2 * inner)
    affinities = 2 * nodes * (nodes // 8) + 2 * (nodes // 8)
    return embeddings + affinities + joint * (joint // 8) + 2 * (joint // 8) + joint // 8 + 2


def elimination(width: int) -> int:
    """Parameters of `AdaIN_SE3` of the script: scale and bias, squeeze-and-excitation, two 1x1 convolutions."""
    return 2 * (2048 * width + width) + 2 * width * (width // 4) + width // 4 + width + 2 * (width * width + 3 * width)


SHAPE = sum(
    (inner + 1) * outer
    for inner, outer in ((3, 128), (13, 128), (128, 256), (256, 512), (512, 1024), (2 * 1024, 512), (512, 2048))
)
"""Parameters of `keypoint_embedding_2` of the authors' script."""


@pytest.mark.parametrize(
    ("method", "dimensions", "parameters"),
    [
        ("twin", 2048, BODY),
        ("cal", 4096, BODY),
        ("fsam", 2048, BODY),
        (
            "cesd",
            1024 + 2048,
            BODY
            + SHAPE
            + elimination(1024)
            + elimination(2048)
            + count(RESNET.conv1, RESNET.bn1, RESNET.layer1, RESNET.layer2)
            + 13 * (512 + 1),
        ),
        ("pcb", 6 * 2048, BODY + 2048 * 256 + 2 * 256),
        (
            "mgn",
            8 * 256,
            count(RESNET.conv1, RESNET.bn1, RESNET.layer1, RESNET.layer2, RESNET.layer3[0])
            + 3 * count(*RESNET.layer3[1:], RESNET.layer4)
            + 8 * (2048 * 256 + 2 * 256),
        ),
        (
            "rga-sc",
            2048,
            BODY
            + sum(
                relations(channels, places) + relations(places, channels)
                for channels, places in ((256, 64 * 32), (512, 32 * 16), (1024, 16 * 8), (2048, 16 * 8))
            ),
        ),
    ],
)
def test_on_resnet50_parameters_are_those_of_the_published_layers(
    method: str, dimensions: int, parameters: int
) -> None:
    encoder = paper(method)
    assert count(encoder.body) == parameters
    assert encoder.dimensions == dimensions
    assert isinstance(encoder.neck, nn.Identity) == (method in ("pcb", "mgn", "cesd"))


def test_the_first_branch_sees_maps_half_as_large() -> None:
    body = paper("mgn").body
    assert isinstance(body, Branches)
    shared = body.shared.eval()(torch.zeros(1, 3, 384, 128))
    shapes = [tuple(branch.eval()(shared).shape[2:]) for branch in body.branches]
    assert shapes == [(12, 4), (24, 8), (24, 8)]


@pytest.mark.parametrize("method", ["pcb", "mgn", "rga-sc", "cesd", "fsam", "cal", "twin"])
def test_on_the_small_backbone_features_have_unit_length(method: str) -> None:
    encoder = make_encoder(make_baseline(method, "walkers")).eval()
    features = encoder(torch.randn(3, 3, 64, 32))
    assert features.shape == (3, encoder.dimensions)
    assert torch.allclose(features.norm(dim=1), torch.ones(3), atol=1e-5)


def test_a_stripe_is_the_mean_of_its_rows() -> None:
    body = make_encoder(make_baseline("pcb", "walkers", {"height": 96})).body.eval()
    assert isinstance(body, Stripes)
    images = torch.randn(2, 3, 96, 32)
    maps = body.stages(images)
    assert maps.shape[2:] == (12, 4)
    means = torch.stack([maps[:, :, 2 * k : 2 * k + 2].mean(dim=(2, 3)) for k in range(6)], dim=2)
    assert torch.allclose(body.pooled(images).squeeze(3), means, atol=1e-6)
    vectors = nn.functional.normalize(means, dim=1).flatten(1)
    assert torch.allclose(body(images), vectors, atol=1e-5)


def test_branches_take_the_greatest_of_the_whole_and_of_stripes() -> None:
    body = make_encoder(make_baseline("mgn", "walkers", {"height": 96})).body.eval()
    assert isinstance(body, Branches)
    images = torch.randn(2, 3, 96, 32)
    maps = [branch(body.shared(images)) for branch in body.branches]
    assert [each.shape[2] for each in maps] == [6, 12, 12]
    pooled = [each.amax(dim=(2, 3)) for each in maps]
    pooled += [maps[1][:, :, 6 * k : 6 * k + 6].amax(dim=(2, 3)) for k in range(2)]
    pooled += [maps[2][:, :, 4 * k : 4 * k + 4].amax(dim=(2, 3)) for k in range(3)]
    wanted = [reduce(each[:, :, None, None]).flatten(1) for reduce, each in zip(body.reduce, pooled, strict=True)]
    assert torch.allclose(body.parts(images), torch.stack(wanted, dim=1), atol=1e-5)


@torch.no_grad()
def test_attention_weighs_a_node_by_its_relations_to_and_from_all_others() -> None:
    attend = Relations(16, 6).eval()
    x = torch.randn(1, 16, 3, 2)
    theta, phi, embedded = attend.embed(x)[0].flatten(1).chunk(3)
    nodes = [(row, column) for row in range(3) for column in range(2)]
    stacked = torch.empty(1, 12, 3, 2)
    for i, (row, column) in enumerate(nodes):
        to_all = [float(theta[:, i] @ phi[:, j]) for j in range(6)]
        from_all = [float(theta[:, j] @ phi[:, i]) for j in range(6)]
        stacked[0, :, row, column] = torch.tensor(to_all + from_all)
    joint = torch.cat([embedded.mean(0).view(1, 1, 3, 2), attend.relate(stacked)], dim=1)
    assert torch.allclose(attend(x), attend.weigh(joint) * x, atol=1e-5)


@torch.no_grad()
def test_attention_over_channels_weighs_whole_channels() -> None:
    body = make_encoder(make_baseline("rga-sc", "walkers")).body.eval()
    assert isinstance(body, Attention)
    over_channels = body.stages[2]
    for module in over_channels.modules():
        if isinstance(module, nn.BatchNorm2d):  # so that no ReLU takes everything away
            module.bias.fill_(1.0)
    x = torch.rand(1, 16, 32, 16) + 0.5
    weights = over_channels(x) / x
    assert torch.allclose(weights, weights.mean(dim=(2, 3), keepdim=True).expand_as(weights), atol=1e-5)
    assert 0 < float(weights.min()) < float(weights.max()) < 1


def evened(columns: list[Tensor]) -> list[Tensor]:
    """Give columns of numbers with mean 0 and variance 1 of each number over them."""
    stacked = torch.stack(columns)
    return list((stacked - stacked.mean(0)) / (stacked.var(0, correction=0) + 1e-5).sqrt())


@torch.no_grad()
def test_the_shape_code_is_the_greatest_relation_of_all_pairs_of_joints() -> None:
    shape = Shape(32)
    joints = torch.rand(13, 3)
    features = []
    for number, joint in enumerate(joints):
        features.append(shape.place(joint).relu() + (shape.kind.weight[:, number] + shape.kind.bias).relu())
    features = evened(features)
    for layer in shape.refine:
        features = evened([layer(feature).relu() for feature in features])
    pairs = evened([shape.relate(torch.cat([one, other])).relu() for one in features for other in features])
    code = torch.stack(evened([shape.encode(pair).relu() for pair in pairs])).amax(0)
    assert torch.allclose(shape(joints[None])[0], code, atol=1e-4)


@torch.no_grad()
def test_what_the_shape_does_not_explain_is_shared_out_channel_by_channel() -> None:
    """With modules for keeping and dropping that change nothing, both sum up to all there was and two evened maps."""
    module = Elimination(5, 8).eval()
    kept_in, dropped_in = [], []
    module.keep.register_forward_pre_hook(lambda _, given: kept_in.append(given[0]))
    module.drop.register_forward_pre_hook(lambda _, given: dropped_in.append(given[0]))
    x, code = torch.randn(2, 8, 4, 3), torch.randn(2, 5)
    kept, dropped = module(x, code)
    assert kept.shape == dropped.shape == x.shape
    squeeze, excite = (module.attend[number].get_parameter for number in (1, 3))
    for b in range(2):
        scale, shift = 1 + module.scale(code[b]), module.shift(code[b])
        even = torch.stack([(c - c.mean()) / (c.var(correction=0) + 1e-5).sqrt() for c in x[b]])
        shaped = torch.stack([scale[c] * even[c] + shift[c] for c in range(8)])
        means = (x[b] - shaped).mean(dim=(1, 2))
        hidden = (squeeze("weight")[:, :, 0, 0] @ means + squeeze("bias")).relu()
        share = (excite("weight")[:, :, 0, 0] @ hidden + excite("bias")).sigmoid()[:, None, None]
        assert torch.allclose(kept_in[0][b], shaped + share * (x[b] - shaped), atol=1e-4)
        assert torch.allclose(dropped_in[0][b], even + (1 - share) * (x[b] - shaped), atol=1e-4)


@torch.no_grad()
def test_a_joint_is_found_where_its_map_is_high(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = Detector([nn.Sequential(nn.Conv2d(3, 4, 1)), nn.Sequential(nn.Conv2d(4, 4, 1))])
    maps = torch.full((2, 13, 8, 4), -20.0)
    maps[0, 2, 6, 1] = 5.0
    monkeypatch.setattr(detector.maps, "forward", lambda images: maps)
    x, y, sure = detector(torch.zeros(2, 3, 16, 8))[0, 2].tolist()
    assert (x, y) == (pytest.approx(1.5 / 4, abs=1e-4), pytest.approx(6.5 / 8, abs=1e-4))
    assert sure > 0.99
    assert detector(torch.zeros(2, 3, 16, 8))[1, :, 2].max() < 0.01


def test_what_is_told_from_the_joints_does_not_move_them() -> None:
    body = make_encoder(make_baseline("cesd", "walkers")).body.train()
    assert isinstance(body, ShapeDistillation)
    parts = body.parts(torch.randn(4, 3, 64, 32))
    torch.cat([*parts.kept, *parts.dropped], dim=1).square().mean().backward()
    assert all(parameter.grad is None for parameter in body.detector.parameters())
    assert all(parameter.grad is not None for parameter in body.shape.parameters())


def test_a_backbone_of_unknown_stages_is_refused() -> None:
    with pytest.raises(InputError, match="works on the stages of small or of a ResNet"):
        paper("pcb", backbone="timm:resnet18", last_stride=2)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace")
@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_written_with_one_number_of_pictures_a_network_takes_any(method: str) -> None:
    """As an export to TorchScript or ONNX writes it."""
    config = make_baseline(method, "walkers", {} if method in LOMO else {"precision": "float32"})
    encoder = (make_lomo(config, 4) if method in LOMO else make_encoder(config)).eval()
    pictures = torch.rand(5, 3, config.height, config.width)
    traced = torch.jit.trace(encoder, (pictures[:2],), check_trace=False)
    for number in (1, 5):
        assert torch.allclose(traced(pictures[:number]), encoder(pictures[:number]), atol=1e-5)
