"""PiX, Pick-or-Mix: squeezes channels by an input-dependent choice of maximum or mean; plain PyTorch, the specification."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.operators.layout import like_layout


def pick_or_mix(x: Tensor, p: Tensor, *, zeta: int, tau: float = 0.5) -> Tensor:
    """Output channel k is p·max over channels kζ … kζ+ζ−1 where p < τ (pick), p·mean where p ≥ τ (mix).

    Shapes x (N, C, H, W), p (N, ⌈C/ζ⌉) -> (N, ⌈C/ζ⌉, H, W). The last subset is shorter where ζ does not divide C, and its
    mean is over its real members. Backward, the picked gradient goes to the first maximal channel alone, and the choice
    itself has none. No multiply-adds of a matrix product: one read of x and one write of y.

    Pick-or-Mix: Dynamic Channel Sampling for ConvNets (Kumar, Kim, Park, Behera; CVPR 2024), section 3.

    Raises:
        ValueError: ζ is not from 1 to C, or p has not one value for every subset.
    """
    batch, channels, height, width = x.shape
    if not 1 <= zeta <= channels:
        raise ValueError(f"zeta must be from 1 to the number of channels, {channels}; got {zeta}")
    if p.dim() != 2 or p.shape[1] != -(-channels // zeta):
        raise ValueError(
            f"p must be (N, {-(-channels // zeta)}) for {channels} channels and zeta {zeta}; got {tuple(p.shape)}"
        )
    gate = p.to(x.dtype)[:, :, None, None]
    if zeta == 1:
        return gate * x
    whole = channels // zeta
    subsets = x[:, : whole * zeta].reshape(batch, whole, zeta, height, width)
    largest, mean = subsets.max(2).values, subsets.mean(2)
    if channels % zeta:
        rest = x[:, whole * zeta :]
        largest = torch.cat((largest, rest.max(1, keepdim=True).values), 1)
        mean = torch.cat((mean, rest.mean(1, keepdim=True)), 1)
    return like_layout(gate * torch.where((p < tau)[:, :, None, None], largest, mean), x)


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
