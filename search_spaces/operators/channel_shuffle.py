"""The fixed channel shuffle, (groups, c) -> (c, groups); it knows no convolution."""

from __future__ import annotations

from torch import Tensor, nn


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Channel g·c + j becomes channel j·groups + g: (N, C, H, W) -> (N, C, H, W), no multiply-adds.

    ShuffleNet (Zhang et al., CVPR 2018), section 3.1.

    Raises:
        ValueError: the channels do not divide into the groups.
    """
    channels = x.shape[1]
    if groups < 1 or channels % groups:
        raise ValueError(f"shuffle groups must divide the channels, got {groups} groups of {channels} channels")
    if groups == 1:
        return x
    return x.unflatten(1, (groups, channels // groups)).transpose(1, 2).flatten(1, 2)


class ChannelShuffle(nn.Module):
    """`channel_shuffle` as a module: (N, C, H, W) -> (N, C, H, W), no parameters, no multiply-adds."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return channel_shuffle(x, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
