"""A tiny fake of each layout that torchvision and the publishers use, read by name."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from evaluators.training.datasets import DATASETS, load

TRAIN, TEST = 40, 20


def fake_fashion_mnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = root / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name, n in (("train", TRAIN), ("t10k", TEST)):
        images = np.arange(n * 784, dtype=np.uint32).astype(np.uint8)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, n, 28, 28) + images.tobytes())
        labels = (np.arange(n) % 10).astype(np.uint8)
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, n) + labels.tobytes())


class Python2(pickle._Pickler):  # type: ignore[name-defined]
    """Pickles as Python 2 and the numpy of its day did: protocol 2, texts and bytes alike as byte strings, arrays by their old names."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=2)

    def string(self, text: Any) -> None:
        content = text.encode("latin1") if isinstance(text, str) else text
        short = len(content) < 256
        self.write(b"U" + bytes([len(content)]) if short else b"T" + struct.pack("<i", len(content)))
        self.write(content)
        self.memoize(text)

    def array(self, array: Any) -> None:
        self.write(b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85U\x01btR(K\x01")
        self.save(array.shape)
        self.write(b"cnumpy\ndtype\n(U\x02u1K\0K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89")
        self.string(array.tobytes())
        self.write(b"tb")

    dispatch = {**pickle._Pickler.dispatch, str: string, bytes: string, np.ndarray: array}  # type: ignore[attr-defined]


def python2(value: Any) -> bytes:
    file = io.BytesIO()
    Python2(file).dump(value)
    return file.getvalue()


def fake_cifar(cls: Any, folder: str, key: str, classes: int) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def write(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        base = root / folder
        base.mkdir(parents=True)
        lists = []
        for names, n in ((cls.train_list, TRAIN), (cls.test_list, TEST)):
            share = -(-n // len(names))
            entries = []
            for i, (name, _) in enumerate(names):
                labels = [(i * share + j) % classes for j in range(share)]
                pixels = np.full((share, 3072), i, dtype=np.uint8)
                pixels[:, 1024:] += np.arange(share, dtype=np.uint8)[:, None]
                names_of_files = [f"picture_s_{j:06}.png" for j in range(share)]
                content = python2({"batch_label": "batch", key: labels, "data": pixels, "filenames": names_of_files})
                (base / name).write_bytes(content)
                entries.append([name, hashlib.md5(content).hexdigest()])
            lists.append(entries)
        meta = python2({"num_vis": 3072, cls.meta["key"]: [f"class {i}" for i in range(classes)]})
        (base / cls.meta["filename"]).write_bytes(meta)
        monkeypatch.setattr(cls, "train_list", lists[0])
        monkeypatch.setattr(cls, "test_list", lists[1])
        monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": hashlib.md5(meta).hexdigest()})

    return write


def fake_svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scipy.io import savemat

    root.mkdir(parents=True, exist_ok=True)
    split_list = dict(datasets.SVHN.split_list)
    for split, n in (("train", TRAIN), ("test", TEST)):
        file = root / split_list[split][1]
        pixels = np.zeros((32, 32, 3, n), dtype=np.uint8)
        pixels[:, :, 2] = 200
        savemat(file, {"X": pixels, "y": (np.arange(n) % 10 + 1)[:, None]})  # 10 stands for the digit 0
        split_list[split] = [*split_list[split][:2], hashlib.md5(file.read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", split_list)


def picture(file: Path, size: int, value: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (size, size), (value, 0, 0)).save(file)


def fake_tiny_imagenet(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = root / "tiny-imagenet-200"
    lines = []
    for label in range(10):
        for i in range(4):
            picture(base / "train" / f"n{label:08}" / "images" / f"n{label:08}_{i}.JPEG", 64, 20 * label)
        for i in range(2):
            picture(base / "val" / "images" / f"val_{2 * label + i}.JPEG", 64, 20 * label)
            lines.append(f"val_{2 * label + i}.JPEG\tn{label:08}\t0\t0\t63\t63")
    (base / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")


def fake_imagenet(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for label in range(10):
        for i in range(4):
            picture(root / "train" / f"n{label:08}" / f"{i}.JPEG", 90, 20 * label)
        for i in range(2):
            picture(root / "val" / f"n{label:08}" / f"{i}.JPEG", 70, 20 * label)


FAKES: dict[str, tuple[Callable[[Path, pytest.MonkeyPatch], None], tuple[int, int, int, int]]] = {
    "fashion-mnist": (fake_fashion_mnist, (1, 28, 10, 0)),
    "cifar10": (fake_cifar(datasets.CIFAR10, "cifar-10-batches-py", "labels", 10), (3, 32, 10, 0)),
    "cifar100": (fake_cifar(datasets.CIFAR100, "cifar-100-python", "fine_labels", 100), (3, 32, 100, 0)),
    "svhn": (fake_svhn, (3, 32, 10, 0)),
    "tiny-imagenet": (fake_tiny_imagenet, (3, 64, 10, 0)),
    "imagenet": (fake_imagenet, (3, 224, 10, 0)),
}


def test_every_data_set_has_a_fake() -> None:
    assert {*FAKES, "digits"} == set(DATASETS)


@pytest.mark.parametrize("name", FAKES)
def test_every_layout_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, (channels, resolution, classes, _) = FAKES[name]
    if name == "cifar100":
        monkeypatch.setattr("tests.evaluators.training.test_datasets.TRAIN", 400)
    write(tmp_path, monkeypatch)
    data = load(name, data_dir=str(tmp_path))
    assert (data.channels, data.resolution, data.classes) == (channels, resolution, classes)
    assert len(data.train) > len(data.validation) > 0 and len(data.test) == TEST
    assert data.train.images.dtype == torch.uint8 and int(data.train.labels.max()) == classes - 1
    assert data.flips == (name != "svhn")


def test_cifar_has_its_pixels_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FAKES["cifar10"][0](tmp_path, monkeypatch)
    data = load("cifar10", data_dir=str(tmp_path))
    assert data.test.images[5, :, 0, 0].tolist() == data.test.images[5, :, 31, 31].tolist() == [0, 5, 5]
    assert data.test.labels.tolist() == [i % 10 for i in range(TEST)] and data.class_names[9] == "class 9"


def test_the_fake_is_what_torchvision_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own reader, which trusts the file, gives the same arrays, so the fake has CIFAR's format."""
    FAKES["cifar10"][0](tmp_path, monkeypatch)
    theirs = datasets.CIFAR10(str(tmp_path), train=False)
    ours = load("cifar10", data_dir=str(tmp_path)).test
    assert np.array_equal(ours.images.permute(0, 2, 3, 1).numpy(), theirs.data)
    assert ours.labels.tolist() == theirs.targets


class Bomb:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


HOSTILE: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "code": (lambda place: pickle.dumps({"data": Bomb(place)}, protocol=2), r"it names posix\.mkdir"),
    "code of numpy": (lambda _: b"cnumpy\nload\n(U\x01xtR.", r"it names numpy\.load"),
    "objects": (lambda _: python2({"data": np.zeros((4, 3072), np.uint8)}).replace(b"u1", b"O8"), "is not of bytes"),
    "another shape": (
        lambda _: python2({"data": np.zeros((4, 3071), np.uint8), "labels": [0] * 4}),
        "rows of 3072 bytes",
    ),
    "labels": (
        lambda _: python2({"data": np.zeros((4, 3072), np.uint8), "labels": [0, 1, 2, 99]}),
        "labels do not fit",
    ),
    "cut short": (lambda _: python2({"data": np.zeros((4, 3072), np.uint8)})[:900], "is no file of CIFAR"),
    "a list": (lambda _: python2([1]), "holds no table"),
    "nothing": (lambda _: b"", "is no file of CIFAR"),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("checksum", ["its own", "the published one"])
def test_a_hostile_file_of_cifar_runs_nothing(
    name: str, checksum: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused for its checksum; and even where that agrees nothing that it names is called."""
    FAKES["cifar10"][0](tmp_path, monkeypatch)
    make, sentence = HOSTILE[name]
    content = make(tmp_path / "ran")
    file = datasets.CIFAR10.train_list[0][0]
    (tmp_path / "cifar-10-batches-py" / file).write_bytes(content)
    if checksum == "its own":
        given = [[file, hashlib.md5(content).hexdigest()], *datasets.CIFAR10.train_list[1:]]
        monkeypatch.setattr(datasets.CIFAR10, "train_list", given)
    else:
        sentence = f"{file} missing or not as published"
    with pytest.raises(ValueError, match=sentence) as caught:
        load("cifar10", data_dir=str(tmp_path))
    assert len(str(caught.value).splitlines()) == 1 and not (tmp_path / "ran").exists()


def test_svhn_has_zero_as_class_zero_and_its_channels_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_svhn(tmp_path, monkeypatch)
    data = load("svhn", data_dir=str(tmp_path))
    assert data.test.labels.tolist() == [(i + 1) % 10 for i in range(TEST)]
    assert data.test.images.float().mean((0, 2, 3)).tolist() == [0, 0, 200]


def test_tiny_imagenet_takes_labels_from_the_annotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tiny_imagenet(tmp_path, monkeypatch)
    data = load("tiny-imagenet", data_dir=str(tmp_path))
    assert data.test.images[:, 0, 0, 0].float().sub(20 * data.test.labels).abs().max() <= 3


@pytest.mark.parametrize("name", [name for name in FAKES if name != "imagenet"])
def test_a_missing_data_set_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--data-dir DIR where it lies, or --download"):
        load(name, data_dir=str(tmp_path))


def test_imagenet_cannot_be_fetched(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"image-net.org .*--download cannot fetch them"):
        load("imagenet", data_dir=str(tmp_path), download=True)


def test_compressed_fashion_mnist_is_unpacked_by_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_fashion_mnist(tmp_path, monkeypatch)
    raw = tmp_path / "FashionMNIST" / "raw"
    resources = []
    for file in sorted(raw.iterdir()):
        packed = gzip.compress(file.read_bytes(), mtime=0)
        (raw / f"{file.name}.gz").write_bytes(packed)
        resources.append((f"{file.name}.gz", hashlib.md5(packed).hexdigest()))
        file.unlink()
    monkeypatch.setattr(datasets.FashionMNIST, "resources", resources)
    assert len(load("fashion-mnist", data_dir=str(tmp_path), download=True).test) == TEST
