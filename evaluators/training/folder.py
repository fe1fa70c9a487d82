"""Images in folders, one folder a class (torchvision's ImageFolder layout), as tensors; broken ones are counted and named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from evaluators.training.data import Data, Part, assemble, split

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"}
LARGEST = 224
MEMORY_LIMIT = 8 << 30


def load_folder(root: Path, *, seed: int, skip_broken: bool = False) -> Data:
    """Reads `root/train/CLASS/*` with `root/val` or `root/test` beside it, or one folder `root/CLASS/*` that is split.

    Images are made square by a centre crop and resized to the smallest side found, at most 224. Without a test folder a fifth of
    the images, stratified, is the test part.

    Raises:
        ValueError: no folder, fewer than two classes with images, or unreadable images.
    """
    if not root.is_dir():
        raise ValueError(f"a data set folder:DIR needs a folder, and {str(root)!r} is none: check the path")
    train_root = root / "train" if (root / "train").is_dir() else root
    names = sorted(d.name for d in train_root.iterdir() if d.is_dir() and any(_images(d)))
    if len(names) < 2:
        raise ValueError(
            f"{str(train_root)!r} needs two or more folders with images, one a class, and has {len(names)}: "
            "lay it out as train/CLASS/IMAGE or CLASS/IMAGE"
        )
    files = {"train": _listing(train_root, names)}
    if train_root != root:
        for part in ("val", "test"):
            if (root / part).is_dir():
                files[part] = _listing(root / part, names)
    size, channels = _shape(files["train"])
    total = sum(map(len, files.values())) * channels * size * size
    if total > MEMORY_LIMIT:
        raise ValueError(
            f"{str(root)!r} takes {total >> 30} GiB in memory, more than {MEMORY_LIMIT >> 30}: use smaller images"
        )
    broken: list[str] = []
    parts = {part: _read(listing, size, channels, broken) for part, listing in files.items()}
    if broken and not skip_broken:
        raise ValueError(
            f"{len(broken)} images cannot be read, the first {broken[0]!r}: mend or remove them, or give --skip-broken"
        )
    train = parts["train"]
    test = parts.get("test")
    if test is None:
        kept, held = map(torch.from_numpy, split(train.labels.numpy(), fraction=0.2, seed=0))
        train, test = Part(train.images[kept], train.labels[kept]), Part(train.images[held], train.labels[held])
    return assemble(
        f"folder:{root}", train, validation=parts.get("val"), test=test, class_names=tuple(names), flips=True, seed=seed
    )


def _images(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.suffix.lower() in EXTENSIONS and f.is_file())


def _listing(root: Path, names: list[str]) -> list[tuple[Path, int]]:
    odd = sorted({d.name for d in root.iterdir() if d.is_dir()} - set(names))
    if odd and root.name in {"val", "test"}:
        raise ValueError(f"{str(root / odd[0])!r} is a class that train/ lacks: the parts need the same classes")
    listing = [(file, label) for label, name in enumerate(names) for file in _images(root / name)]
    if not listing:
        raise ValueError(f"{str(root)!r} holds no images: fill it or remove it")
    return listing


def _shape(listing: list[tuple[Path, int]]) -> tuple[int, int]:
    """The square's side and the number of channels, from up to 200 images spread over the listing."""
    from PIL import Image

    sides, grey = [], True
    for file, _ in listing[:: max(1, len(listing) // 200)]:
        try:
            with Image.open(file) as image:
                sides.append(min(image.size))
                grey = grey and image.mode in {"L", "1", "I;16"}
        except (OSError, SyntaxError):
            continue
    return max(8, min([LARGEST, *sides])), 1 if grey and sides else 3


def _read(listing: list[tuple[Path, int]], size: int, channels: int, broken: list[str]) -> Part:
    from PIL import Image, ImageOps

    images = np.empty((len(listing), size, size, channels), dtype=np.uint8)
    labels: list[int] = []
    for file, label in listing:
        try:
            with Image.open(file) as image:
                square = ImageOps.fit(image.convert("L" if channels == 1 else "RGB"), (size, size))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            broken.append(str(file))
            continue
        images[len(labels)] = np.asarray(square).reshape(size, size, channels)
        labels.append(label)
    tensor = torch.from_numpy(images[: len(labels)]).permute(0, 3, 1, 2).contiguous()
    return Part(tensor, torch.tensor(labels, dtype=torch.int64))
