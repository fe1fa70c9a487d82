"""The inference form computes what the network computes, compiled, in ONNX, with other layouts and after pickling."""

import copy
import os
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from search_spaces import inference
from search_spaces.hosts.bottleneck import Bottleneck
from search_spaces.hosts.shuffle_unit import ShuffleUnitV2
from search_spaces.inference import optimise
from search_spaces.kernels.convolution import FusedConv, PairedConv, is_paired
from search_spaces.kernels.dispatch import available, plain_operators
from search_spaces.operators.muxconv import InvertedResidual
from search_spaces.published import build

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
NETWORKS = [
    "pix_resnet50",
    "pix_mobilenet_v2",
    "mobilenet_v2_static_dynamic",
    "muxnet_s",  # convolutions of two channels a group
    "shufflenet_v1_x0_5",
    "shufflenet_v1_x0_5_dynamic",
    "shufflenet_v2_x0_5_static_dynamic",
]


def with_statistics(network):
    """As after training: batch norms that do something."""
    torch.manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.1)
    return network.eval()


def agree(got, wanted):
    assert (got - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_equals_the_network(name):
    network = with_statistics(build(name, 10))
    before = copy.deepcopy(network.state_dict())
    optimised = optimise(network)
    x = torch.randn(2, 3, 64, 64)
    for _ in range(2):  # the first call packs weights
        agree(optimised(x), network(x))
    agree(optimised(x.contiguous(memory_format=torch.channels_last)), network(x))
    with plain_operators():
        agree(optimised(x), network(x))
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    if "static_dynamic" not in name:
        assert not any(isinstance(module, nn.BatchNorm2d) for module in optimised.modules())
    agree(pickle.loads(pickle.dumps(copy.deepcopy(optimised)))(x), network(x))


@pytest.mark.parametrize("scales", [(-1, 0), (0, 0), (-1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@torch.no_grad()
def test_parts_take_their_share_of_the_norm(scales, stride):
    block = with_statistics(
        InvertedResidual(
            8, 8, kernels=(3, 5), scales=scales, stride=stride, expansion=3, squeeze=0.5, activation="swish"
        )
    )
    x = torch.randn(2, 8, 9, 7)
    agree(optimise(block)(x), block(x))


@torch.no_grad()
def test_input_is_not_written_to():
    block = optimise(with_statistics(InvertedResidual(8, 8)))
    x = torch.randn(2, 8, 9, 7).contiguous(memory_format=torch.channels_last)
    before = x.clone()
    block(x)
    assert torch.equal(x, before)


def test_gradients_reach_the_input():
    network = optimise(with_statistics(build("shufflenet_v2_x0_5", 10)))
    x = torch.randn(1, 3, 32, 32, requires_grad=True)
    network(x).sum().backward()
    assert x.grad.abs().sum() > 0


@torch.no_grad()
def test_compiles():
    network = with_statistics(
        nn.Sequential(Bottleneck(16, 32, stride=2, squeeze="pix"), ShuffleUnitV2(32, 32, stride=1))
    )
    x = torch.randn(2, 16, 14, 14)
    agree(torch.compile(optimise(network), backend="aot_eager", fullgraph=True)(x), network(x))


@torch.no_grad()
def test_onnx(tmp_path):
    import onnxruntime

    network = with_statistics(
        nn.Sequential(Bottleneck(16, 32, stride=2, squeeze="pix"), ShuffleUnitV2(32, 32, stride=1, shuffle="dynamic"))
    )
    torch.onnx.export(
        optimise(network),
        (torch.randn(2, 16, 14, 14),),
        tmp_path / "network.onnx",
        dynamo=True,
        opset_version=20,
        input_names=["x"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    x = torch.randn(3, 16, 14, 14)
    (got,) = session.run(None, {"x": x.numpy()})
    np.testing.assert_allclose(got, network(x).numpy(), rtol=1e-3, atol=1e-4 * float(network(x).abs().max()))


@pytest.mark.parametrize("activation", ["none", "relu", "relu6", "swish", "hardswish"])
@pytest.mark.parametrize(("channels", "kernel", "stride"), [(2, 1, 1), (10, 3, 2), (34, 5, 1)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@torch.no_grad()
def test_two_channels_a_group(activation, channels, kernel, stride, layout):
    torch.manual_seed(0)
    convolution = nn.Conv2d(
        channels, channels, kernel, stride=stride, padding=kernel // 2, groups=channels // 2, bias=kernel > 1
    )
    fused = PairedConv(copy.deepcopy(convolution), activation)
    x = 4 * torch.randn(3, channels, 9, 7).contiguous(memory_format=layout)
    with plain_operators():
        wanted = fused(x)
    assert not available() or fused._taps is None
    for _ in range(2):
        agree(fused(x), wanted)
    assert (fused._taps is not None) == available()
    agree(pickle.loads(pickle.dumps(fused))(x[:1]), wanted[:1])
    plain = {"none": lambda y: y, "relu": F.relu, "relu6": F.relu6, "swish": F.silu, "hardswish": F.hardswish}[
        activation
    ]
    agree(wanted, plain(convolution(x)))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x0_5", "mobilenet_v2"])
@torch.no_grad()
def test_networks_of_torchvision(name):
    import torchvision

    network = with_statistics(torchvision.models.get_model(name, weights=None))
    optimised = optimise(network)
    x = torch.randn(2, 3, 64, 64)
    agree(optimised(x), network(x))
    with plain_operators():
        agree(optimised(x), network(x))
    if name == "mobilenet_v3_small":
        assert not any(isinstance(module, nn.BatchNorm2d) for module in optimised.modules())


def test_other_geometries_are_left_to_the_convolution():
    assert is_paired(nn.Conv2d(4, 4, 3, padding=1, groups=2))
    for geometry in (
        {"padding": 0},
        {"padding": 2, "dilation": 2},
        {"padding": 1, "stride": (1, 2)},
        {"padding": "same"},
    ):
        assert not is_paired(nn.Conv2d(4, 4, 3, groups=2, **geometry))
    assert not is_paired(nn.Conv2d(4, 4, (3, 1), padding=(1, 0), groups=2))
    assert not is_paired(nn.Conv2d(4, 4, 3, padding=1, groups=4))


@torch.no_grad()
def test_large_batches_go_in_portions(monkeypatch):
    monkeypatch.setattr(inference, "PORTION", 3 * 32 * 32)
    network = with_statistics(build("shufflenet_v2_x0_5", 10))
    optimised = optimise(network)
    sizes = []
    optimised.network.register_forward_pre_hook(lambda _, given: sizes.append(given[0].shape[0]))
    for size, portions in ((3, [3]), (7, [3, 3, 1]), (1, [1])):
        x = torch.randn(size, 3, 32, 32)
        sizes.clear()
        agree(optimised(x), network(x))
        assert sizes == portions
    sizes.clear()
    with plain_operators():
        optimised(torch.randn(7, 3, 32, 32))
    assert sizes == [7]


def test_unknown_activation():
    with pytest.raises(ValueError, match="activation must be one of none, relu, relu6, swish, hardswish, got 'gelu'"):
        FusedConv(nn.Conv2d(3, 3, 1), "gelu")
