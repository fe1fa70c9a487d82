"""The native spatial multiplexing against the plain one: scales, kernels, strides, odd sides, threads."""

import pytest
import torch
from torch import nn

from search_spaces.inference import optimise
from search_spaces.kernels.dispatch import available, plain_operators
from search_spaces.kernels.multiplex import fast_multiplex
from search_spaces.operators.muxconv import InvertedResidual, SpatialMultiplex

pytestmark = [
    pytest.mark.skipif(not available(), reason="the native kernels were not built"),
    pytest.mark.usefixtures("instructions"),
]


def last(*shape):
    return torch.randn(shape).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("scales", [(0,), (-1,), (1,), (-1, 0, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(2, 1), (9, 7), (16, 33)])
@pytest.mark.parametrize("channels", [12, 156])
@torch.no_grad()
def test_equals_the_plain_layer(threads, scales, stride, size, channels):
    torch.manual_seed(0)
    layer = SpatialMultiplex(channels, kernels=(3, 5, 7)[: len(scales)], scales=scales, stride=stride)
    x = last(3, channels, *size)
    got = fast_multiplex(layer, x)
    with plain_operators():
        wanted = layer(x)
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(layer(x), got)


@pytest.mark.parametrize("activation", ["relu", "swish"])
@torch.no_grad()
def test_of_the_inference_form_too(activation):
    block = InvertedResidual(8, 8, kernels=(3, 5), scales=(-1, 0), expansion=6, activation=activation).eval()
    for norm in block.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_()
            norm.bias.normal_()
    x = last(2, 8, 9, 7)
    optimised = optimise(block)
    (mixed,) = (module for module in optimised.modules() if isinstance(module, SpatialMultiplex))
    assert fast_multiplex(mixed, last(2, 48, 9, 7)) is not None
    with plain_operators():
        wanted = block(x)
    torch.testing.assert_close(optimised(x), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))


@torch.no_grad()
def test_changed_weights_are_seen():
    layer, x = SpatialMultiplex(8, kernels=(3, 3), scales=(-1, 0)), last(1, 8, 6, 6)
    before = layer(x)
    layer.parts[0].weight.mul_(2)
    after = layer(x)
    torch.testing.assert_close(after[:, :4], 2 * before[:, :4])
    layer.parts[1].weight = nn.Parameter(torch.zeros_like(layer.parts[1].weight))
    assert not layer(x)[:, 4:].any()
    with torch.inference_mode():
        frozen = SpatialMultiplex(8, kernels=(3,), scales=(-1,))
        assert fast_multiplex(frozen, x) is not None


@torch.no_grad()
def test_not_a_number_is_not_lost():
    block = optimise(InvertedResidual(4, 4, kernels=(3, 5), scales=(-1, 0), expansion=15).eval())
    (mixed,) = (module for module in block.modules() if isinstance(module, SpatialMultiplex))
    x = last(1, 60, 6, 6)
    x[0, :, 3, 3] = float("nan")
    assert mixed(x)[0, :, 3, 3].isnan().all()


def test_plain_where_gradients_are_wanted():
    layer, x = SpatialMultiplex(8, kernels=(3,), scales=(-1,)), last(1, 8, 6, 6)
    assert fast_multiplex(layer, x) is None
    with torch.no_grad():
        assert fast_multiplex(layer, x.contiguous()) is None
        seen = []
        handle = layer.parts[0].register_forward_hook(lambda *_: seen.append(1))
        layer(x)
        handle.remove()
        assert seen
