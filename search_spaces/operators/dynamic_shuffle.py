"""Dynamic and static-dynamic shuffle: channels permuted or mixed by two small matrices that the input decides."""

from __future__ import annotations

from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.kernels.dispatch import with_fast_path
from search_spaces.kernels.shuffle import fast_mix, fast_shuffle
from search_spaces.operators.layout import like_layout


def near_square(number: int) -> tuple[int, int]:
    """The factors (a, b) of a number that are closest to each other, a ≤ b."""
    a = next(a for a in range(isqrt(number), 0, -1) if number % a == 0)
    return a, number // a


def kronecker_mix(x: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """y[i·b' + j] = Σ_k Σ_l A[i, k] B[j, l] x[k·b + l] within each group, as two batched products, the cheaper order first.

    Shapes x (N, G·a·b, H, W), A (N, G or 1, a', a), B (N, G or 1, b', b) -> (N, G, a'·b', H, W).
    """
    (rows, a), (columns, b) = left.shape[-2:], right.shape[-2:]
    height, width = x.shape[2:]
    groups = x.shape[1] // (a * b)
    grid = x.reshape(-1, groups, a, b * height * width)
    if rows * b * (a + columns) <= a * columns * (b + rows):
        grid = torch.matmul(left, grid).reshape(-1, groups, rows, b, height * width)
        grid = torch.matmul(right.unsqueeze(2), grid)
    else:
        grid = torch.matmul(right.unsqueeze(2), grid.reshape(-1, groups, a, b, height * width))
        grid = torch.matmul(left, grid.reshape(-1, groups, a, columns * height * width))
    return grid.reshape(-1, groups, rows * columns, height, width)


def gather_channels(x: Tensor, index: Tensor) -> Tensor:
    """y[n, c] = x[n, index[n, c]]: (N, C, H, W), (N, C') -> (N, C', H, W), one read and one write."""
    batch, channels = x.shape[:2]
    start = torch.arange(batch, device=x.device).unsqueeze(1) * channels
    rows = x.reshape(-1, x.shape[2], x.shape[3]).index_select(0, (index + start).flatten())
    return like_layout(rows.reshape(batch, -1, x.shape[2], x.shape[3]), x)


def straight_through(soft: Tensor) -> Tensor:
    """Forward the one-hot row-wise arg-max, backward the soft matrix."""
    hard = F.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft.dtype)
    return hard + (soft - soft.detach())


def gram_error(matrix: Tensor) -> Tensor:
    """M·Mᵀ − I of the last two dimensions; it is zero for a row-stochastic square matrix exactly if that is a permutation."""
    return matrix @ matrix.transpose(-1, -2) - torch.eye(matrix.shape[-2], dtype=matrix.dtype, device=matrix.device)


def exact_assignment(matrix: Tensor) -> Tensor:
    """The permutation nearest to each matrix in the Frobenius norm (Hungarian, SciPy): (…, n, n) -> (…, n); host only."""
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - SciPy is needed here alone

    flat = matrix.detach().double().cpu().reshape(-1, *matrix.shape[-2:])
    columns = [torch.from_numpy(linear_sum_assignment(one.numpy(), maximize=True)[1]) for one in flat]
    return torch.stack(columns).reshape(matrix.shape[:-1]).to(matrix.device)


