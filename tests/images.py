"""A folder of real images for tests: scikit-learn's digits as PNG files, one folder a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_digits(root: Path, *, each: int, side: int = 32) -> list[Path]:
    """Writes `each` images of every digit as ROOT/DIGIT/NUMBER.png; the files."""
    from PIL import Image
    from sklearn.datasets import load_digits

    bunch = load_digits()
    files = []
    for label in range(10):
        (root / str(label)).mkdir(parents=True)
        for number, index in enumerate(np.flatnonzero(bunch.target == label)[:each]):
            pixels = np.round(bunch.images[index] * (255 / 16)).astype(np.uint8)
            file = root / str(label) / f"{number:03}.png"
            Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR).save(file)
            files.append(file)
    return files
