"""The data sets by name: where their images come from and how they become tensors; it knows no training.

Each reader returns `Data` and raises `ValueError` with one sentence where the images cannot be had.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluators.training.data import Data, Part, assemble, resize, split
from evaluators.training.request import Request


def load(
    name: str,
    *,
    data_dir: str | None = None,
    download: bool = False,
    skip_broken: bool = False,
    train_images: int = 0,
    seed: int = 0,
) -> Data:
    """The named data set: one of `DATASETS`, or `folder:DIR`; `seed` decides which images are held out for validation.

    Where `train_images` is above 0, so many of the train part are kept, stratified; validation and test stay whole.

    Raises:
        ValueError: an unknown name, or images that are missing or unreadable.
    """
    root = Path(data_dir or "~/.cache/nas").expanduser()
    data = _read(Request(name=name, root=root, download=download, skip_broken=skip_broken, seed=seed))
    return data.limited(train_images, seed=seed) if train_images else data


def _read(request: Request) -> Data:
    name = request.name
    if name.startswith("folder:"):
        from evaluators.training.folder import load_folder

        return load_folder(Path(name.removeprefix("folder:")), seed=request.seed, skip_broken=request.skip_broken)
    if name not in DATASETS:
        near = difflib.get_close_matches(name, DATASETS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose {', '.join(DATASETS)} or folder:DIR"
        raise ValueError(f"the data set {name!r} is unknown: {hint}")
    return DATASETS[name](request)


def _digits(request: Request) -> Data:
    """scikit-learn's 1,797 grey 8×8 digits, resized to 32×32; a fifth, stratified, is the test part."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(np.round(bunch.images * (255 / 16)).astype(np.uint8))[:, None]
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    images = resize(images, 32)
    rest, test = map(torch.from_numpy, split(labels.numpy(), fraction=0.2, seed=0))
    return assemble(
        request.name,
        Part(images[rest], labels[rest]),
        validation=None,
        test=Part(images[test], labels[test]),
        class_names=tuple("0123456789"),
        flips=False,
        seed=request.seed,
    )


def _torchvision(class_name: str, *, flips: bool) -> Callable[[Request], Data]:
    def read(request: Request) -> Data:
        from torchvision import datasets

        parts = []
        for train in (True, False):
            options: dict[str, Any] = {"train": train}
            if class_name == "SVHN":
                options = {"split": "train" if train else "test"}
            try:
                dataset = getattr(datasets, class_name)(str(request.root), download=request.download, **options)
            except (RuntimeError, OSError) as error:
                reason = " ".join(str(error).split())[:200]
                raise ValueError(
                    f"the data set {request.name!r} is not in {request.root} ({reason}): give --data-dir DIR where it lies, "
                    "or --download"
                ) from error
            parts.append(_tensors(dataset))
        names = getattr(dataset, "classes", None) or [str(i) for i in range(10)]
        return assemble(
            request.name,
            parts[0],
            validation=None,
            test=parts[1],
            class_names=tuple(names),
            flips=flips,
            seed=request.seed,
        )

    return read


def _tensors(dataset: Any) -> Part:
    """Torchvision's in-memory arrays as (N, C, H, W); SVHN is already so, MNIST's has no channels."""
    images = torch.as_tensor(dataset.data)
    labels = torch.as_tensor(np.asarray(dataset.targets if hasattr(dataset, "targets") else dataset.labels)).long()
    if images.ndim == 3:
        images = images[:, None]
    return Part(images.contiguous(), labels)


def _cifar(class_name: str) -> Callable[[Request], Data]:
    def read(request: Request) -> Data:
        from torchvision import datasets

        from evaluators.training.cifar import cifar

        return cifar(request, getattr(datasets, class_name))

    return read


def _tiny_imagenet(request: Request) -> Data:
    from evaluators.training.archives import tiny_imagenet

    return tiny_imagenet(request)


def _imagenet(request: Request) -> Data:
    from evaluators.training.archives import imagenet

    return imagenet(request)


DATASETS: dict[str, Callable[[Request], Data]] = {
    "digits": _digits,
    "fashion-mnist": _torchvision("FashionMNIST", flips=True),
    "cifar10": _cifar("CIFAR10"),
    "cifar100": _cifar("CIFAR100"),
    "svhn": _torchvision("SVHN", flips=False),
    "tiny-imagenet": _tiny_imagenet,
    "imagenet": _imagenet,
}