class ShuffleGenerator(nn.Module):
    """Context to two row-stochastic matrices: (N, C, H, W) -> logits (N, G', a', a) and (N, G', b', b).

    GAP, hidden h = ReLU(W1·z) of width max(8, C/16), logits W2·h + bias. Costs hidden·(C + G'·(a'a + b'b)) multiply-adds an
    image. arXiv 2310.02776, section 3.
    """

    def __init__(self, channels: int, left: tuple[int, int], right: tuple[int, int], *, matrices: int) -> None:
        super().__init__()
        self.left, self.right, self.matrices = left, right, matrices
        hidden = max(8, channels // 16)
        self.reduce = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, matrices * (left[0] * left[1] + right[0] * right[1]))
        nn.init.normal_(self.expand.weight, std=0.1 / hidden**0.5)
        nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of both matrices."""
        logits = self.expand(F.relu(self.reduce(x.mean((2, 3)))))
        left, right = torch.split(logits, [self.matrices * n * m for n, m in (self.left, self.right)], 1)
        return left.reshape(-1, self.matrices, *self.left), right.reshape(-1, self.matrices, *self.right)


class DynamicShuffle(nn.Module):
    """Permutes channels in an order that the input decides, then shuffles across groups: (N, C, H, W) -> (N, C, H, W).

    Within a group of c = a·b channels the order is A ⊗ B. In training the matrices are soft, or one-hot with the soft
    gradient where `binarised` is set (arXiv 2310.02776, sections 3.2–3.4); in evaluation they are always one-hot, so that
    the layer is one gather and has no multiply-adds but its generator's. It begins near the identity, so that an untrained
    layer is the fixed channel shuffle; the paper leaves the beginning open.

    A row-wise arg-max may take a channel twice: `distance` tells how far from a permutation the layer is, and `exact` makes
    evaluation take the nearest permutation instead (SciPy, on the host: it cannot be compiled or exported).

    Args:
        channels: C, a multiple of `groups`.
        groups: G.
        per_group: gives each group its own pair of matrices.

    Raises:
        ValueError: the groups do not divide the channels.
    """

    def __init__(self, channels: int, *, groups: int, per_group: bool = False) -> None:
        super().__init__()
        if groups < 1 or channels % groups:
            raise ValueError(f"shuffle groups must divide the channels, got {groups} groups of {channels} channels")
        self.channels, self.groups, self.per_group = channels, groups, per_group
        self.binarised, self.exact = False, False
        self.penalty: Tensor | None = None
        a, b = near_square(channels // groups)
        self.generator = ShuffleGenerator(channels, (a, a), (b, b), matrices=groups if per_group else 1)
        # Half of each row's probability lies on the diagonal; two thirds in a row of two, which would tie.
        with torch.no_grad():
            diagonals = [float(max(n - 1, 2)) * torch.ones(n) for n in (a, b)]
            eyes = [d.log().diag().flatten().repeat(self.generator.matrices) for d in diagonals]
            self.generator.expand.bias.copy_(torch.cat(eyes))

    def matrices(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The soft row-stochastic A (N, G', a, a) and B (N, G', b, b) of an input; G' is 1 where groups share them."""
        left, right = self.generator(x)
        return left.softmax(-1), right.softmax(-1)

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        if not self.training:
            return gather_channels(x, self.order(x))
        left, right = self.matrices(x)
        self.penalty = gram_error(left).square().sum((-1, -2)).mean() + gram_error(right).square().sum((-1, -2)).mean()
        if self.binarised:
            left, right = straight_through(left), straight_through(right)
        return like_layout(kronecker_mix(x, left, right).transpose(1, 2).flatten(1, 2), x)

    def order(self, x: Tensor) -> Tensor:
        """Which channel of the input each channel of the output takes: (N, C, H, W) -> (N, C)."""
        left, right = self._picks(x)
        size = self.channels // self.groups
        within = (left.unsqueeze(-1) * right.shape[-1] + right.unsqueeze(-2)).flatten(2)
        starts = torch.arange(0, self.channels, size, device=x.device).unsqueeze(1)
        return (within + starts).transpose(1, 2).flatten(1)

    def _picks(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if not self.exact:
            left, right = self.generator(x)
            return left.argmax(-1), right.argmax(-1)
        if torch.compiler.is_compiling():
            raise ValueError("exact assignment runs on the host and has no graph: call set_exact(network, False) first")
        left, right = self.matrices(x)
        return exact_assignment(left), exact_assignment(right)

    def distance(self, x: Tensor) -> Tensor:
        """Mean ‖M·Mᵀ − I‖_F over images and matrices, for the matrices that the layer would use on x: 0 is a permutation."""
        if self.training and not self.binarised:
            pair = self.matrices(x)
        else:
            left, right = self._picks(x)
            pair = F.one_hot(left, left.shape[-1]).to(x.dtype), F.one_hot(right, right.shape[-1]).to(x.dtype)
        norms = [gram_error(matrix).square().sum((-1, -2)).sqrt().mean() for matrix in pair]
        return (norms[0] + norms[1]) / 2

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "penalty": None}  # a tensor with a graph can be neither copied nor pickled

    def extra_repr(self) -> str:
        """The numbers of the printed module."""
        return f"channels={self.channels}, groups={self.groups}, per_group={self.per_group}"


