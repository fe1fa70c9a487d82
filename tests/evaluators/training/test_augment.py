"""Augmentation of a batch against a loop over its images, and RandAugment against torchvision's operations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from evaluators.training import augment, randaugment


def images_of(n: int, *, channels: int = 3, height: int = 10, width: int = 12) -> Tensor:
    return torch.randint(
        0, 256, (n, channels, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(5)
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_flip_mirrors_about_half_and_whole_images() -> None:
    images = images_of(400)
    flipped = augment.flip(images, generator())
    same = (flipped == images).flatten(1).all(1)
    mirrored = (flipped == images.flip(-1)).flatten(1).all(1)
    assert (same | mirrored).all() and 150 < int(mirrored.sum()) < 250


def test_crop_is_a_window_of_the_reflected_image() -> None:
    images, pixels = images_of(60), 3
    cropped = augment.crop(images, generator(), pixels=pixels)
    places = set()
    for image, window in zip(images.numpy(), cropped.numpy(), strict=True):
        padded = np.pad(image, ((0, 0), (pixels, pixels), (pixels, pixels)), mode="reflect")
        found = [
            (y, x)
            for y in range(2 * pixels + 1)
            for x in range(2 * pixels + 1)
            if np.array_equal(padded[:, y : y + 10, x : x + 12], window)
        ]
        assert found
        places.update(found)
    assert {y for y, _ in places} == {x for _, x in places} == set(range(7))


def test_crop_of_more_than_the_image_is_bounded() -> None:
    assert augment.crop(images_of(3, height=4, width=4), generator(), pixels=9).shape == (3, 3, 4, 4)


@pytest.mark.parametrize("pixels", [1, 4, 5, 8])
def test_cutout_blanks_one_square_of_that_size(pixels: int) -> None:
    images = torch.ones(300, 2, 16, 16)
    blank = augment.cutout(images, generator(), pixels=pixels) == 0
    assert torch.equal(blank[:, 0], blank[:, 1])
    rows, columns = blank[:, 0].any(2).sum(1), blank[:, 0].any(1).sum(1)
    assert torch.equal(blank[:, 0].flatten(1).sum(1), rows * columns)
    assert int(rows.max()) == int(columns.max()) == pixels and int(rows.min()) >= 1


def test_mixup_blends_images_and_targets_by_one_share() -> None:
    images, targets = torch.randn(6, 1, 4, 4), torch.eye(6)
    mixed, shares = augment.mixup(images, targets, generator(), alpha=0.4)
    assert torch.allclose(shares.sum(1), torch.ones(6))
    assert torch.allclose(mixed, torch.einsum("nk,kchw->nchw", shares, images), atol=1e-6)
    draws = [float(augment.mixup(images, targets, generator(i), alpha=1.0)[1].max()) for i in range(50)]
    assert min(draws) < 0.7 and max(draws) > 0.95


def test_everything_is_a_function_of_the_generator() -> None:
    images = images_of(20)
    for move in (
        augment.flip,
        lambda x, g: augment.crop(x, g, pixels=2),
        lambda x, g: randaugment.randaugment(x, g, operations=2),
    ):
        assert torch.equal(move(images, generator(3)), move(images, generator(3)))
        assert not torch.equal(move(images, generator(3)), move(images, generator(4)))


def ours(name: str, images: Tensor, strength: float) -> Tensor:
    out = randaugment.OPERATIONS[name](images.float(), torch.full((len(images),), strength))
    return out.round().clamp(0, 255)


SIZE = 32
REFERENCE = {
    "identity": lambda x, s: x,
    "shear_x": lambda x, s: tv.affine(
        x, 0, [0, 0], 1.0, [math.degrees(math.atan(0.3 * s)), 0], tv.InterpolationMode.BILINEAR
    ),
    "shear_y": lambda x, s: tv.affine(
        x, 0, [0, 0], 1.0, [0, math.degrees(math.atan(0.3 * s))], tv.InterpolationMode.BILINEAR
    ),
    "rotate": lambda x, s: tv.rotate(x, 30 * s, tv.InterpolationMode.BILINEAR),
    "brightness": lambda x, s: tv.adjust_brightness(x, 1 + 0.9 * s),
    "colour": lambda x, s: tv.adjust_saturation(x, 1 + 0.9 * s),
    "contrast": lambda x, s: tv.adjust_contrast(x, 1 + 0.9 * s),
    "sharpness": lambda x, s: tv.adjust_sharpness(x, 1 + 0.9 * s),
    "posterize": lambda x, s: tv.posterize(x, 8 - round(4 * abs(s))),
    "solarize": lambda x, s: tv.solarize(x, 255 * (1 - abs(s))),
    "autocontrast": lambda x, s: tv.autocontrast(x),
    "equalize": lambda x, s: tv.equalize(x),
}


@pytest.mark.parametrize("strength", [0.3, -0.3, 1.0])
@pytest.mark.parametrize("name", REFERENCE)
def test_operation_is_torchvisions(name: str, strength: float) -> None:
    images = images_of(3, height=SIZE, width=SIZE)
    images[0] //= 2  # a dark one, so that contrast has work to do
    gap = (ours(name, images, strength) - REFERENCE[name](images, strength).float()).abs()
    # Rotation turns about the same centre but rounds elsewhere; one grey level is rounding.
    assert gap.median() <= 1 and (gap <= 1).float().mean() > 0.97


def test_translation_moves_by_whole_pixels() -> None:
    images = images_of(2, height=SIZE, width=SIZE)
    step = 4 * 331 / 150 / SIZE  # four pixels
    right = ours("translate_x", images, -step)
    assert torch.equal(right[..., 4:], images[..., :-4].float()) and not right[..., :4].any()
    up = ours("translate_y", images, step)
    assert torch.equal(up[..., :-4, :], images[..., 4:, :].float())


def test_every_operation_is_tested() -> None:
    assert {*REFERENCE, "translate_x", "translate_y"} == set(randaugment.OPERATIONS)


def test_randaugment_takes_grey_images_and_small_batches() -> None:
    for n, channels in ((1, 1), (2, 3), (5, 4)):
        out = randaugment.randaugment(images_of(n, channels=channels), generator(), operations=2)
        assert out.dtype == torch.uint8 and out.shape == (n, channels, 10, 12)
