"""RandAugment on a whole batch on its device (Cubuk et al. 2020): a few random operations an image, all of one strength.

Operations are torchvision's (`RandAugment._augmentation_space`), with its ranges; magnitude is in 0…30.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

MAGNITUDE = 9
LARGEST = 30


def randaugment(images: Tensor, generator: torch.Generator, *, operations: int, magnitude: int = MAGNITUDE) -> Tensor:
    """(N, C, H, W) uint8 -> the same: each image passes `operations` operations drawn with replacement, either sign."""
    batch = images.float()
    strength = magnitude / LARGEST
    for _ in range(operations):
        chosen = torch.randint(len(OPERATIONS), (len(batch),), device=batch.device, generator=generator)
        signs = torch.randint(2, (len(batch),), device=batch.device, generator=generator) * 2.0 - 1.0
        for number, operation in enumerate(OPERATIONS.values()):
            rows = (chosen == number).nonzero()[:, 0]
            if len(rows):
                batch[rows] = operation(batch[rows], signs[rows] * strength)
    return batch.round_().clamp_(0, 255).to(torch.uint8)


def identity(images: Tensor, strength: Tensor) -> Tensor:
    """The images as they are."""
    return images


def shear_x(images: Tensor, strength: Tensor) -> Tensor:
    """Rows shifted in proportion to their height, by up to 0.3."""
    return _affine(images, shear_x=0.3 * strength)


def shear_y(images: Tensor, strength: Tensor) -> Tensor:
    """Columns shifted in proportion to their place, by up to 0.3."""
    return _affine(images, shear_y=0.3 * strength)


def translate_x(images: Tensor, strength: Tensor) -> Tensor:
    """Shifted sideways, by up to 150/331 of the width."""
    return _affine(images, shift_x=2 * 150 / 331 * strength)


def translate_y(images: Tensor, strength: Tensor) -> Tensor:
    """Shifted up or down, by up to 150/331 of the height."""
    return _affine(images, shift_y=2 * 150 / 331 * strength)


def rotate(images: Tensor, strength: Tensor) -> Tensor:
    """Turned about the centre, by up to 30 degrees."""
    return _affine(images, angle=math.radians(30) * strength)


def brightness(images: Tensor, strength: Tensor) -> Tensor:
    """Times 1 ± 0.9."""
    return _blend(torch.zeros_like(images), images, strength)


def contrast(images: Tensor, strength: Tensor) -> Tensor:
    """Away from or towards the mean grey level."""
    return _blend(_grey(images).mean((1, 2, 3), keepdim=True).expand_as(images), images, strength)


def colour(images: Tensor, strength: Tensor) -> Tensor:
    """Away from or towards grey; images of one channel stay."""
    return _blend(_grey(images).expand_as(images), images, strength)


def sharpness(images: Tensor, strength: Tensor) -> Tensor:
    """Away from or towards a 3×3 blur; the border stays."""
    channels = images.shape[1]
    kernel = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]], device=images.device) / 13
    blurred = images.clone()
    blurred[..., 1:-1, 1:-1] = F.conv2d(images, kernel.expand(channels, 1, 3, 3), groups=channels)
    return _blend(blurred, images, strength)


def posterize(images: Tensor, strength: Tensor) -> Tensor:
    """Only the highest 8 to 4 bits kept."""
    step = 2.0 ** torch.round(4 * strength.abs())[:, None, None, None]
    return torch.floor(images / step) * step


def solarize(images: Tensor, strength: Tensor) -> Tensor:
    """Pixels from a threshold on, 255 down to 0, are inverted."""
    threshold = 255 * (1 - strength.abs())[:, None, None, None]
    return torch.where(images >= threshold, 255 - images, images)


def autocontrast(images: Tensor, strength: Tensor) -> Tensor:
    """Each channel stretched to the full range; a channel of one value stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return torch.where(high > low, (images - low) * (255 / (high - low).clamp_min(1)), images)


def equalize(images: Tensor, strength: Tensor) -> Tensor:
    """Each channel's histogram made flat, as Pillow does it; a channel of one value stays."""
    flat = images.round().long().flatten(2)
    counts = torch.zeros((*flat.shape[:2], 256), device=images.device).scatter_add_(
        2, flat, torch.ones_like(flat, dtype=torch.float32)
    )
    last = counts.gather(2, flat.amax(2, keepdim=True))
    step = torch.floor((flat.shape[2] - last) / 255)
    table = torch.floor((counts.cumsum(2) - counts + torch.floor(step / 2)) / step.clamp_min(1)).clamp(0, 255)
    return torch.where(step > 0, table.gather(2, flat), flat.float()).reshape(images.shape)


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "identity": identity,
    "shear_x": shear_x,
    "shear_y": shear_y,
    "translate_x": translate_x,
    "translate_y": translate_y,
    "rotate": rotate,
    "brightness": brightness,
    "colour": colour,
    "contrast": contrast,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": autocontrast,
    "equalize": equalize,
}


def _affine(images: Tensor, **moves: Tensor) -> Tensor:
    """Sampled bilinearly at shifted, sheared or turned places, in units of half the width; zero outside."""
    zero = torch.zeros(len(images), device=images.device)
    angle = moves.get("angle", zero)
    ratio = images.shape[2] / images.shape[3]
    top = torch.stack(
        [angle.cos(), moves.get("shear_x", zero) * ratio - angle.sin() * ratio, moves.get("shift_x", zero)], 1
    )
    bottom = torch.stack(
        [moves.get("shear_y", zero) / ratio + angle.sin() / ratio, angle.cos(), moves.get("shift_y", zero)], 1
    )
    grid = F.affine_grid(torch.stack([top, bottom], 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _blend(other: Tensor, images: Tensor, strength: Tensor) -> Tensor:
    share = (1 + 0.9 * strength)[:, None, None, None]
    return (other + share * (images - other)).clamp(0, 255)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images.mean(1, keepdim=True)
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device)[:, None, None]
    return (images * weights).sum(1, keepdim=True)
