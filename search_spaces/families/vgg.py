"""VGG-16, downscaled by PiX between its convolutions."""

from __future__ import annotations

from torch import nn

from search_spaces.network import Network
from search_spaces.operators.conv_norm import ConvNorm
from search_spaces.operators.pix import PiX

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg16(*, zeta: int, channels: int, num_classes: int) -> Network:
    """VGG-16 with batch norm (Simonyan and Zisserman, ICLR 2015, table 1 D).

    With ζ above 1 PiX stands between the two or three convolutions of each group, so that each but the first of a group
    sees a ζ-th of its channels (network downscaling; Kumar et al., CVPR 2024).
    """
    stages, c_in = [], channels
    for widths in WIDTHS:
        layers: list[nn.Module] = []
        for j, width in enumerate(widths):
            if j and zeta > 1:
                layers.append(PiX(c_in, zeta=zeta))
                c_in = -(-c_in // zeta)
            layers.append(ConvNorm(c_in, width, 3, activation="relu"))
            c_in = width
        stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
    head = nn.Sequential(
        nn.AdaptiveAvgPool2d(7),
        nn.Flatten(),
        nn.Linear(512 * 7 * 7, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(4096, 4096),
        nn.ReLU(inplace=True),
        nn.Dropout(),
        nn.Linear(4096, num_classes),
    )
    return Network(stages[0], nn.Sequential(*stages[1:]), head)
