"""Images in folders, one folder a class (torchvision's ImageFolder layout), as tensors; broken ones are counted and named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from evaluators.training.data import Data, Part, assemble, split
from evaluators.training.streamed import BrokenImageError, FileImages, read_image

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff", ".gif"}
LARGEST = 224
RESIDENT_BYTES = 4 << 30
Listing = list[tuple[Path, int]]


def load_folder(root: Path, *, seed: int, skip_broken: bool = False) -> Data:
    """Reads `root/train/CLASS/*` with `root/val` or `root/test` beside it, or one folder `root/CLASS/*` that is split.

    Without a test folder a fifth of the train images, stratified, is the test part; without a val folder a fifth of the rest
    is the validation part.

    Raises:
        ValueError: no folder, fewer than two classes with images, or unreadable images.
    """
    if not root.is_dir():
        raise ValueError(f"a data set folder:DIR needs a folder, and {str(root)!r} is none: check the path")
    train_root = root / "train" if (root / "train").is_dir() else root
    names = class_folders(train_root)
    if len(names) < 2:
        raise ValueError(
            f"{str(train_root)!r} needs two or more folders with images, one a class, and has {len(names)}: "
            "lay it out as train/CLASS/IMAGE or CLASS/IMAGE"
        )
    files = {"train": listing_of(train_root, names)}
    if train_root != root:
        for part in ("val", "test"):
            if (root / part).is_dir():
                files[part] = listing_of(root / part, names)
    parts = read_parts(files, skip_broken=skip_broken)
    train, test = parts["train"], parts.get("test")
    if test is None:
        kept, held = map(torch.from_numpy, split(train.labels.numpy(), fraction=0.2, seed=0))
        train, test = train.take(kept), train.take(held)
    return assemble(
        f"folder:{root}", train, validation=parts.get("val"), test=test, class_names=tuple(names), flips=True, seed=seed
    )


def read_parts(files: Mapping[str, Listing], *, skip_broken: bool, size: int | None = None) -> dict[str, Part]:
    """The parts of a data set from the files of each; those of more than 4 GiB together stay in their files.

    Images are made square by a centre crop and resized to `size`, or to the smallest side found in the train part, at most 224.

    Raises:
        ValueError: with the number of unreadable images and the first of them, unless they are to be skipped.
    """
    smallest, channels = _shape(files["train"])
    size = size or smallest
    if sum(map(len, files.values())) * channels * size * size > RESIDENT_BYTES:
        return {part: _in_files(listing, size, channels, skip_broken) for part, listing in files.items()}
    broken: list[str] = []
    parts = {part: _read(listing, size, channels, broken) for part, listing in files.items()}
    if broken and not skip_broken:
        images = "1 image" if len(broken) == 1 else f"{len(broken)} images"
        raise ValueError(
            f"{images} cannot be read, the first {broken[0]!r}: mend or remove them, or give --skip-broken"
        )
    return parts


def class_folders(root: Path) -> list[str]:
    """The names of the visible folders that hold images, sorted: the classes."""
    return sorted(d.name for d in root.iterdir() if d.is_dir() and not d.name.startswith(".") and any(_images(d)))


def _images(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in EXTENSIONS and f.is_file())


def listing_of(root: Path, names: Sequence[str]) -> Listing:
    """Every image below `root/CLASS` with the number of its class.

    Raises:
        ValueError: a class of its own, or no image.
    """
    odd = sorted(set(class_folders(root)) - set(names))
    if odd:
        raise ValueError(f"{str(root / odd[0])!r} is a class that train/ lacks: the parts need the same classes")
    listing = [(file, label) for label, name in enumerate(names) for file in _images(root / name)]
    if not listing:
        raise ValueError(f"{str(root)!r} holds no images: fill it or remove it")
    return listing


def _shape(listing: Listing) -> tuple[int, int]:
    """The square's side and the number of channels, from up to 200 images spread over the listing."""
    sides, grey = [], True
    for file, _ in listing[:: max(1, len(listing) // 200)]:
        try:
            with Image.open(file) as image:
                sides.append(min(image.size))
                grey = grey and image.mode in {"L", "1", "I", "I;16"}
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue
    return max(8, min([LARGEST, *sides])), 1 if grey and sides else 3


def _in_files(listing: Listing, size: int, channels: int, skip_broken: bool) -> Part:
    images = FileImages(tuple(file for file, _ in listing), channels, size, skip_broken=skip_broken)
    return Part(images, torch.tensor([label for _, label in listing], dtype=torch.int64))


def _read(listing: Listing, size: int, channels: int, broken: list[str]) -> Part:
    images = np.empty((len(listing), channels, size, size), dtype=np.uint8)
    labels: list[int] = []
    for file, label in listing:
        try:
            images[len(labels)] = read_image(file, channels=channels, size=size).numpy()
        except BrokenImageError:
            broken.append(str(file))
            continue
        labels.append(label)
    return Part(torch.from_numpy(images[: len(labels)]), torch.tensor(labels, dtype=torch.int64))
