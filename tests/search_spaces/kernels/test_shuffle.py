"""The native gather and order of channels against the plain dynamic shuffle."""

import pytest
import torch

from search_spaces.kernels.dispatch import available, plain_operators
from search_spaces.kernels.shuffle import FixedShuffle, gather, pooled
from search_spaces.operators.channel_shuffle import channel_shuffle
from search_spaces.operators.dynamic_shuffle import (
    DynamicShuffle,
    StaticDynamicShuffle,
    gather_channels,
    set_exact,
)

pytestmark = [
    pytest.mark.skipif(not available(), reason="the native kernels were not built"),
    pytest.mark.usefixtures("threads", "instructions"),
]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (30, 31)])
def test_gather_and_pooling(layout, batch, size):
    x = torch.randn(batch, 24, *size).contiguous(memory_format=layout)
    index = torch.randint(0, 24, (batch, 37))
    got = gather(x, index)
    assert torch.equal(got, gather_channels(x, index)) and got.is_contiguous(memory_format=layout)
    torch.testing.assert_close(pooled(x), x.mean((2, 3)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("per_group", [False, True])
@pytest.mark.parametrize(("channels", "groups"), [(24, 3), (24, 1), (116, 2), (7, 7)])
@torch.no_grad()
def test_equals_the_plain_layer(layout, per_group, channels, groups):
    torch.manual_seed(0)
    layer = DynamicShuffle(channels, groups=groups, per_group=per_group).eval()
    layer.generator.expand.weight.mul_(60)
    x = (torch.randn(4, channels, 5, 6) + 3 * torch.randn(4, channels, 1, 1)).contiguous(memory_format=layout)
    with plain_operators():
        wanted = layer(x)
    assert torch.equal(layer(x), wanted)


def test_gradients_and_exact_assignment_stay_plain():
    layer = DynamicShuffle(27, groups=3).eval()
    torch.nn.init.zeros_(layer.generator.expand.weight)  # the fixed shuffle
    x = torch.randn(2, 27, 5, 6, requires_grad=True)
    layer(x).sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))
    set_exact(layer, True)
    assert torch.equal(layer(x.detach()), channel_shuffle(x, 3).detach())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fixed_shuffle(layout):
    x = torch.randn(3, 24, 9, 9).contiguous(memory_format=layout)
    wanted = channel_shuffle(x, 4)
    assert torch.equal(FixedShuffle(4)(x), wanted)
    with plain_operators():
        assert torch.equal(FixedShuffle(4)(x), wanted)


@pytest.mark.parametrize("per_group", [False, True])
@pytest.mark.parametrize(
    ("c_in", "c_out", "groups"), [(24, 24, 1), (256, 128, 1), (116, 232, 2), (18, 30, 3), (16, 64, 16)]
)
@torch.no_grad()
def test_static_dynamic(per_group, c_in, c_out, groups):
    torch.manual_seed(0)
    layer = StaticDynamicShuffle(c_in, c_out, groups=groups, per_group=per_group)
    x = torch.randn(4, c_in, 5, 6).contiguous(memory_format=torch.channels_last)
    with plain_operators():
        wanted = layer(x)
    got = layer(x)
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(layer(x[:1]), wanted[:1], rtol=1e-5, atol=1e-5)
