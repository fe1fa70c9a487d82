"""CIFAR-10 and CIFAR-100 in the files of their publisher, which are pickles: read here as plain data, so that no file runs code.

Torchvision would load them with `pickle.load`. Here their checksums, torchvision's, are compared first, and then only containers, numbers
and text are built: an array is taken as its shape and bytes, and whatever else a file names is refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluators.training.data import Data, Part, assemble
from evaluators.training.request import Request


def cifar(request: Request, publisher: Any) -> Data:
    """The data set whose files torchvision's class `publisher` (`CIFAR10` or `CIFAR100`) names: 3×32×32 pixels.

    Raises:
        ValueError: it is not there, or is not what was published.
    """
    from torchvision.datasets.utils import check_integrity, download_and_extract_archive

    base = request.root / publisher.base_folder
    meta = publisher.meta
    files = [*publisher.train_list, *publisher.test_list, (meta["filename"], meta["md5"])]

    def wrong() -> list[str]:
        return [name for name, md5 in files if not check_integrity(str(base / name), md5)]

    try:
        if wrong() and request.download:
            archive = {"filename": publisher.filename, "md5": publisher.tgz_md5}
            download_and_extract_archive(publisher.url, str(request.root), **archive)
        reason = f"{', '.join(wrong())} missing or not as published" if wrong() else ""
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
    if reason:
        raise ValueError(
            f"the data set {request.name!r} is not in {request.root} ({reason}): give --data-dir DIR where it lies, or --download"
        )
    names = _names(base / meta["filename"], meta["key"])
    return assemble(
        request.name,
        _part([base / name for name, _ in publisher.train_list], classes=len(names)),
        validation=None,
        test=_part([base / name for name, _ in publisher.test_list], classes=len(names)),
        class_names=names,
        flips=True,
        seed=request.seed,
    )


def plain(file: Path) -> dict[str, Any]:
    """The table that a file of Python 2's pickles holds, of containers, numbers, texts and arrays of bytes alone.

    Raises:
        ValueError: it holds anything else.
    """
    try:
        with open(file, "rb") as content:
            table = _Plain(content, encoding="latin1").load()
    except Exception as error:  # a damaged pickle can fail in any way
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{str(file)!r} is no file of CIFAR ({reason}): fetch the data set anew") from None
    if not isinstance(table, dict):
        raise ValueError(f"{str(file)!r} is no file of CIFAR (it holds no table): fetch the data set anew")
    return table


class _Array:
    """Stands for a numpy array while it is read: numpy's own reconstruction trusts what it is given."""

    def __init__(self, *_: object) -> None:
        self.pixels = np.zeros((0, 0), dtype=np.uint8)

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, by_columns, content = state
        if not isinstance(kind, _Kind) or kind.name not in {"u1", "|u1"} or by_columns:
            raise pickle.UnpicklingError("an array is not of bytes, row by row")
        self.pixels = np.frombuffer(content.encode("latin1"), dtype=np.uint8).reshape(shape)


class _Kind:
    """Stands for a numpy dtype while it is read."""

    def __init__(self, name: str = "", *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment, which a byte does not have."""


class _Plain(pickle.Unpickler):
    """Builds nothing but containers, numbers, texts and what stands for arrays."""

    def find_class(self, module: str, name: str) -> Any:
        """What a file means by a name; few names mean anything."""
        known = {"numpy.core.multiarray._reconstruct": _Array, "numpy.ndarray": _Array, "numpy.dtype": _Kind}
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"it names {module}.{name}, and may hold plain data alone")
        return known[f"{module}.{name}"]


def _part(files: Sequence[Path], *, classes: int) -> Part:
    """Images (N, 3, 32, 32) and labels (N,) of several files."""
    images, labels = [], []
    for file in files:
        table = plain(file)
        array, given = table.get("data"), table.get("labels", table.get("fine_labels"))
        if not isinstance(array, _Array) or array.pixels.shape[1:] != (3 * 32 * 32,):
            raise ValueError(
                f"{str(file)!r} is no file of CIFAR (it lacks rows of 3072 bytes): fetch the data set anew"
            )
        if not isinstance(given, list) or len(given) != len(array.pixels) or not set(given) <= set(range(classes)):
            raise ValueError(
                f"{str(file)!r} is no file of CIFAR (its labels do not fit {len(array.pixels)} images of {classes} classes): "
                "fetch the data set anew"
            )
        images.append(array.pixels.reshape(-1, 3, 32, 32))
        labels.extend(given)
    return Part(torch.from_numpy(np.concatenate(images)), torch.tensor(labels, dtype=torch.int64))


def _names(file: Path, key: str) -> tuple[str, ...]:
    names = plain(file).get(key)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{str(file)!r} is no file of CIFAR (it names no classes): fetch the data set anew")
    return tuple(names)
