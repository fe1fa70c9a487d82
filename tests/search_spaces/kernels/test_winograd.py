"""The native 3×3 convolution against a direct one in double precision: sides, channels, bias, activations, residuals, threads."""

import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from search_spaces.kernels.convolution import FusedConv
from search_spaces.kernels.dispatch import available, plain_operators
from search_spaces.kernels.winograd import is_winograd, transformed, winograd

pytestmark = [
    pytest.mark.skipif(not available(), reason="the native kernels were not built"),
    pytest.mark.usefixtures("instructions"),
]


def last(*shape):
    return torch.randn(shape).contiguous(memory_format=torch.channels_last)


def exactly(conv, x):
    bias = None if conv.bias is None else conv.bias.double()
    return F.conv2d(x.double(), conv.weight.double(), bias, padding=1)


def agree(got, wanted):
    assert (got - wanted).abs().max() <= 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (5, 3), (7, 7), (14, 14), (9, 33)])
@pytest.mark.parametrize("channels", [(16, 16), (16, 48), (64, 32), (112, 80)])
@pytest.mark.parametrize("batch", [1, 5])
@torch.no_grad()
def test_equals_the_direct_convolution(threads, size, channels, batch):
    torch.manual_seed(0)
    conv = nn.Conv2d(*channels, 3, padding=1)
    x = last(batch, channels[0], *size)
    got = winograd(x, transformed(conv.weight), conv.bias)
    assert got.is_contiguous(memory_format=torch.channels_last)
    agree(got, exactly(conv, x))


@torch.no_grad()
def test_many_channels_stay_within_the_tolerance():
    torch.manual_seed(0)
    conv = nn.Conv2d(512, 512, 3, padding=1, bias=False)
    x = last(2, 512, 7, 7).relu()
    agree(winograd(x, transformed(conv.weight), torch.zeros(512)), exactly(conv, x))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@torch.no_grad()
def test_with_what_follows(bias, layout):
    torch.manual_seed(0)
    conv = nn.Conv2d(32, 48, 3, padding=1, bias=bias)
    x, residual = (torch.randn(2, c, 9, 6).contiguous(memory_format=layout) for c in (32, 48))
    direct = exactly(conv, x)
    agree(FusedConv(conv, "relu")(x), direct.relu())
    agree(FusedConv(conv, "swish")(x), F.silu(direct))
    agree(FusedConv(conv)(x, residual), direct + residual)
    before = residual.clone()
    agree(FusedConv(conv)(x, residual, "relu"), (direct + residual).relu())
    assert torch.equal(residual, before)


@torch.no_grad()
def test_what_is_not_a_number_stays():
    conv, x = nn.Conv2d(16, 16, 3, padding=1), last(1, 16, 8, 8)
    x[0, 0, 0, 0] = torch.nan
    y = FusedConv(conv, "relu")(x)
    assert y[0, :, :2, :2].isnan().all()
    assert not y[0, :, 4:, 4:].isnan().any()


@torch.no_grad()
def test_runs_in_its_place_and_nowhere_else():
    conv, x = nn.Conv2d(16, 32, 3, padding=1), last(1, 16, 8, 8)
    fused = FusedConv(conv, "relu")
    with plain_operators():
        plain = fused(x)
    assert fused._transformed is None
    agree(fused(x), plain)
    assert fused._transformed is not None
    assert fused._packed is None
    again = pickle.loads(pickle.dumps(fused))
    assert again._transformed is None
    assert torch.equal(again(x), fused(x))


@pytest.mark.parametrize(
    ("channels", "options"),
    [
        ((24, 32), {"padding": 1}),
        ((16, 24), {"padding": 1}),
        ((16, 16), {"padding": 0}),
        ((16, 16), {"padding": 1, "stride": 2}),
        ((16, 16), {"padding": 2, "dilation": 2}),
        ((16, 16), {"padding": 1, "groups": 16}),
        ((16, 16), {"padding": 1, "padding_mode": "reflect"}),
    ],
)
@torch.no_grad()
def test_other_convolutions_go_the_direct_way(channels, options):
    conv, x = nn.Conv2d(*channels, 3, **options), last(1, channels[0], 8, 8)
    assert not is_winograd(conv)
    if options.get("padding_mode") is None:
        fused = FusedConv(conv)
        agree(fused(x), conv(x))
        assert fused._transformed is None
