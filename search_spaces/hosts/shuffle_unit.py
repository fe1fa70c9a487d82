"""The ShuffleNet units; their shuffle is fixed, dynamic or static-dynamic."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.operators.channel_shuffle import ChannelShuffle
from search_spaces.operators.conv_norm import ConvNorm
from search_spaces.operators.dynamic_shuffle import DynamicShuffle, StaticDynamicShuffle


def shuffle_named(name: str, channels: int, groups: int) -> nn.Module:
    """The shuffle `fixed`, `dynamic` or `static_dynamic`: (N, C, H, W) -> (N, C, H, W).

    Raises:
        ValueError: another name, or the groups do not divide the channels.
    """
    if name == "fixed":
        return ChannelShuffle(groups)
    if name == "dynamic":
        return DynamicShuffle(channels, groups=groups)
    if name == "static_dynamic":
        return StaticDynamicShuffle(channels, channels, groups=groups)
    raise ValueError(f"shuffle must be fixed, dynamic or static_dynamic, got {name!r}")


class ShuffleUnit(nn.Module):
    """Grouped 1×1, shuffle, depthwise k×k, grouped 1×1: (N, C_in, H, W) -> (N, C_out, ⌈H/stride⌉, ⌈W/stride⌉).

    ShuffleNet V1 (CVPR 2018), figure 2. With stride 2 and C_out > C_in the average-pooled input is concatenated, else the
    input is added, through a 1×1 projection where its shape differs. Costs (C_in + C_out)·mid/groups + k²·mid a pixel.

    Args:
        c_in: channels in, a multiple of the groups.
        c_out: channels out, a multiple of the groups.
        stride: of the depthwise convolution.
        kernel: its size, odd.
        groups: of both 1×1 convolutions and the shuffle.
        shuffle: fixed, dynamic or static_dynamic.
        first_groups: of the first 1×1 convolution where it differs (the paper's very first unit has 1).

    Raises:
        ValueError: the groups do not divide the channels, or the shuffle's name is unknown.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        stride: int,
        kernel: int = 3,
        groups: int = 2,
        shuffle: str = "fixed",
        first_groups: int | None = None,
    ) -> None:
        super().__init__()
        if groups < 1:
            raise ValueError(f"groups must be 1 or more, got {groups}")
        mid = -(-max(1, c_out // 4) // groups) * groups
        self.concatenates = stride == 2 and c_out > c_in
        out = c_out - c_in if self.concatenates else c_out
        self.squeeze = ConvNorm(c_in, mid, groups=first_groups or groups, activation="relu")
        self.shuffle = shuffle_named(shuffle, mid, groups)
        self.depthwise = ConvNorm(mid, mid, kernel, stride=stride, groups=mid)
        self.expand = ConvNorm(mid, out, groups=groups)
        self.shortcut: nn.Module = nn.Identity()
        if self.concatenates:
            self.shortcut = nn.AvgPool2d(3, stride=2, padding=1)
        elif stride != 1 or c_in != c_out:
            self.shortcut = ConvNorm(c_in, c_out, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        y: Tensor = self.expand(self.depthwise(self.shuffle(self.squeeze(x))))
        if self.concatenates:
            return F.relu(torch.cat((self.shortcut(x), y), 1))
        return F.relu(y + self.shortcut(x))


class ShuffleUnitV2(nn.Module):
    """Half the channels pass, half go through 1×1, depthwise k×k, 1×1, all are shuffled in two groups.

    (N, C_in, H, W) -> (N, C_out, ⌈H/stride⌉, ⌈W/stride⌉). ShuffleNet V2 (ECCV 2018), figure 3 c and d: with another stride or
    width both halves are made from the whole input.

    Raises:
        ValueError: the channels out are odd, or the shuffle's name is unknown.
    """

    def __init__(self, c_in: int, c_out: int, *, stride: int, kernel: int = 3, shuffle: str = "fixed") -> None:
        super().__init__()
        if c_out % 2:
            raise ValueError(f"a unit of two halves needs an even number of channels out, got {c_out}")
        half = c_out // 2
        self.splits = stride == 1 and c_in == c_out
        self.passing: nn.Module = nn.Identity()
        if not self.splits:
            self.passing = nn.Sequential(
                ConvNorm(c_in, c_in, kernel, stride=stride, groups=c_in), ConvNorm(c_in, half, activation="relu")
            )
        self.branch = nn.Sequential(
            ConvNorm(half if self.splits else c_in, half, activation="relu"),
            ConvNorm(half, half, kernel, stride=stride, groups=half),
            ConvNorm(half, half, activation="relu"),
        )
        self.shuffle = shuffle_named(shuffle, c_out, 2)

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        left, right = x.chunk(2, 1) if self.splits else (x, x)
        y: Tensor = self.shuffle(torch.cat((self.passing(left), self.branch(right)), 1))
        return y
