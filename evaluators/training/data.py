"""A data set as uint8 tensors that live on the device, its three parts and its checksum; it knows no network and no recipe.

What is too large for memory stays in its files (`FileImages`) and is read as it is needed, through the same methods.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from evaluators.training.streamed import FileImages

SAMPLE = 10_000


@dataclass(frozen=True)
class Part:
    """Images (N, C, H, W) uint8, resident or in files, and labels (N,) int64."""

    images: Tensor | FileImages
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Part:
        """The same part on a device."""
        return Part(self.images.to(device), self.labels.to(device))

    def at(self, resolution: int) -> Part:
        """The same part with its images resized."""
        if isinstance(self.images, FileImages):
            return Part(self.images.at(resolution), self.labels)
        return Part(resize(self.images, resolution), self.labels)

    def take(self, rows: Tensor) -> Part:
        """Some of the images and their labels."""
        images = self.images.take(rows) if isinstance(self.images, FileImages) else self.images[rows]
        return Part(images, self.labels[rows])

    def batches(self, size: int, *, order: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (n, C, H, W) and labels (n,) in the order given, or as they lie, `size` at a time, the rest last."""
        if isinstance(self.images, FileImages):
            yield from self.images.batches(self.labels, torch.arange(len(self)) if order is None else order, size=size)
        elif order is None:
            yield from zip(self.images.split(size), self.labels.split(size), strict=True)
        else:
            for rows in order.split(size):
                yield self.images[rows], self.labels[rows]


@dataclass(frozen=True)
class Data:
    """The train, validation and test part of a named data set.

    `mean` and `std` are per channel, of the train part, in units of the full range 0…255. `flips` says whether a mirrored image
    keeps its label. The test part is never seen by a search.
    """

    name: str
    train: Part
    validation: Part
    test: Part
    class_names: tuple[str, ...]
    flips: bool
    checksum: str
    mean: Tensor = field(repr=False)
    std: Tensor = field(repr=False)
    _resized: dict[int, Data] = field(default_factory=dict, repr=False, compare=False)

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self.train.images.shape[1]

    @property
    def resolution(self) -> int:
        """Height and width of an image, in pixels."""
        return self.train.images.shape[-1]

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def to(self, device: torch.device) -> Data:
        """The same data on a device."""
        return self._with(self.train.to(device), self.validation.to(device), self.test.to(device))

    def at(self, resolution: int) -> Data:
        """The same data with its images resized (antialiased), kept for the next call."""
        if resolution == self.resolution:
            return self
        if resolution not in self._resized:
            parts = (part.at(resolution) for part in (self.train, self.validation, self.test))
            self._resized[resolution] = self._with(*parts)
        return self._resized[resolution]

    def limited(self, images: int, *, seed: int) -> Data:
        """The same data with so many train images, stratified; mean, deviation and checksum stay those of all of them."""
        if images >= len(self.train):
            return self
        _, kept = split(self.train.labels.cpu().numpy(), fraction=images / len(self.train), seed=seed + 1)
        rows = torch.from_numpy(kept).to(self.train.labels.device)
        return self._with(self.train.take(rows), self.validation, self.test)

    def _with(self, train: Part, validation: Part, test: Part) -> Data:
        device = train.labels.device
        return Data(
            name=self.name,
            train=train,
            validation=validation,
            test=test,
            class_names=self.class_names,
            flips=self.flips,
            checksum=self.checksum,
            mean=self.mean.to(device),
            std=self.std.to(device),
        )


def assemble(
    name: str, train: Part, *, validation: Part | None, test: Part, class_names: tuple[str, ...], flips: bool, seed: int
) -> Data:
    """Data from its official parts; the validation part is carved from the train part (a fifth, stratified) where none is given.

    Raises:
        ValueError: a part is left without images.
    """
    digest = hashlib.sha256()
    for part in (train, validation, test):
        if part is not None:
            _digest(part, digest)
    if validation is None:
        kept, held = map(torch.from_numpy, split(train.labels.numpy(), fraction=0.2, seed=seed))
        train, validation = train.take(kept), train.take(held)
    for part_name, part in (("train", train), ("validation", validation), ("test", test)):
        if not len(part):
            raise ValueError(
                f"the {part_name} part of {name!r} has no images: a class needs three or more to be shared out"
            )
    rows = torch.linspace(
        0, len(train) - 1, min(len(train), SAMPLE if isinstance(train.images, Tensor) else 512)
    ).long()
    std, mean = torch.std_mean(train.images[rows].float(), dim=(0, 2, 3), keepdim=True)
    return Data(
        name=name,
        train=train,
        validation=validation,
        test=test,
        class_names=class_names,
        flips=flips,
        checksum=digest.hexdigest()[:16],
        mean=mean,
        std=std.clamp_min(1.0),
    )


def split(labels: NDArray[np.int64], *, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices kept and held out, in order; of every class with two or more members at least one is on each side."""
    generator = np.random.default_rng([seed, 0x5EED])
    held: list[int] = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        if len(members) > 1:
            held.extend(members[: min(len(members) - 1, max(1, round(fraction * len(members))))])
    mask = np.zeros(len(labels), dtype=bool)
    mask[held] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def resize(images: Tensor, resolution: int) -> Tensor:
    """(N, C, H, W) uint8 -> (N, C, resolution, resolution) uint8, bilinear and antialiased, in pieces that bound the memory."""
    size = (resolution, resolution)
    pieces = [
        F.interpolate(piece.float(), size=size, mode="bilinear", antialias=True, align_corners=False)
        .round_()
        .to(torch.uint8)
        for piece in images.split(4096)
    ]
    return torch.cat(pieces)


def _digest(part: Part, digest: hashlib._Hash) -> None:
    """Adds a part to a checksum: its pixels and labels, or the names and sizes of its files."""
    if isinstance(part.images, FileImages):
        for file in part.images.files:
            digest.update(f"{file.parent.name}/{file.name}:{file.stat().st_size}\n".encode())
    else:
        digest.update(part.images.contiguous().numpy().data)
    digest.update(part.labels.contiguous().numpy().data)