class StaticDynamicShuffle(nn.Module):
    """Mixes channels by (S_A + A(x)) ⊗ (S_B + B(x)) in each group: (N, C_in, H, W) -> (N, C_out, H, W).

    S is learnt, one pair a group; A and B are soft. A light stand-in for a 1×1 convolution: with 256 channels and one group
    about 32·C·H·W multiply-adds instead of 256·C·H·W. It begins by keeping its input's variance. arXiv 2310.02776, section 3.5.

    Args:
        c_in: channels in, a multiple of `groups`.
        c_out: channels out, a multiple of `groups`.
        groups: G; they are shuffled afterwards, so that the next layer's groups see all of them.
        per_group: gives each group its own A and B too.

    Raises:
        ValueError: the groups do not divide both numbers of channels.
    """

    def __init__(self, c_in: int, c_out: int, *, groups: int = 1, per_group: bool = False) -> None:
        super().__init__()
        if groups < 1 or c_in % groups or c_out % groups:
            raise ValueError(f"groups must divide the channels in and out, got {groups} groups of {c_in} -> {c_out}")
        self.c_in, self.c_out, self.groups, self.per_group = c_in, c_out, groups, per_group
        (a, b), (rows, columns) = near_square(c_in // groups), near_square(c_out // groups)
        self.left = nn.Parameter(torch.empty(groups, rows, a))
        self.right = nn.Parameter(torch.empty(groups, columns, b))
        self.generator = ShuffleGenerator(c_in, (rows, a), (columns, b), matrices=groups if per_group else 1)
        for static in (self.left, self.right):
            # A row of n entries begins as 1/n + s, so Σ E(1/n + s)² = 1/n + n·Var s, which is to be 1.
            n = static.shape[-1]
            nn.init.normal_(static, std=((1 - 1 / n) / n) ** 0.5)

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        left, right = self.generator(x)
        mixed = kronecker_mix(x, self.left + left.softmax(-1), self.right + right.softmax(-1))
        return like_layout(mixed.transpose(1, 2).flatten(1, 2), x)

    def extra_repr(self) -> str:
        """The numbers of the printed module."""
        return f"{self.c_in}, {self.c_out}, groups={self.groups}, per_group={self.per_group}"


def shuffle_regulariser(network: nn.Module) -> Tensor:
    """R = ‖A·Aᵀ − I‖²_F + ‖B·Bᵀ − I‖²_F of the last training forward, averaged over batch and layers; 0 without such layers."""
    penalties = [m.penalty for m in network.modules() if isinstance(m, DynamicShuffle) and m.penalty is not None]
    return torch.stack(penalties).mean() if penalties else torch.zeros(())


def set_binarised(network: nn.Module, binarised: bool) -> None:
    """Training passes of every dynamic shuffle take one-hot matrices with the soft gradient, or soft ones."""
    for module in network.modules():
        if isinstance(module, DynamicShuffle):
            module.binarised = binarised


def set_exact(network: nn.Module, exact: bool) -> None:
    """Evaluation passes of every dynamic shuffle take the nearest permutation, or the row-wise arg-max."""
    for module in network.modules():
        if isinstance(module, DynamicShuffle):
            module.exact = exact


with_fast_path(DynamicShuffle, fast_shuffle)
with_fast_path(StaticDynamicShuffle, fast_mix)
