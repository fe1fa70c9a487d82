"""ResNet with bottlenecks, squeezed by 1×1 convolutions or by PiX."""

from __future__ import annotations

from torch import nn

from search_spaces.hosts.bottleneck import Bottleneck
from search_spaces.network import Network, make_head, make_stem

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def resnet(*, layers: int, squeeze: str, channels: int, num_classes: int) -> Network:
    """ResNet-50, -101 or -152 with its stride on the 3×3 convolution (He et al., CVPR 2016; stride as in torchvision).

    With `squeeze="pix"` PiX takes the place of each squeeze convolution, its batch norm and ReLU (Kumar et al., CVPR 2024):
    ζ is 1 in the first block of stage 1, 2 in the first of stages 2–4, 4 elsewhere.
    """
    stages, c_in = [], 64
    for i, depth in enumerate(DEPTHS[layers]):
        blocks = []
        for j in range(depth):
            stride = 2 if i and not j else 1
            blocks.append(Bottleneck(c_in, 256 << i, stride=stride, zeta=4, squeeze=squeeze))
            c_in = 256 << i
        stages.append(nn.Sequential(*blocks))
    stem = make_stem(channels, 64, kernel=7, stride=2, pool=True)
    return Network(stem, nn.Sequential(*stages), make_head(c_in, 0, num_classes))
