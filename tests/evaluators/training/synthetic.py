"""Data that a small network learns in a second: each class is a bright quarter of a noisy image."""

from __future__ import annotations

import torch

from evaluators.training.data import Data, Part, assemble


def part_of(images: int, *, seed: int, channels: int = 1, size: int = 8) -> Part:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 120, (images, channels, size, size), generator=generator, dtype=torch.uint8)
    labels = torch.arange(images) % 4
    half = size // 2
    for i, label in enumerate(labels.tolist()):
        row, column = half * (label // 2), half * (label % 2)
        pixels[i, :, row : row + half, column : column + half] += 100
    return Part(pixels, labels)


def data_of(images: int = 120, *, channels: int = 1, size: int = 8, flips: bool = False) -> Data:
    return assemble(
        "synthetic",
        part_of(images, seed=0, channels=channels, size=size),
        validation=part_of(60, seed=1, channels=channels, size=size),
        test=part_of(40, seed=2, channels=channels, size=size),
        class_names=tuple("abcd"),
        flips=flips,
        seed=0,
    )
