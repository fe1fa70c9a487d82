"""Dynamic and static-dynamic shuffle against Kronecker products, permutations and formulas of their gradients."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.operators.channel_shuffle import channel_shuffle
from search_spaces.operators.dynamic_shuffle import (
    DynamicShuffle,
    StaticDynamicShuffle,
    exact_assignment,
    gather_channels,
    gram_error,
    kronecker_mix,
    near_square,
    set_binarised,
    set_exact,
    shuffle_regulariser,
    straight_through,
)


def shuffle_of(channels=24, groups=2, *, per_group=False, scale=30.0):
    """A layer that depends on its input strongly, in float64."""
    torch.manual_seed(0)
    layer = DynamicShuffle(channels, groups=groups, per_group=per_group).double()
    with torch.no_grad():
        layer.generator.expand.weight.mul_(scale)
    return layer


def features(batch=3, channels=24):
    generator = torch.Generator().manual_seed(1)
    means = 3 * torch.randn(batch, channels, 1, 1, generator=generator, dtype=torch.float64)
    return means + torch.randn(batch, channels, 4, 3, generator=generator, dtype=torch.float64)


def by_kron(x, left, right, groups):
    """Every group's c×c product built and applied, then the fixed shuffle."""
    size = x.shape[1] // groups
    parts = []
    for g in range(groups):
        pick = min(g, left.shape[1] - 1)
        whole = torch.stack([torch.kron(a, b) for a, b in zip(left[:, pick], right[:, pick], strict=True)])
        parts.append(torch.einsum("noc,nchw->nohw", whole, x[:, g * size : (g + 1) * size]))
    return channel_shuffle(torch.cat(parts, 1), groups)


@pytest.mark.parametrize(("number", "pair"), [(1, (1, 1)), (7, (1, 7)), (12, (3, 4)), (16, (4, 4)), (58, (2, 29))])
def test_near_square(number, pair):
    assert near_square(number) == pair


@pytest.mark.parametrize("per_group", [False, True])
@pytest.mark.parametrize("binarised", [False, True])
def test_training_equals_the_kronecker_product(per_group, binarised):
    layer, x = shuffle_of(per_group=per_group), features()
    set_binarised(layer, binarised)
    left, right = layer.matrices(x)
    if binarised:
        left, right = straight_through(left), straight_through(right)
    torch.testing.assert_close(layer(x), by_kron(x, left, right, 2))


@pytest.mark.parametrize("per_group", [False, True])
def test_evaluation_is_binarised_training(per_group):
    layer, x = shuffle_of(per_group=per_group), features()
    set_binarised(layer, True)
    torch.testing.assert_close(layer.eval()(x), layer.train()(x))
    assert len({tuple(row) for row in layer.order(x).tolist()}) > 1  # the order depends on the image


@pytest.mark.parametrize(("channels", "groups"), [(24, 3), (116, 2), (8, 2), (4, 2), (3, 3)])
def test_begins_as_the_fixed_shuffle(channels, groups):
    torch.manual_seed(0)
    x = torch.randn(8, channels, 4, 4)
    assert torch.equal(DynamicShuffle(channels, groups=groups).eval()(x), channel_shuffle(x, groups))


def test_straight_through_gradient_is_the_soft_one():
    logits = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(2, 3, 4, dtype=torch.float64)
    soft = logits.softmax(-1)
    hard = straight_through(soft)
    assert torch.equal(hard, torch.nn.functional.one_hot(logits.argmax(-1), 4).double())
    (grad,) = torch.autograd.grad((hard * upstream).sum(), logits)
    formula = soft * (upstream - (soft * upstream).sum(-1, keepdim=True))
    torch.testing.assert_close(grad, formula)


def test_binarised_layer_gradient_by_formula():
    """dL/dA[i, k] = Σ over pixels, j and l of dL/dy[i, j]·B[j, l]·x[k, l] with one-hot B, passed on through the soft A."""
    layer, x = shuffle_of(12, 1), features(channels=12)
    set_binarised(layer, True)
    a, b = near_square(12)
    upstream = torch.randn(3, 12, 4, 3, dtype=torch.float64)
    soft = [matrix.detach().requires_grad_() for matrix in layer.matrices(x)]
    left, right = (straight_through(matrix) for matrix in soft)
    (kronecker_mix(x, left, right).flatten(1, 2) * upstream).sum().backward()
    grid, out = x.reshape(3, a, b, 12), upstream.reshape(3, a, b, 12)
    formula = torch.einsum("nijp,njl,nklp->nik", out, right[:, 0].detach(), grid)
    torch.testing.assert_close(soft[0].grad[:, 0], formula)


def test_gradcheck():
    x = features(1, 6).requires_grad_()
    assert torch.autograd.gradcheck(shuffle_of(6, 1, scale=1.0), (x,))
    assert torch.autograd.gradcheck(StaticDynamicShuffle(6, 8, groups=2).double(), (x,))
    assert torch.autograd.gradcheck(StaticDynamicShuffle(6, 4, groups=2, per_group=True).double(), (x,))


