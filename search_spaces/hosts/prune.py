"""Dynamic channel pruning: PiX put into a trained network before a convolution, whose input weights are cut to match."""

from __future__ import annotations

import torch
from torch import nn

from search_spaces.operators.pix import PiX


def prune_with_pix(network: nn.Module, layer: str, *, zeta: int, tau: float = 0.5) -> None:
    """Replaces a convolution of C input channels by PiX and the same convolution of ⌈C/ζ⌉ channels, to be fine-tuned.

    PiX begins with p = 0.5 everywhere, and each cut weight is twice the sum over its subset: with τ ≤ 0.5 the network
    computes what it did before wherever the channels of each subset are equal. Costs a ζ-th of the convolution's
    multiply-adds. Pick-or-Mix (CVPR 2024), "dynamic channel pruning"; the paper leaves open how weights are cut.

    Args:
        network: changed in place.
        layer: dotted name of an `nn.Conv2d` without groups.
        zeta: channels a subset.
        tau: threshold of PiX.

    Raises:
        ValueError: there is no such layer, it is no ungrouped convolution, or ζ is not from 1 to C.
    """
    modules = dict(network.named_modules())
    conv = modules.get(layer)
    if not layer or not isinstance(conv, nn.Conv2d) or conv.groups != 1:
        raise ValueError(f"layer must name an ungrouped convolution of the network, got {layer!r}")
    pix = PiX(conv.in_channels, zeta=zeta, tau=tau).to(conv.weight)
    with torch.no_grad():
        pix.context.weight.zero_()
        cut = torch.stack([part.sum(1) for part in torch.split(conv.weight, zeta, 1)], 1)
        conv.weight = nn.Parameter(2 * cut)
    conv.in_channels = pix.out_channels
    parent, _, child = layer.rpartition(".")
    setattr(modules[parent], child, nn.Sequential(pix, conv))
