"""ShuffleNet V1 and V2, their shuffles fixed, dynamic or static-dynamic."""

from __future__ import annotations

from torch import nn

from search_spaces.hosts.shuffle_unit import ShuffleUnit, ShuffleUnitV2
from search_spaces.network import Network, make_head, make_stem

REPEATS = (4, 8, 4)
V1_WIDTHS = (240, 480, 960)
V2_WIDTHS = {0.5: (48, 96, 192), 1.0: (116, 232, 464)}
V2_HEAD = 1024


def shufflenet_v1(*, scale: float, shuffle: str, channels: int, num_classes: int) -> Network:
    """ShuffleNet V1 with 3 groups (Zhang et al., CVPR 2018, table 1), all widths scaled.

    The first unit's first 1×1 convolution has one group.
    """
    stages: list[nn.Module] = []
    c_in = stem = int(24 * scale)
    for width, repeats in zip(V1_WIDTHS, REPEATS, strict=True):
        blocks: list[nn.Module] = []
        for i in range(repeats):
            c_out = int(width * scale)
            first = 1 if not stages and not blocks else None
            blocks.append(ShuffleUnit(c_in, c_out, stride=1 if i else 2, groups=3, shuffle=shuffle, first_groups=first))
            c_in = c_out
        stages.append(nn.Sequential(*blocks))
    return Network(
        make_stem(channels, stem, kernel=3, stride=2, pool=True),
        nn.Sequential(*stages),
        make_head(c_in, 0, num_classes),
    )


def shufflenet_v2(*, scale: float, shuffle: str, channels: int, num_classes: int) -> Network:
    """ShuffleNet V2 (Ma et al., ECCV 2018, table 5) at 0.5× or 1×."""
    stages, c_in = [], 24
    for width, repeats in zip(V2_WIDTHS[scale], REPEATS, strict=True):
        blocks = []
        for i in range(repeats):
            blocks.append(ShuffleUnitV2(c_in, width, stride=1 if i else 2, shuffle=shuffle))
            c_in = width
        stages.append(nn.Sequential(*blocks))
    return Network(
        make_stem(channels, 24, kernel=3, stride=2, pool=True),
        nn.Sequential(*stages),
        make_head(c_in, V2_HEAD, num_classes),
    )
