"""Networks of other people's methods: shapes, numbers of parameters as their layers have them, and formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from data.runtime.errors import InputError
from trainer.baselines import LOMO, METHODS, make_baseline
from trainer.encoder import Encoder, make_encoder, make_lomo
from trainer.encoder.networks import Attention, Branches, Stripes
from trainer.encoder.networks.attention import Relations

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


@pytest.mark.parametrize(
    ("method", "dimensions", "parameters"),
    [
        ("twin", 2048, BODY),
        ("cal", 4096, BODY),
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
    assert isinstance(encoder.neck, nn.Identity) == (method in ("pcb", "mgn"))


def test_the_first_branch_sees_maps_half_as_large() -> None:
    body = paper("mgn").body
    assert isinstance(body, Branches)
    shared = body.shared.eval()(torch.zeros(1, 3, 384, 128))
    shapes = [tuple(branch.eval()(shared).shape[2:]) for branch in body.branches]
    assert shapes == [(12, 4), (24, 8), (24, 8)]


@pytest.mark.parametrize("method", ["pcb", "mgn", "rga-sc", "cal", "twin"])
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
    theta, phi, embedded = (f(x)[0].flatten(1) for f in (attend.theta, attend.phi, attend.embed))
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
