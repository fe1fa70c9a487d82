"""MUXConv's pieces by independent formulas, and its errors."""

import pytest
import torch
from torch import nn

from search_spaces.operators.channel_shuffle import channel_shuffle
from search_spaces.operators.gates import CBAM, SqueezeExcite
from search_spaces.operators.muxconv import (
    ChannelMultiplexBlock,
    InvertedResidual,
    SpatialMultiplex,
    channel_to_space,
    near_equal_split,
    space_to_channel,
)
from search_spaces.operators.pointwise import Pointwise


@pytest.mark.parametrize(("channels", "parts", "sizes"), [(10, 3, [4, 3, 3]), (672, 5, [136, 134, 134, 134, 134])])
def test_first_part_takes_the_remainder(channels, parts, sizes):
    assert near_equal_split(channels, parts) == sizes


@pytest.mark.parametrize("factor", [2, 3])
def test_space_and_channel_are_inverse(factor):
    x = torch.randn(2, 9 * 4, 6, 12)
    assert torch.equal(space_to_channel(channel_to_space(x, factor), factor), x)
    assert torch.equal(channel_to_space(space_to_channel(x, factor), factor), x)


def test_one_scale_is_a_depthwise_convolution():
    layer = SpatialMultiplex(6, kernels=(3, 3), scales=(0, 0), stride=2)
    plain = nn.Conv2d(6, 6, 3, stride=2, padding=1, groups=6, bias=False)
    plain.weight.data = torch.cat([part.weight.data for part in layer.parts])
    x = torch.randn(2, 6, 7, 9)
    torch.testing.assert_close(layer(x), plain(x))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(7, 5), (8, 6), (1, 1)])
def test_odd_sides_are_padded_and_cut(stride, size):
    layer = SpatialMultiplex(12, kernels=(3, 3, 3), scales=(-1, 0, 1), stride=stride)
    x = torch.randn(2, 12, *size)
    padded = torch.nn.functional.pad(x, (0, -size[1] % 4, 0, -size[0] % 4))
    y = layer(x)
    assert y.shape[2:] == tuple(-(-side // stride) for side in size)
    if size == (8, 6) or stride == 1:
        torch.testing.assert_close(y[:, 4:8], layer(padded)[:, 4:8, : y.shape[2], : y.shape[3]])


def test_channel_multiplex_passes_the_rest_and_shuffles():
    block = ChannelMultiplexBlock(12, ratio=0.25, shuffle_groups=3, expansion=2, group_width=2).eval()
    x = torch.randn(2, 12, 5, 5)
    wanted = torch.cat((block.inner(x[:, :3]), x[:, 3:]), 1)
    assert torch.equal(block(x), channel_shuffle(wanted, 3))


def test_channel_shuffle_order():
    x = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert channel_shuffle(x, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    assert torch.equal(channel_shuffle(channel_shuffle(x, 2), 3), x)
    assert torch.equal(channel_shuffle(x.repeat(1, 2, 1, 1), 4), torch.channel_shuffle(x.repeat(1, 2, 1, 1), 4))


def test_squeeze_excite_and_cbam_gate():
    x = torch.randn(2, 8, 5, 5)
    gate = SqueezeExcite(8, 3)
    inner = torch.relu(x.mean((2, 3)) @ gate.reduce.weight[:, :, 0, 0].T + gate.reduce.bias)
    scale = torch.sigmoid(inner @ gate.expand.weight[:, :, 0, 0].T + gate.expand.bias)
    torch.testing.assert_close(gate(x), x * scale[:, :, None, None])
    ratio = CBAM(8, 3)(x) / x
    assert ((ratio > 0) & (ratio < 1)).all()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: SpatialMultiplex(8, kernels=(3,), scales=(0, 0)), "one kernel and one scale a part"),
        (lambda: SpatialMultiplex(8, kernels=(4,), scales=(0,)), r"kernels must be odd, got \(4,\)"),
        (lambda: SpatialMultiplex(8, kernels=(3,), scales=(2,)), r"scales must be -1, 0 or 1, got \(2,\)"),
        (lambda: SpatialMultiplex(6, kernels=(3,), scales=(1,)), r"multiple of 4 channels, got 6 of 6"),
        (lambda: ChannelMultiplexBlock(8, ratio=1.0), "to process and to pass, got 1.0 of 8"),
        (lambda: ChannelMultiplexBlock(9, shuffle_groups=2), "shuffle groups must divide"),
        (lambda: InvertedResidual(8, 8, kernels=(3, 5), group_width=2), "group_width must divide the 48 hidden"),
        (lambda: InvertedResidual(8, 8, expansion=0), "expansion must leave a hidden channel"),
        (
            lambda: InvertedResidual(8, 8, activation="gelu"),
            "activation must be relu, relu6, swish or none, got 'gelu'",
        ),
        (lambda: SqueezeExcite(8, 0), "one hidden unit or more, got 0"),
        (lambda: Pointwise(8, 9, groups=2), "got 2 groups of 8 -> 9"),
    ],
)
def test_errors(make, text):
    with pytest.raises(ValueError, match=text):
        make()
