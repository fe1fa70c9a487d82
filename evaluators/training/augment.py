"""Augmentation of a whole batch on its device, without a loop over images; it knows no data set and no network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """(N, C, H, W): each image mirrored left to right with probability one half."""
    mirrored = torch.rand(len(images), device=images.device, generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def crop(images: Tensor, generator: torch.Generator, *, pixels: int) -> Tensor:
    """(N, C, H, W): each image shifted by up to `pixels` both ways, its border filled by reflection."""
    n, channels, height, width = images.shape
    pixels = min(pixels, height - 1, width - 1)
    padded = F.pad(images, (pixels, pixels, pixels, pixels), mode="reflect")
    top, left = torch.randint(2 * pixels + 1, (2, n, 1), device=images.device, generator=generator)
    rows = (top + torch.arange(height, device=images.device))[:, None, :, None]
    columns = (left + torch.arange(width, device=images.device))[:, None, None, :]
    index = torch.arange(n, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[index, channel, rows, columns]


def cutout(images: Tensor, generator: torch.Generator, *, pixels: int) -> Tensor:
    """(N, C, H, W): a square of `pixels` about a random place of each image set to zero, the mean of normalised images.

    DeVries & Taylor 2017: the square may reach over the border.
    """
    n, _, height, width = images.shape
    y = torch.randint(height, (n, 1, 1, 1), device=images.device, generator=generator)
    x = torch.randint(width, (n, 1, 1, 1), device=images.device, generator=generator)
    rows = torch.arange(height, device=images.device)[None, None, :, None]
    columns = torch.arange(width, device=images.device)[None, None, None, :]
    top, left = y - pixels // 2, x - pixels // 2
    inside = (rows >= top) & (rows < top + pixels) & (columns >= left) & (columns < left + pixels)
    return images.masked_fill(inside, 0.0)


def mixup(images: Tensor, targets: Tensor, generator: torch.Generator, *, alpha: float) -> tuple[Tensor, Tensor]:
    """Each image blended with another of the batch, its one-hot target (N, classes) likewise (Zhang et al. 2018).

    The share is drawn from Beta(alpha, alpha), one for the batch.
    """
    shape = torch.full((2,), alpha, device=images.device)
    gamma = torch._standard_gamma(shape, generator=generator)
    share = gamma[0] / gamma.sum()
    order = torch.randperm(len(images), device=images.device, generator=generator)
    return share * images + (1 - share) * images[order], share * targets + (1 - share) * targets[order]
