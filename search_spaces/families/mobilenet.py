"""MobileNetV2, and its pointwise convolutions replaced or relieved by the dynamic operators."""

from __future__ import annotations

from torch import nn

from search_spaces.network import Network
from search_spaces.operators.conv_norm import ConvNorm
from search_spaces.operators.dynamic_shuffle import StaticDynamicShuffle
from search_spaces.operators.muxconv import InvertedResidual
from search_spaces.operators.pix import PiX

# expansion, width, blocks, stride of the first
ROWS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
STEM, HEAD = 32, 1280


def mobilenet_v2(*, pointwise: str, channels: int, num_classes: int) -> Network:
    """MobileNetV2 (Sandler et al., CVPR 2018, table 2).

    Args:
        pointwise: `conv` as published; `pix` replaces each projecting convolution, which squeezes the hidden channels,
            with its batch norm by PiX (fast channel squeezing), where their ratio is a whole number: in all blocks but the
            first of 32 and of 160 channels; `static_dynamic` replaces every pointwise convolution between
            stem and classifier by a static-dynamic shuffle of one group.
        channels: of the image.
        num_classes: of the classifier.
    """
    stages, c_in = [], STEM
    for expansion, width, repeats, stride in ROWS:
        blocks = []
        for i in range(repeats):
            block = InvertedResidual(c_in, width, stride=1 if i else stride, expansion=expansion, activation="relu6")
            hidden = c_in * expansion
            if pointwise == "pix" and hidden % width == 0:
                block.project = PiX(hidden, zeta=hidden // width)
            if pointwise == "static_dynamic":
                if expansion != 1:
                    block.expand = without_pointwise(block.expand)
                block.project = without_pointwise(block.project)
            blocks.append(block)
            c_in = width
        stages.append(nn.Sequential(*blocks))
    head: nn.Module = ConvNorm(c_in, HEAD, activation="relu6")
    if pointwise == "static_dynamic":
        head = without_pointwise(head)
    return Network(
        ConvNorm(channels, STEM, 3, stride=2, activation="relu6"),
        nn.Sequential(*stages),
        nn.Sequential(head, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(HEAD, num_classes)),
    )


def without_pointwise(layers: nn.Module) -> nn.Sequential:
    """A pointwise `ConvNorm` whose convolution is replaced by a static-dynamic shuffle of the same channels."""
    conv, *rest = layers.children()
    assert isinstance(conv, nn.Conv2d)
    return nn.Sequential(StaticDynamicShuffle(conv.in_channels, conv.out_channels), *rest)
