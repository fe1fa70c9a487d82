"""PiX, Pick-or-Mix: squeezes channels by an input-dependent choice of maximum or mean; plain PyTorch, the specification."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from search_spaces.kernels.dispatch import with_fast_path
from search_spaces.kernels.pix import compiled_pix, fast_pix
from search_spaces.operators.layout import like_layout


def largest_or_mean(x: Tensor, picks: Tensor, zeta: int) -> Tensor:
    """Of each subset the maximum where `picks`, else the mean: (N, K·ζ, H, W), (N, K, 1, 1) -> (N, K, H, W)."""
    wide = torch.float32 if x.dtype in {torch.bfloat16, torch.float16} else x.dtype
    largest, total = x[:, ::zeta], x[:, ::zeta].to(wide)
    for i in range(1, zeta):
        part = x[:, i::zeta]
        largest, total = torch.maximum(largest, part), total + part
    return torch.where(picks, largest, (total / zeta).to(x.dtype))


class PickOrMix(torch.autograd.Function):
    """`pick_or_mix` where ζ divides the channels, and its gradient.

    `max` with indices, which sends the gradient to one channel too, is thirty times as slow on a CPU as a chain of maxima.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, p: Tensor, zeta: int, tau: float) -> Tensor:
        """(N, K·ζ, H, W), (N, K) -> (N, K, H, W)."""
        gate = p[:, :, None, None]
        chosen = largest_or_mean(x, gate < tau, zeta)
        ctx.save_for_backward(x, p, chosen)
        ctx.zeta, ctx.tau = zeta, tau
        return gate.to(x.dtype) * chosen

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """The picked gradient goes to the first maximal channel; dL/dp is the sum over pixels of chosen·dL/dy."""
        x, p, chosen = ctx.saved_tensors
        gate = p[:, :, None, None]
        if torch.is_grad_enabled():  # to be differentiated again, as a function of x
            chosen = largest_or_mean(x, gate < ctx.tau, ctx.zeta)
        scaled = grad * gate.to(x.dtype)
        mixed = torch.where(gate < ctx.tau, torch.zeros_like(scaled), scaled / ctx.zeta)
        left = (gate < ctx.tau).expand_as(chosen)
        grad_x = torch.empty_like(x)
        for i in range(ctx.zeta):
            first = left & (x[:, i :: ctx.zeta] == chosen)
            grad_x[:, i :: ctx.zeta] = torch.where(first, scaled, mixed)
            left = left & ~first
        return grad_x, (grad * chosen).sum((2, 3)).to(p.dtype), None, None


def pick_or_mix(x: Tensor, p: Tensor, *, zeta: int, tau: float = 0.5) -> Tensor:
    """Output channel k is p·max over channels kζ … kζ+ζ−1 where p < τ (pick), p·mean where p ≥ τ (mix).

    Shapes x (N, C, H, W), p (N, ⌈C/ζ⌉) -> (N, ⌈C/ζ⌉, H, W). The last subset is shorter where ζ does not divide C, and its
    mean is over its real members. Backward, the picked gradient goes to the first maximal channel alone, and the choice
    itself has none. No multiply-adds of a matrix product: one read of x and one write of y.

    Pick-or-Mix: Dynamic Channel Sampling for ConvNets (Kumar, Kim, Park, Behera; CVPR 2024), section 3.

    Raises:
        ValueError: ζ is not from 1 to C, or p has not one value for every subset.
    """
    channels = x.shape[1]
    if not 1 <= zeta <= channels:
        raise ValueError(f"zeta must be from 1 to the number of channels, {channels}; got {zeta}")
    subsets = -(-channels // zeta)
    if p.dim() != 2 or p.shape[1] != subsets:
        raise ValueError(f"p must be (N, {subsets}) for {channels} channels and zeta {zeta}; got {tuple(p.shape)}")
    if zeta == 1:
        return p.to(x.dtype)[:, :, None, None] * x
    whole = channels // zeta
    y: Tensor = PickOrMix.apply(x[:, : whole * zeta], p[:, :whole], zeta, tau)
    if whole < subsets:
        rest: Tensor = PickOrMix.apply(x[:, whole * zeta :], p[:, whole:], channels - whole * zeta, tau)
        y = torch.cat((y, rest), 1)
    return like_layout(y, x)


class PiX(nn.Module):
    """Squeezes C channels into ⌈C/ζ⌉: (N, C, H, W) -> (N, ⌈C/ζ⌉, H, W).

    p = sigmoid(W·GAP(x)) decides for each image and subset between maximum and mean, and scales it. Costs C·⌈C/ζ⌉
    multiply-adds an image where a 1×1 convolution with as many parameters costs them a pixel. CVPR 2024, equations 1–4.

    Raises:
        ValueError: ζ is not from 1 to C, or τ not from 0 to 1.
    """

    def __init__(self, channels: int, *, zeta: int, tau: float = 0.5) -> None:
        super().__init__()
        if not 1 <= zeta <= channels:
            raise ValueError(f"zeta must be from 1 to the number of channels, {channels}; got {zeta}")
        if not 0 <= tau <= 1:
            raise ValueError(f"tau is a threshold on a probability, from 0 (mix only) to 1 (pick only); got {tau}")
        self.channels, self.zeta, self.tau = channels, zeta, tau
        self.context = nn.Linear(channels, -(-channels // zeta), bias=False)

    @property
    def out_channels(self) -> int:
        """The number of subsets, ⌈C/ζ⌉."""
        return self.context.out_features

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        p = torch.sigmoid(self.context(x.mean((2, 3))))
        return pick_or_mix(x, p, zeta=self.zeta, tau=self.tau)

    def extra_repr(self) -> str:
        """The numbers of the printed module."""
        return f"channels={self.channels}, zeta={self.zeta}, tau={self.tau}"


with_fast_path(PiX, fast_pix, compiled=compiled_pix)
