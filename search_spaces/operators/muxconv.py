"""MUXConv: spatial multiplexing of a depthwise convolution and channel multiplexing of an inverted residual."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search_spaces.kernels.dispatch import with_fast_path
from search_spaces.kernels.multiplex import fast_multiplex
from search_spaces.operators.channel_shuffle import channel_shuffle
from search_spaces.operators.conv_norm import ConvNorm, activation_named
from search_spaces.operators.gates import SqueezeExcite
from search_spaces.operators.layout import like_layout


def space_to_channel(x: Tensor, factor: int = 2) -> Tensor:
    """Each pixel of a factor×factor patch becomes a block of channels: (N, C, H, W) -> (N, C·f², H/f, W/f)."""
    channels, height, width = x.shape[1:]
    patches = x.reshape(-1, channels, height // factor, factor, width // factor, factor)
    patches = patches.permute(0, 3, 5, 1, 2, 4)
    return like_layout(patches.reshape(-1, channels * factor**2, height // factor, width // factor), x)


def channel_to_space(x: Tensor, factor: int = 2) -> Tensor:
    """The inverse of `space_to_channel`: (N, C, H, W) -> (N, C/f², H·f, W·f)."""
    channels, height, width = x.shape[1] // factor**2, x.shape[2], x.shape[3]
    patches = x.reshape(-1, factor, factor, channels, height, width)
    patches = patches.permute(0, 3, 4, 1, 5, 2)
    return like_layout(patches.reshape(-1, channels, height * factor, width * factor), x)


def near_equal_split(channels: int, parts: int) -> list[int]:
    """Channels in `parts` near-equal parts, the first of which takes the remainder."""
    size = channels // parts
    return [channels - size * (parts - 1)] + [size] * (parts - 1)


class SpatialMultiplex(nn.Module):
    """A depthwise convolution at several scales and kernel sizes: (N, C, H, W) -> (N, C, ⌈H/stride⌉, ⌈W/stride⌉).

    Channels are split into near-equal parts. A part of scale −1 is convolved on half the resolution with 4× channels, of
    scale 0 as it is, of scale +1 on twice the resolution with a quarter of the channels. With all scales 0 this is a
    mixed-kernel depthwise convolution. Costs k²·C/parts multiply-adds a pixel and part, whatever the scale. Sides that the
    scale or stride does not divide are padded with zeros and cut again. MUXConv (CVPR 2020), section 3.1.

    Args:
        channels: C.
        kernels: an odd kernel size a part.
        scales: −1, 0 or 1 a part.
        stride: of every part.

    Raises:
        ValueError: lengths differ, a kernel is even, a scale is another number, there are more parts than channels, or a
            part of scale +1 has a number of channels that 4 does not divide.
    """

    def __init__(self, channels: int, *, kernels: tuple[int, ...], scales: tuple[int, ...], stride: int = 1) -> None:
        super().__init__()
        self.kernels, self.scales, self.stride = tuple(kernels), tuple(scales), stride
        if len(self.kernels) != len(self.scales) or not 1 <= len(self.scales) <= channels:
            raise ValueError(
                f"one kernel and one scale a part are needed, at most {channels} parts; got {kernels!r} and {scales!r}"
            )
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"kernels must be odd, got {kernels!r}")
        if not set(self.scales) <= {-1, 0, 1}:
            raise ValueError(f"scales must be -1, 0 or 1, got {scales!r}")
        self.sizes = near_equal_split(channels, len(self.scales))
        self.parts = nn.ModuleList()
        for size, kernel, scale in zip(self.sizes, self.kernels, self.scales, strict=True):
            if scale == 1 and size % 4:
                raise ValueError(f"a part of scale +1 needs a multiple of 4 channels, got {size} of {channels}")
            inner = size * 4 if scale < 0 else size // 4 if scale > 0 else size
            self.parts.append(
                nn.Conv2d(inner, inner, kernel, stride=stride, padding=kernel // 2, groups=inner, bias=False)
            )

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        split = torch.split(x, self.sizes, 1)
        return torch.cat(
            [self._part(part, conv, scale) for part, conv, scale in zip(split, self.parts, self.scales, strict=True)], 1
        )

    def _part(self, x: Tensor, conv: nn.Module, scale: int) -> Tensor:
        if scale == 0:
            y: Tensor = conv(x)
            return y
        height, width = x.shape[2:]
        multiple = self.stride * 2 if scale < 0 else self.stride
        if height % multiple or width % multiple:
            x = F.pad(x, (0, -width % multiple, 0, -height % multiple))
        if scale < 0:
            y = channel_to_space(conv(space_to_channel(x)))
        else:
            y = space_to_channel(conv(channel_to_space(x)))
        return y[:, :, : -(-height // self.stride), : -(-width // self.stride)]

    def extra_repr(self) -> str:
        """The numbers of the printed module."""
        return f"kernels={self.kernels}, scales={self.scales}, stride={self.stride}"


class InvertedResidual(nn.Module):
    """1×1 expand, depthwise or grouped convolution, squeeze-and-excite, 1×1 project without activation, residual.

    (N, C_in, H, W) -> (N, C_out, ⌈H/stride⌉, ⌈W/stride⌉). MobileNetV2 (CVPR 2018) section 3.3, and with one convolution of
    several kernels or scales MUXConv (CVPR 2020) section 3.

    Args:
        c_in: channels in.
        c_out: channels out; the residual is there where it equals `c_in` and the stride is 1.
        kernels: one kernel for all channels, or one a part of `SpatialMultiplex`.
        scales: of the parts; `(0,)` for an ordinary depthwise convolution.
        stride: of the depthwise convolution.
        expansion: hidden channels over `c_in`; with 1 there is no expanding convolution.
        squeeze: hidden units of squeeze-and-excite over `c_in`; 0 for none.
        activation: relu or swish.
        group_width: channels a group of the convolution; above 1 only with one kernel and scale 0.

    Raises:
        ValueError: the group width does not divide the hidden channels, or goes with several parts; see also
            `SpatialMultiplex`.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        *,
        kernels: tuple[int, ...] = (3,),
        scales: tuple[int, ...] = (0,),
        stride: int = 1,
        expansion: float = 6.0,
        squeeze: float = 0.0,
        activation: str = "relu",
        group_width: int = 1,
    ) -> None:
        super().__init__()
        parts = max(len(kernels), len(scales))
        kernels = kernels * parts if len(kernels) == 1 else kernels
        scales = scales * parts if len(scales) == 1 else scales
        plain = set(scales) == {0} and len(set(kernels)) == 1
        hidden = int(c_in * expansion)
        if hidden < 1 or squeeze < 0:
            raise ValueError(
                f"expansion must leave a hidden channel and squeeze be 0 or more; got {expansion}, {squeeze}"
            )
        hidden = max(hidden, parts)  # a narrow block still has a channel a part
        if 1 in scales:  # every part of scale +1 needs a multiple of 4 channels
            hidden = -(-hidden // (4 * parts)) * 4 * parts
        if group_width < 1 or hidden % group_width or (group_width > 1 and not plain):
            raise ValueError(
                f"group_width must divide the {hidden} hidden channels and needs one kernel at scale 0 if above 1; "
                f"got {group_width} with kernels {kernels!r} and scales {scales!r}"
            )
        self.expand: nn.Module = nn.Identity()
        if hidden != c_in or expansion != 1:
            self.expand = ConvNorm(c_in, hidden, activation=activation)
        self.depthwise: nn.Module
        if plain:
            groups = hidden // group_width
            self.depthwise = ConvNorm(hidden, hidden, kernels[0], stride=stride, groups=groups, activation=activation)
        else:
            mixed = SpatialMultiplex(hidden, kernels=kernels, scales=scales, stride=stride)
            self.depthwise = nn.Sequential(mixed, nn.BatchNorm2d(hidden), activation_named(activation))
        self.gate: nn.Module = nn.Identity()
        if squeeze:
            self.gate = SqueezeExcite(hidden, max(1, int(squeeze * c_in)), activation=activation)
        self.project: nn.Module = ConvNorm(hidden, c_out)
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        y: Tensor = self.project(self.gate(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


class ChannelMultiplexBlock(nn.Module):
    """Part of the channels goes through an inverted residual, the rest passes, all are shuffled: (N, C, H, W) -> (N, C, H, W).

    Costs what the inverted residual of int(ratio·C) channels costs. MUXConv (CVPR 2020), section 3.2.

    Args:
        channels: C.
        ratio: fraction of the channels that are processed, above 0 and below 1.
        shuffle_groups: of the fixed channel shuffle after it; it must divide C.
        kernels: of the inner convolution; with several kernels or other scales than 0 it is depthwise.
        scales: of the inner convolution.
        expansion: hidden over processed channels.
        squeeze: hidden units of squeeze-and-excite over processed channels.
        activation: relu or swish.
        group_width: channels a group of the inner convolution.

    Raises:
        ValueError: the ratio leaves no channel to process or to pass; see also `InvertedResidual`.
    """

    def __init__(
        self,
        channels: int,
        *,
        ratio: float = 0.5,
        shuffle_groups: int = 2,
        kernels: tuple[int, ...] = (3,),
        scales: tuple[int, ...] = (0,),
        expansion: float = 6.0,
        squeeze: float = 0.0,
        activation: str = "relu",
        group_width: int = 2,
    ) -> None:
        super().__init__()
        self.processed, self.shuffle_groups = int(ratio * channels), shuffle_groups
        if not 1 <= self.processed < channels:
            raise ValueError(f"ratio must leave channels to process and to pass, got {ratio} of {channels}")
        if channels % shuffle_groups:
            raise ValueError(f"shuffle groups must divide the channels, got {shuffle_groups} groups of {channels}")
        self.inner = InvertedResidual(
            self.processed,
            self.processed,
            kernels=kernels,
            scales=scales,
            expansion=expansion,
            squeeze=squeeze,
            activation=activation,
            group_width=group_width,
        )

    def forward(self, x: Tensor) -> Tensor:
        """The map that the class describes."""
        processed, passed = x[:, : self.processed], x[:, self.processed :]
        return channel_shuffle(torch.cat((self.inner(processed), passed), 1), self.shuffle_groups)


with_fast_path(SpatialMultiplex, fast_multiplex)
