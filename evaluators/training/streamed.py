"""Images that stay in their files, for data sets larger than memory: decoded when asked for, ahead of training by a DataLoader."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

logger = logging.getLogger(__name__)
READERS = 4


class BrokenImageError(ValueError):
    """An image file cannot be read."""


@dataclass(frozen=True)
class FileImages:
    """As a uint8 tensor (N, C, H, W) of which rows are read from files when they are asked for.

    `device` is where they are put. A broken file raises `BrokenImageError`; with `skip_broken` it is left out of its batch.
    """

    files: tuple[Path, ...]
    channels: int
    size: int
    device: torch.device = torch.device("cpu")
    skip_broken: bool = False

    def __len__(self) -> int:
        return len(self.files)

    @property
    def shape(self) -> torch.Size:
        """(N, C, H, W)."""
        return torch.Size((len(self.files), self.channels, self.size, self.size))

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """Some of the images, (n, C, H, W), read in this process; labels go with them only where none is broken."""
        files = self.files[rows] if isinstance(rows, slice) else [self.files[int(i)] for i in rows]
        images = []
        for file in files:
            try:
                images.append(read_image(file, channels=self.channels, size=self.size))
            except BrokenImageError:
                if not self.skip_broken:
                    raise
        return (torch.stack(images) if images else torch.empty((0, *self.shape[1:]), dtype=torch.uint8)).to(self.device)

    def to(self, device: torch.device) -> FileImages:
        """The same images, put on a device when they are read."""
        return replace(self, device=device)

    def at(self, resolution: int) -> FileImages:
        """The same images, read at another size."""
        return replace(self, size=resolution)

    def take(self, rows: Tensor) -> FileImages:
        """Some of the images, still in their files."""
        return replace(self, files=tuple(self.files[int(i)] for i in rows))

    def batches(self, labels: Tensor, order: Tensor, *, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (n, C, H, W) and labels (n,) in the order given, `size` at a time, decoded ahead by up to four processes.

        Raises:
            BrokenImageError: a file cannot be read and is not to be skipped.
        """
        loader = DataLoader(
            _Files(self, labels.cpu()),
            batch_sampler=[batch.tolist() for batch in order.cpu().split(size)],
            num_workers=min(READERS, torch._utils.cpu_count() or 1) if len(order) > size else 0,
            collate_fn=_collate,
            pin_memory=self.device.type == "cuda",
        )
        broken: list[str] = []
        for images, targets, unread in loader:
            broken += unread
            if unread and not self.skip_broken:
                raise BrokenImageError(
                    f"the image {unread[0]!r} cannot be read: mend or remove it, or give --skip-broken"
                )
            if len(targets):
                yield images.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)
        if broken:
            logger.warning("%d images cannot be read and were left out, the first %r", len(broken), broken[0])


@dataclass(frozen=True)
class _Files(Dataset[tuple[Tensor | None, int, str]]):
    images: FileImages
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor | None, int, str]:
        file = self.images.files[row]
        try:
            return read_image(file, channels=self.images.channels, size=self.images.size), int(self.labels[row]), ""
        except BrokenImageError:
            return None, 0, str(file)


def _collate(rows: Sequence[tuple[Tensor | None, int, str]]) -> tuple[Tensor, Tensor, list[str]]:
    whole = [(image, label) for image, label, _ in rows if image is not None]
    images = torch.stack([image for image, _ in whole]) if whole else torch.empty(0)
    return images, torch.tensor([label for _, label in whole], dtype=torch.int64), [file for *_, file in rows if file]


def read_image(file: Path, *, channels: int, size: int) -> Tensor:
    """A file as a uint8 tensor (channels, size, size): upright, its centre square, resized.

    Raises:
        BrokenImageError: it cannot be read.
    """
    try:
        with Image.open(file) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16 bits: Pillow's own conversion would cut them off at 255
                upright = Image.fromarray((np.asarray(upright).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))
            square = ImageOps.fit(upright.convert("L" if channels == 1 else "RGB"), (size, size))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise BrokenImageError(f"the image {str(file)!r} cannot be read ({error})") from error
    return torch.from_numpy(np.array(square).reshape(size, size, channels)).permute(2, 0, 1)