def test_regulariser():
    layer, x = shuffle_of(), features()
    layer(x)
    left, right = layer.matrices(x)
    wanted = torch.stack(
        [torch.linalg.norm(m @ m.mT - torch.eye(m.shape[-1], dtype=m.dtype)) ** 2 for m in (*left[:, 0], *right[:, 0])]
    )
    torch.testing.assert_close(shuffle_regulariser(layer), wanted.sum() / len(x))
    both = torch.nn.Sequential(layer, shuffle_of(per_group=True))
    both(x)
    torch.testing.assert_close(shuffle_regulariser(both), (both[0].penalty + both[1].penalty) / 2)
    shuffle_regulariser(both).backward()
    assert layer.generator.expand.weight.grad.abs().sum() > 0
    assert shuffle_regulariser(torch.nn.Identity()) == 0


def test_regularised_rows_become_a_permutation():
    torch.manual_seed(3)
    logits = torch.randn(1, 5, 5, requires_grad=True)
    descent = torch.optim.Adam([logits], lr=0.1)
    for _ in range(300):
        descent.zero_grad()
        gram_error(logits.softmax(-1)).square().sum().backward()
        descent.step()
    assert sorted(logits.argmax(-1)[0].tolist()) == [0, 1, 2, 3, 4]


def test_exact_assignment_is_the_nearest_permutation():
    from itertools import permutations

    generator = torch.Generator().manual_seed(2)
    matrix = torch.rand(3, 4, 4, generator=generator)
    got = exact_assignment(matrix)
    for one, order in zip(matrix, got.tolist(), strict=True):
        best = max(permutations(range(4)), key=lambda p: sum(one[i, j].item() for i, j in enumerate(p)))
        assert tuple(order) == best


def test_distance_and_exact_evaluation():
    layer, x = shuffle_of(scale=200.0), features()
    assert layer.distance(x) > 0
    layer.eval()
    assert layer.distance(x) > 0  # the arg-max takes some channel twice here
    set_exact(layer, True)
    assert layer.distance(x) == 0
    assert all(sorted(order) == list(range(24)) for order in layer.order(x).tolist())
    with pytest.raises(Exception, match="exact assignment runs on the host"):
        torch.compile(layer, fullgraph=True, backend="eager")(x)


def test_gather_channels():
    x = torch.arange(24.0).reshape(2, 4, 3, 1)
    index = torch.tensor([[3, 0], [1, 1]])
    assert torch.equal(gather_channels(x, index), torch.stack([x[0, [3, 0]], x[1, [1, 1]]]))


@pytest.mark.parametrize("per_group", [False, True])
@pytest.mark.parametrize(("c_in", "c_out"), [(24, 24), (24, 48), (48, 24)])
def test_static_dynamic_equals_the_kronecker_product(c_in, c_out, per_group):
    torch.manual_seed(0)
    layer = StaticDynamicShuffle(c_in, c_out, groups=2, per_group=per_group).double()
    x = features(channels=c_in)
    left, right = layer.generator(x)
    wanted = by_kron(x, layer.left + left.softmax(-1), layer.right + right.softmax(-1), 2)
    torch.testing.assert_close(layer(x), wanted)


@pytest.mark.parametrize(
    ("c_in", "c_out", "groups"), [(256, 256, 1), (64, 384, 1), (384, 64, 1), (64, 64, 4), (32, 32, 32)]
)
def test_static_dynamic_keeps_the_variance(c_in, c_out, groups):
    torch.manual_seed(0)
    ratios = []
    for _ in range(30):
        with torch.no_grad():
            y = StaticDynamicShuffle(c_in, c_out, groups=groups)(torch.randn(4, c_in, 8, 8))
        ratios.append(y.square().mean())
    assert 0.85 < torch.stack(ratios).mean() < 1.15


def test_costs():
    def macs(layer, channels):
        counter = FlopCounterMode(display=False)
        with counter:
            layer.eval().to("meta")(torch.empty(1, channels, 14, 14, device="meta"))
        return counter.get_total_flops() // 2

    generator = 256 * 16 + 16 * 2 * 16 * 16
    assert macs(DynamicShuffle(256, groups=1), 256) == generator
    assert macs(StaticDynamicShuffle(256, 256), 256) == 32 * 256 * 14 * 14 + generator
    # the cheaper of both orders: 144 -> 24 channels are (12, 12) -> (4, 6)
    assert macs(StaticDynamicShuffle(144, 24), 144) == 14 * 14 * 4 * 12 * (12 + 6) + 144 * 9 + 9 * (4 * 12 + 6 * 12)


@pytest.mark.parametrize("make", [DynamicShuffle, lambda c, groups: StaticDynamicShuffle(c, c, groups=groups)])
def test_groups_must_divide(make):
    with pytest.raises(ValueError, match="groups must divide the channels"):
        make(10, groups=4)
