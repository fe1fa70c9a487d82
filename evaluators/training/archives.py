"""Data sets that come as archives of image files: Tiny ImageNet and ImageNet; it knows no training.

The official validation images, whose labels are public, are the test part here; the validation part is carved from the train part.
"""

from __future__ import annotations

from pathlib import Path

from evaluators.training.data import Data, assemble
from evaluators.training.folder import Listing, class_folders, listing_of, read_parts
from evaluators.training.request import Request

TINY_IMAGENET_URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
TINY_IMAGENET_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
IMAGENET_ARCHIVES = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar", "ILSVRC2012_devkit_t12.tar.gz")


def tiny_imagenet(request: Request) -> Data:
    """200 classes of 64×64 pixels, in `ROOT/tiny-imagenet-200` as published, or in ROOT itself.

    Raises:
        ValueError: it is not there, or its annotations do not fit its images.
    """
    root = _folder_of(request, "tiny-imagenet-200")
    if root is None and request.download:
        from torchvision.datasets.utils import download_and_extract_archive

        try:
            download_and_extract_archive(TINY_IMAGENET_URL, str(request.root), md5=TINY_IMAGENET_MD5)
        except (RuntimeError, OSError) as error:
            raise ValueError(
                f"{TINY_IMAGENET_URL} cannot be fetched ({error}): fetch it yourself, give --data-dir DIR"
            ) from error
        root = _folder_of(request, "tiny-imagenet-200")
    if root is None:
        raise ValueError(
            f"the data set {request.name!r} is not in {request.root}: give --data-dir DIR where it lies, or --download"
        )
    names = class_folders(root / "train")
    files = {"train": listing_of(root / "train", names), "test": _annotated(root / "val", names)}
    return _assembled(request, files, names, size=64)


def imagenet(request: Request) -> Data:
    """The 1,000 classes of ILSVRC 2012 as `ROOT/train/WNID/*` and `ROOT/val/WNID/*`; torchvision unpacks the official archives.

    Raises:
        ValueError: it is not there. It cannot be fetched without an account at image-net.org.
    """
    root = _folder_of(request, "imagenet")
    if root is None and all((request.root / name).is_file() for name in IMAGENET_ARCHIVES):
        from torchvision.datasets import ImageNet

        for part in ("train", "val"):
            ImageNet(str(request.root), split=part)
        root = _folder_of(request, "imagenet")
    if root is None:
        raise ValueError(
            f"the data set {request.name!r} is not in {request.root}: fetch {', '.join(IMAGENET_ARCHIVES)} with an account at "
            "image-net.org and give --data-dir DIR where they lie; --download cannot fetch them"
        )
    names = class_folders(root / "train")
    files = {"train": listing_of(root / "train", names), "test": listing_of(root / "val", names)}
    return _assembled(request, files, names, size=224)


def _folder_of(request: Request, name: str) -> Path | None:
    """The folder that holds both train and val."""
    candidates = (request.root / name, request.root)
    return next((root for root in candidates if (root / "train").is_dir() and (root / "val").is_dir()), None)


def _annotated(root: Path, names: list[str]) -> Listing:
    """Tiny ImageNet's validation images, whose classes stand in `val_annotations.txt`; one folder a class is taken too."""
    annotations = root / "val_annotations.txt"
    if not annotations.is_file():
        return listing_of(root, names)
    labels = {name: label for label, name in enumerate(names)}
    listing = []
    for line in annotations.read_text(encoding="utf-8").splitlines():
        file, name = line.split("\t")[:2]
        if name not in labels:
            raise ValueError(
                f"{str(annotations)!r} names the class {name!r}, which train/ lacks: unpack the archive anew"
            )
        listing.append((root / "images" / file, labels[name]))
    return listing


def _assembled(request: Request, files: dict[str, Listing], names: list[str], *, size: int) -> Data:
    parts = read_parts(files, skip_broken=request.skip_broken, size=size)
    return assemble(
        request.name,
        parts["train"],
        validation=None,
        test=parts["test"],
        class_names=tuple(names),
        flips=True,
        seed=request.seed,
    )
