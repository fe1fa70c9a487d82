"""Values of the Triton kernels by Triton's interpreter, which must be chosen before Triton is imported: test_gpu.py runs this file so."""

import os

import pytest
import torch

from search_spaces.kernels.dispatch import plain_operators
from search_spaces.kernels.pix import plain_backward
from search_spaces.operators.dynamic_shuffle import DynamicShuffle
from search_spaces.operators.pix import PiX

if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("run by test_gpu.py, in a process of its own", allow_module_level=True)

from search_spaces.kernels.gpu import pix, shuffle

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")

TYPES = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
LAYOUTS = {False: torch.contiguous_format, True: torch.channels_last}


def prepared(shape, zeta, *, last, dtype):
    """A layer, its input and a gradient that `dtype` can hold, with no probability near the threshold."""
    torch.manual_seed(0)
    layer = PiX(shape[1], zeta=zeta)
    layer.context.weight.data.mul_(8)
    gates = torch.full((1,), 0.5)
    while (gates - 0.5).abs().min() < 1e-2:
        x = (torch.randn(shape) + torch.randn(*shape[:2], 1, 1)).to(dtype).contiguous(memory_format=LAYOUTS[last])
        gates = torch.sigmoid(layer.context(x.float().mean((2, 3))))
    return layer, x, torch.randn(shape[0], layer.out_channels, *shape[2:]).to(dtype)


def close(got, wanted, dtype):
    torch.testing.assert_close(got.float(), wanted, rtol=0, atol=TYPES[dtype] * float(wanted.abs().max()) + 1e-12)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("shape", "zeta"),
    [
        ((2, 16, 6, 6), 4),
        ((3, 19, 5, 7), 3),
        ((2, 30, 1, 1), 5),
        ((1, 24, 9, 9), 1),
        ((1, 35, 11, 20), 8),
    ],
)
def test_pix_equals_the_plain_layer(shape, zeta, last, dtype):
    layer, x, grad = prepared(shape, zeta, last=last, dtype=dtype)
    weight = layer.context.weight.detach()
    with torch.no_grad(), plain_operators():
        wanted = layer(x.float())
    y, z, p, index = pix.pix_forward(x, weight, zeta=zeta, tau=0.5, indexed=True)
    assert y.dtype is dtype and y.is_contiguous(memory_format=LAYOUTS[last])
    close(y, wanted, dtype)
    assert torch.equal(pix.pix_forward(x, weight, zeta=zeta, tau=0.5)[0], y)
    grads = pix.pix_backward(grad, x, (weight, y, z, p, index), zeta=zeta, tau=0.5)
    assert grads[0].dtype is dtype and grads[0].is_contiguous(memory_format=LAYOUTS[last])
    for got, plain in zip(grads, plain_backward(grad.float(), x.float(), weight, zeta=zeta, tau=0.5), strict=True):
        close(got, plain, dtype)


def test_pixels_of_several_splits_are_summed():
    layer, x, grad = prepared((2, 4, 65, 65), 4, last=True, dtype=torch.float32)
    assert x[0, 0].numel() > pix.SPLIT
    weight = layer.context.weight.detach()
    y, z, p, index = pix.pix_forward(x, weight, zeta=4, tau=0.5, indexed=True)
    got = pix.pix_backward(grad, x, (weight, y, z, p, index), zeta=4, tau=0.5)[1]
    close(got, plain_backward(grad, x, weight, zeta=4, tau=0.5)[1], torch.float32)


@pytest.mark.parametrize("last", [False, True])
def test_the_first_of_equal_maxima_and_not_a_number(last):
    x = torch.ones(2, 12, 3, 4).contiguous(memory_format=LAYOUTS[last])
    weight = torch.full((3, 12), -1.0)
    assert not pix.pix_forward(x, weight, zeta=4, tau=0.5, indexed=True)[3].any()
    x[0, 6, 1, 2] = float("nan")
    y, _, _, index = pix.pix_forward(x, torch.zeros(3, 12), zeta=4, tau=0.6, indexed=True)
    assert y[0].isnan().all() and y[1].isfinite().all()  # the pooling of an image takes a not-a-number up
    assert index[0, 1, 1, 2] == 2


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    ("channels", "groups", "per_group", "size"), [(24, 2, False, (5, 7)), (36, 3, True, (4, 4)), (14, 2, False, (1, 1))]
)
@torch.no_grad()
def test_shuffle_equals_the_plain_layer(channels, groups, per_group, size, last):
    torch.manual_seed(0)
    layer = DynamicShuffle(channels, groups=groups, per_group=per_group).eval()
    layer.generator.expand.weight.mul_(30)
    x = (torch.randn(3, channels, *size) + torch.randn(3, channels, 1, 1)).contiguous(memory_format=LAYOUTS[last])
    with plain_operators():
        wanted = layer(x)
        left, right = layer.generator(x)
    assert len(wanted.flatten(1).unique(dim=0)) == 3
    logits = torch.cat((left.flatten(1), right.flatten(1)), 1)
    a, b = layer.generator.left[1], layer.generator.right[1]
    got = shuffle.shuffled(x, logits, groups=groups, matrices=layer.generator.matrices, a=a, b=b)
    assert torch.equal(got, wanted) and got.is_contiguous(memory_format=LAYOUTS[last])
