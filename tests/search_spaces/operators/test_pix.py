"""PiX by independent formulas, its gradients and its errors."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.operators.pix import PiX, pick_or_mix


def by_loops(x, p, zeta, tau):
    """The definition, one output channel at a time."""
    y = torch.empty(x.shape[0], p.shape[1], *x.shape[2:], dtype=x.dtype)
    for n in range(x.shape[0]):
        for k in range(p.shape[1]):
            subset = x[n, k * zeta : (k + 1) * zeta]
            y[n, k] = p[n, k] * (subset.max(0).values if p[n, k] < tau else subset.mean(0))
    return y


@settings(max_examples=40, deadline=None)
@given(
    channels=st.integers(1, 20),
    zeta=st.integers(1, 20),
    tau=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    channels_last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_equals_the_definition(channels, zeta, tau, channels_last, seed):
    zeta = min(zeta, channels)
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, channels, 3, 5, generator=generator, dtype=torch.float64)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    p = torch.rand(2, -(-channels // zeta), generator=generator, dtype=torch.float64)
    torch.testing.assert_close(pick_or_mix(x, p, zeta=zeta, tau=tau), by_loops(x, p, zeta, tau))


@pytest.mark.parametrize("zeta", [1, 2, 4, 5])
def test_gradients(zeta):
    x = torch.randn(2, 8, 3, 3, dtype=torch.float64, requires_grad=True)
    p = torch.rand(2, -(-8 // zeta), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, p: pick_or_mix(x, p, zeta=zeta, tau=0.5), (x, p))
    assert torch.autograd.gradgradcheck(lambda x, p: pick_or_mix(x, p, zeta=zeta, tau=0.5), (x, p))
    layer = PiX(8, zeta=zeta).double()
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize("channels_last", [False, True])
def test_equal_maxima_give_the_gradient_to_the_first(channels_last):
    x = torch.zeros(1, 6, 2, 2)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    pick_or_mix(x, torch.full((1, 2), 0.4), zeta=3).sum().backward()
    assert x.grad[0, :, 0, 0].tolist() == pytest.approx([0.4, 0, 0, 0.4, 0, 0])


def test_branches_depend_on_the_image():
    torch.manual_seed(0)
    layer = PiX(24, zeta=4)
    layer.context.weight.data.mul_(20)
    p = torch.sigmoid(layer.context(torch.randn(64, 24)))
    assert ((p < 0.5).any(0) & (p >= 0.5).any(0)).all()


def test_costs_its_weights_once_an_image():
    layer = PiX(32, zeta=5).to("meta")
    counter = FlopCounterMode(display=False)
    with counter:
        assert layer(torch.empty(1, 32, 9, 9, device="meta")).shape == (1, 7, 9, 9)
    assert counter.get_total_flops() // 2 == 32 * 7 == sum(p.numel() for p in layer.parameters())


def test_errors_say_the_rule_and_the_value():
    x = torch.zeros(2, 8, 1, 1)
    with pytest.raises(ValueError, match="zeta must be from 1 to the number of channels, 8; got 9"):
        pick_or_mix(x, torch.zeros(2, 1), zeta=9)
    with pytest.raises(ValueError, match=r"p must be \(N, 4\) for 8 channels and zeta 2; got \(2, 3\)"):
        pick_or_mix(x, torch.zeros(2, 3), zeta=2)
    with pytest.raises(ValueError, match="got 0"):
        PiX(8, zeta=0)
    with pytest.raises(ValueError, match=r"from 0 \(mix only\) to 1 \(pick only\); got 2"):
        PiX(8, zeta=2, tau=2)
