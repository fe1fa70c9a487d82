"""The MUXNets, block by block."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from search_spaces.network import Network
from search_spaces.operators.conv_norm import ConvNorm
from search_spaces.operators.muxconv import ChannelMultiplexBlock, InvertedResidual


@dataclass(frozen=True)
class Group:
    """An inverted residual and the multiplexed blocks after it, which keep its width."""

    width: int
    kernels: tuple[int, ...]
    stride: int
    expansion: int
    squeeze: float = 0.75
    mux: int = 0
    mux_kernel: int = 3
    mux_expansion: int = 6


@dataclass(frozen=True)
class Plan:
    """Width of the stem, groups of blocks, width of the head. The first group activates by ReLU, so does the second."""

    stem: int
    groups: tuple[Group, ...]
    head: int


M = Plan(
    stem=24,
    groups=(
        Group(24, (3,), 1, 1, squeeze=0.25),
        Group(24, (3,), 2, 4, mux=2, mux_expansion=4),
        Group(40, (3, 5, 7), 2, 4, mux=2),
        Group(80, (3, 5, 7, 9), 2, 4, mux=2, mux_kernel=5),
        Group(112, (5,), 1, 6, mux=2, mux_kernel=5),
        Group(160, (3, 5, 7, 9, 11), 2, 4, mux=3, mux_kernel=5),
        Group(200, (3,), 1, 6),
    ),
    head=1280,
)
L = Plan(
    stem=24,
    groups=(
        Group(24, (3,), 1, 1, squeeze=0.25),
        Group(24, (3,), 2, 6, mux=2, mux_kernel=5),
        Group(40, (3, 5, 7), 2, 6, mux=3, mux_kernel=5),
        Group(80, (3, 5, 7, 9), 2, 6, mux=3, mux_kernel=5),
        Group(120, (5,), 1, 6, mux=3, mux_kernel=5),
        Group(160, (3, 5, 7, 9, 11), 2, 6, mux=3, mux_kernel=5),
        Group(200, (3,), 1, 6),
    ),
    head=1536,
)


def scaled(plan: Plan, stem: int, widths: tuple[int, ...], head: int, *, mux: int = 3) -> Plan:
    """The plan with other widths and at most `mux` multiplexed blocks a group."""
    groups = zip(plan.groups, widths, strict=True)
    return Plan(stem, tuple(replace(group, width=width, mux=min(group.mux, mux)) for group, width in groups), head)


# The paper gives no layers of these two: M made narrower until parameters and MACs are the published ones within 1 %.
S = scaled(M, 16, (16, 20, 28, 48, 72, 112, 160), 1280)
XS = scaled(M, 16, (12, 12, 16, 48, 64, 96, 128), 1152, mux=1)


def muxnet(plan: Plan, *, channels: int, num_classes: int) -> Network:
    """A MUXNet (Lu, Deb, Boddeti; CVPR 2020): r = 0.5, 2 shuffle groups, convolution groups of 2 channels."""
    stages, c_in = [], plan.stem
    for i, group in enumerate(plan.groups):
        activation = "relu" if i < 2 else "swish"
        blocks: list[nn.Module] = [
            InvertedResidual(
                c_in,
                group.width,
                kernels=group.kernels,
                stride=group.stride,
                expansion=group.expansion,
                squeeze=group.squeeze,
                activation=activation,
            )
        ]
        blocks += [
            ChannelMultiplexBlock(
                group.width,
                kernels=(group.mux_kernel,),
                expansion=group.mux_expansion,
                squeeze=group.squeeze,
                activation=activation,
            )
            for _ in range(group.mux)
        ]
        stages.append(nn.Sequential(*blocks))
        c_in = group.width
    head = nn.Sequential(
        ConvNorm(c_in, plan.head, activation="swish"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(plan.head, num_classes),
    )
    stem = ConvNorm(channels, plan.stem, 3, stride=2, activation="swish")
    return Network(stem, nn.Sequential(*stages), head)
