"""The native PiX against the plain one: values, gradients, layouts, threads."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.kernels.dispatch import available, plain_operators
from search_spaces.kernels.pix import FusedPiX, differentiable_pix, pix_forward, pix_operation
from search_spaces.operators.pix import PiX

pytestmark = pytest.mark.skipif(not available(), reason="the native kernels were not built")


def prepared(batch, channels, zeta, height, width, *, last, seed=0):
    """A layer, its input and a gradient, with no probability near the threshold."""
    torch.manual_seed(seed)
    layer = PiX(channels, zeta=zeta)
    layer.context.weight.data.mul_(8)
    x = torch.randn(batch, channels, height, width) + torch.randn(batch, channels, 1, 1)
    while (torch.sigmoid(layer.context(x.mean((2, 3)))) - 0.5).abs().min() < 1e-4:
        x = torch.randn(batch, channels, height, width) + torch.randn(batch, channels, 1, 1)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    return layer, x, torch.randn(batch, layer.out_channels, height, width)


def results(layer, x, grad):
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = layer(x)
    return y, *torch.autograd.grad(y, (x, layer.context.weight), grad)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("zeta", [1, 2, 3, 4, 5, 6, 8, 19])
@pytest.mark.parametrize(("batch", "channels"), [(1, 19), (5, 64), (2, 30), (9, 67)])
@pytest.mark.parametrize("size", [(1, 1), (17, 18)])
def test_equals_the_plain_layer(threads, instructions, last, zeta, batch, channels, size):
    layer, x, grad = prepared(batch, channels, zeta, *size, last=last)
    got = results(layer, x, grad)
    assert isinstance(got[0].grad_fn, FusedPiX._backward_cls)
    with plain_operators():
        wanted = results(layer, x, grad)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * float(other.detach().abs().max()))
    with torch.no_grad():
        torch.testing.assert_close(layer(x), wanted[0].detach(), rtol=1e-5, atol=1e-5)
        assert layer(x).is_contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_gradients_larger_than_the_caches(threads, instructions, last, batch):
    layer, x, grad = prepared(batch, 96, 4, 288 // batch, 288, last=last)
    got = results(layer, x, grad)
    with plain_operators():
        wanted = results(layer, x, grad)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * float(other.detach().abs().max()))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("zeta", [2, 3, 4, 6])
def test_the_first_of_equal_maxima_is_picked(instructions, last, zeta):
    layer = PiX(72, zeta=zeta)
    layer.context.weight.data.fill_(-1)
    x = torch.ones(2, 72, 3, 4)
    x = (x.contiguous(memory_format=torch.channels_last) if last else x).requires_grad_()
    p = torch.sigmoid(layer.context(x.mean((2, 3))))[0, 0].item()
    (grad,) = torch.autograd.grad(layer(x).sum(), x)
    members = grad.reshape(2, -1, zeta, 3, 4)
    torch.testing.assert_close(members[:, :, 1], members[:, :, -1])
    torch.testing.assert_close(members[:, :, 0] - members[:, :, 1], torch.full((2, 72 // zeta, 3, 4), p))


def test_a_given_pooling_is_used():
    layer, x, _ = prepared(3, 16, 4, 6, 6, last=False)
    y = pix_forward(x, layer.context.weight, zeta=4, tau=0.5, z=x.mean((2, 3)))[0]
    torch.testing.assert_close(y, layer(x))


def test_not_a_number_is_not_lost(instructions):
    layer, x, _ = prepared(2, 16, 4, 6, 6, last=False)
    x[0, 3, 2, 2] = float("nan")
    assert layer(x)[0].isnan().all() and layer(x)[1].isfinite().all()


@pytest.mark.parametrize("zeta", [1, 4, 5])
def test_gradients_can_be_differentiated_again(zeta):
    x = torch.randn(2, 11, 3, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(-(-11 // zeta), 11, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, w: differentiable_pix(x, w, zeta=zeta, tau=0.5), (x, weight))
    layer, x, _ = prepared(2, 11, zeta, 3, 3, last=False)
    x.requires_grad_()
    (grad,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    (again,) = torch.autograd.grad(grad.square().sum(), x)
    double = x.detach().double().requires_grad_()
    y = differentiable_pix(double, layer.context.weight.double(), zeta=zeta, tau=0.5)
    (wanted,) = torch.autograd.grad(y.square().sum(), double, create_graph=True)
    (wanted,) = torch.autograd.grad(wanted.square().sum(), double)
    torch.testing.assert_close(again.double(), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("last", [False, True])
@torch.no_grad()
def test_one_operation_of_a_compiled_graph(last):
    layer, x, _ = prepared(3, 22, 4, 5, 6, last=last)
    graphs = []
    compiled = torch.compile(layer, backend=lambda graph, _: graphs.append(graph) or graph.forward, fullgraph=True)
    got = compiled(x)
    called = {node.target for node in graphs[0].graph.nodes if node.op == "call_function"}
    assert called - {getattr} == {torch.ops.nas.pix.default}
    assert torch.equal(got, layer(x)) and got.stride() == layer(x).stride()
    torch.library.opcheck(pix_operation, (x, layer.context.weight, 4, 0.5))
    with FlopCounterMode(display=False) as counter:
        pix_operation(x, layer.context.weight, 4, 0.5)
    assert counter.get_total_flops() == 2 * 3 * 22 * 6
    exported = torch.export.export(layer, (x,))
    assert not any("nas" in str(node.target) for node in exported.graph.nodes)


def test_plain_where_a_compiled_graph_is_trained():
    layer, x, _ = prepared(2, 16, 4, 3, 3, last=False)
    graphs = []
    compiled = torch.compile(layer, backend=lambda graph, _: graphs.append(graph) or graph.forward, fullgraph=True)
    compiled(x).sum().backward()
    assert torch.ops.nas.pix.default not in {node.target for node in graphs[0].graph.nodes}
    assert layer.context.weight.grad.abs().sum() > 0


def test_only_what_is_asked_for():
    layer, x, grad = prepared(2, 16, 4, 3, 3, last=False)
    (only_w,) = torch.autograd.grad(layer(x), (layer.context.weight,), grad)
    assert only_w.isfinite().all()
    layer.requires_grad_(False)
    x.requires_grad_()
    (only_x,) = torch.autograd.grad(layer(x), (x,), grad)
    assert only_x.isfinite().all()
