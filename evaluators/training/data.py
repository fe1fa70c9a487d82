"""A data set as uint8 tensors that live on the device, its three parts and its checksum; it knows no network and no recipe."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Part:
    """Images (N, C, H, W) uint8 and labels (N,) int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device) -> Part:
        """The same part on a device."""
        return Part(self.images.to(device), self.labels.to(device))


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
            parts = (Part(resize(p.images, resolution), p.labels) for p in (self.train, self.validation, self.test))
            self._resized[resolution] = self._with(*parts)
        return self._resized[resolution]

    def _with(self, train: Part, validation: Part, test: Part) -> Data:
        device = train.images.device
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
    """Data from its official parts; the validation part is carved from the train part (a fifth, stratified) where none is given."""
    digest = hashlib.sha256()
    for part in (train, validation, test):
        if part is not None:
            digest.update(part.images.contiguous().numpy().data)
            digest.update(part.labels.contiguous().numpy().data)
    if validation is None:
        kept, held = split(train.labels.numpy(), fraction=0.2, seed=seed)
        train, validation = _take(train, kept), _take(train, held)
    sample = train.images[:10_000].float()
    std, mean = torch.std_mean(sample, dim=(0, 2, 3), keepdim=True)
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


def _take(part: Part, indices: NDArray[np.int64]) -> Part:
    index = torch.from_numpy(indices)
    return Part(part.images[index], part.labels[index])
