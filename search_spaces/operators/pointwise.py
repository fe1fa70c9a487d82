"""The 1×1 convolution, plain or grouped: the baseline that the other operators have to beat."""

from __future__ import annotations

from torch import nn


class Pointwise(nn.Conv2d):
    """Mixes all channels of a group at each pixel alike: (N, C_in, H, W) -> (N, C_out, H, W).

    Costs C_in·C_out/groups multiply-adds a pixel and as many parameters.

    Raises:
        ValueError: the groups do not divide both numbers of channels.
    """

    def __init__(self, c_in: int, c_out: int, *, groups: int = 1, stride: int = 1, bias: bool = False) -> None:
        if groups < 1 or c_in % groups or c_out % groups:
            raise ValueError(f"groups must divide the channels in and out, got {groups} groups of {c_in} -> {c_out}")
        super().__init__(c_in, c_out, 1, stride=stride, groups=groups, bias=bias)
