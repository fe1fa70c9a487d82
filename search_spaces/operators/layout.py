"""Keeps the memory layout of feature maps through operators that reshape them."""

from __future__ import annotations

import torch
from torch import Tensor


def like_layout(y: Tensor, x: Tensor) -> Tensor:
    """`y` in channels-last memory where `x` is: the convolutions that follow are several times slower on the other layout."""
    if x.is_contiguous(memory_format=torch.channels_last):
        return y.contiguous(memory_format=torch.channels_last)
    return y
