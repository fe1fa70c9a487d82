"""The fixed channel shuffle, (groups, c) -> (c, groups); it knows no convolution."""

from __future__ import annotations

from torch import Tensor, nn

from search_spaces.operators.layout import like_layout


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Channel g·c + j becomes channel j·groups + g: (N, C, H, W) -> (N, C, H, W), no multiply-adds.

    ShuffleNet (Zhang et al., CVPR 2018), section 3.1.

    Raises:
        ValueError: the channels do not divide into the groups.
    """
    batch, channels, height, width = x.shape
    if groups < 1 or channels % groups:
        raise ValueError(f"shuffle groups must divide the channels, got {groups} groups of {channels} channels")
    if groups == 1:
        return x
    grid = x.reshape(batch, groups, channels // groups, height, width)
    return like_layout(grid.transpose(1, 2).flatten(1, 2), x)


class ChannelShuffle(nn.Module):
    """`channel_shuffle` as a module: (N, C, H, W) -> (N, C, H, W), no parameters, no multiply-adds."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        return channel_shuffle(x, self.groups)

    def extra_repr(self) -> str:
        """The numbers of the printed module."""
        return f"groups={self.groups}"
