"""Builds the network of an architecture; it knows blocks by name only, and no search."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from functools import partial

from torch import Tensor, nn

from search_spaces.architecture import Architecture
from search_spaces.blocks import make_block
from search_spaces.operators.conv_norm import ConvNorm


class Network(nn.Module):
    """Stem, stages of blocks, head, registered in order of execution: (N, channels, H, W) -> (N, classes)."""

    def __init__(self, stem: nn.Module, stages: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.stem = stem
        self.stages = stages
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        logits: Tensor = self.head(self.stages(self.stem(x)))
        return logits


def make_stem(channels: int, width: int, *, kernel: int, stride: int, pool: bool) -> nn.Sequential:
    """k×k convolution, batch norm, ReLU, and a 3×3/2 max pool where the stem has one."""
    layers: list[nn.Module] = [ConvNorm(channels, width, kernel, stride=stride, activation="relu")]
    if pool:
        layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    return nn.Sequential(*layers)


def make_head(c_in: int, width: int, classes: int) -> nn.Sequential:
    """1×1 convolution with batch norm and ReLU where `width` is above 0, global average pool, linear."""
    layers: list[nn.Module] = [ConvNorm(c_in, width, activation="relu")] if width else []
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width or c_in, classes))


def build(architecture: Architecture) -> Network:
    """The network of an architecture, its convolutions initialised as in He et al. 2015 (fan out); under
    `torch.device("meta")` without data.

    Raises:
        ValueError: a mixer or option is unknown, or a block cannot take its numbers.
    """
    stages, c_in = [], architecture.stem.width
    for stage in architecture.stages:
        blocks = []
        for i in range(stage.depth):
            blocks.append(make_block(stage, c_in, stride=1 if i else stage.stride))
            c_in = stage.width
        stages.append(nn.Sequential(*blocks))
    stem = make_stem(architecture.channels, **vars(architecture.stem))
    network = Network(stem, nn.Sequential(*stages), make_head(c_in, architecture.head, architecture.classes))
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def cost_parts(
    architecture: Architecture,
) -> Iterator[tuple[Hashable, Callable[[], nn.Module], tuple[int, int, int, int]]]:
    """Key, factory and input shape (1, C, H, W) of the stem, every block and the head, in order of execution.

    Equal keys mean equal costs, and parameters and multiply-adds of the parts add up to the whole network's.
    """
    side, stem = architecture.resolution, architecture.stem
    yield (
        ("stem", architecture.channels, stem, side),
        partial(make_stem, architecture.channels, **vars(stem)),
        (1, architecture.channels, side, side),
    )
    side = -(-side // stem.stride)
    side = -(-side // 2) if stem.pool else side
    c_in = stem.width
    for stage in architecture.stages:
        one = replace(stage, depth=1)
        # a threshold is compared with, not multiplied by
        costly = (stage.mixer, stage.width, tuple(option for option in stage.options if option[0] != "tau"))
        for i in range(stage.depth):
            stride = 1 if i else stage.stride
            yield (*costly, c_in, stride, side), partial(make_block, one, c_in, stride=stride), (1, c_in, side, side)
            c_in, side = stage.width, -(-side // stride)
    yield (
        ("head", c_in, architecture.head, architecture.classes, side),
        partial(make_head, c_in, architecture.head, architecture.classes),
        (1, c_in, side, side),
    )
