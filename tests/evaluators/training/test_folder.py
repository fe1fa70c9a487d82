"""Images in folders: every layout, broken and odd files, and those too many for memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.training import folder
from evaluators.training.datasets import load
from evaluators.training.recipe import Recipe
from evaluators.training.streamed import FileImages
from evaluators.training.train import train
from search_spaces.architecture import Architecture, Stage, Stem
from search_spaces.network import build


def fill(
    root: Path, *, images: int = 10, classes: str = "ab", size: tuple[int, int] = (12, 10), mode: str = "RGB"
) -> None:
    generator = np.random.default_rng(len(str(root)))
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(images):
            pixels = generator.integers(0, 100, (size[1], size[0], 3), dtype=np.uint8) + np.uint8(100 * label)
            Image.fromarray(pixels).convert(mode).save(root / name / f"{i:02}.png")


def test_one_folder_is_split_in_three(tmp_path: Path) -> None:
    fill(tmp_path / "d")
    data = load(f"folder:{tmp_path / 'd'}")
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 4)
    assert data.class_names == ("a", "b") and data.resolution == 10 and data.channels == 3 and data.flips


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [(("val",), (16, 10, 4)), (("test",), (16, 4, 10)), (("val", "test"), (20, 10, 10)), ((), (12, 4, 4))],
)
def test_train_with_val_or_test_beside_it(tmp_path: Path, parts: tuple[str, ...], sizes: tuple[int, int, int]) -> None:
    for part, images in (("train", 10), *((p, 5) for p in parts)):
        fill(tmp_path / part, images=images)
    data = load(f"folder:{tmp_path}")
    assert (len(data.train), len(data.validation), len(data.test)) == sizes


def test_grey_images_have_one_channel_and_16_bits_keep_their_range(tmp_path: Path) -> None:
    fill(tmp_path, mode="L")
    assert load(f"folder:{tmp_path}").channels == 1
    deep = np.linspace(0, 65535, 144).reshape(12, 12).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a" / "deep.png")
    (image,) = FileImages((tmp_path / "a" / "deep.png",), 1, 12)[torch.tensor([0])]
    assert image.min() == 0 and image.max() == 255 and image.float().mean() == pytest.approx(127, abs=1)


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (10, 10))
    image.paste((255, 255, 255), (0, 0, 10, 5))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "x.jpg", exif=exif, quality=95)
    (read,) = FileImages((tmp_path / "x.jpg",), 3, 10)[torch.tensor([0])]
    assert read[:, 1].float().mean() < 60 < 200 < read[:, 8].float().mean()


def test_broken_images_are_counted_and_named_or_left_out(tmp_path: Path) -> None:
    fill(tmp_path)
    whole = (tmp_path / "a" / "03.png").read_bytes()
    (tmp_path / "a" / "03.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b" / "zz.jpg").write_bytes(b"no image")
    with pytest.raises(
        ValueError, match=r"2 images cannot be read, the first '.*03.png': mend or remove them, or give --skip-broken"
    ):
        load(f"folder:{tmp_path}")
    data = load(f"folder:{tmp_path}", skip_broken=True)
    assert len(data.train) + len(data.validation) + len(data.test) == 19


def test_what_is_no_data_set_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a folder"):
        load(f"folder:{tmp_path / 'none'}")
    (tmp_path / "a").mkdir()
    (tmp_path / ".cache").mkdir()
    with pytest.raises(ValueError, match="two or more folders with images, one a class, and has 0"):
        load(f"folder:{tmp_path}")
    fill(tmp_path / "train")
    fill(tmp_path / "val", classes="abc")
    with pytest.raises(ValueError, match="'.*c' is a class that train/ lacks"):
        load(f"folder:{tmp_path}")


def test_what_is_too_large_streams_and_trains_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, images=20, size=(8, 8))
    resident = load(f"folder:{tmp_path}")
    monkeypatch.setattr(folder, "RESIDENT_BYTES", 100)
    monkeypatch.setattr("evaluators.training.streamed.READERS", 0)
    streamed = load(f"folder:{tmp_path}")
    assert isinstance(streamed.train.images, FileImages)
    assert len(streamed.train) == len(resident.train) and streamed.at(4).resolution == 4
    order = torch.arange(len(resident.train))
    for ours, theirs in zip(streamed.train.batches(8, order=order), resident.train.batches(8), strict=True):
        assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])
    accuracies = []
    for data in (resident, streamed):
        torch.manual_seed(0)
        network = build(Architecture(3, 8, 2, Stem(4), (Stage.of("conv1x1", depth=1, width=8, stride=1),)))
        accuracies.append(train(network, data, Recipe(epochs=2, batch_size=8, crop=2), seed=0, resolution=8).accuracy)
    assert accuracies[0] == accuracies[1]


def test_readers_ahead_of_training_give_the_same_images(tmp_path: Path) -> None:
    fill(tmp_path, images=6, size=(8, 8))
    files = tuple(sorted(tmp_path.rglob("*.png")))
    images = FileImages(files, 3, 8)
    labels = torch.arange(len(files))
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(1))
    batches = list(images.batches(labels, order, size=5))
    assert torch.equal(torch.cat([b for b, _ in batches]), images[order])
    assert torch.equal(torch.cat([rows for _, rows in batches]), order)


def test_broken_files_of_a_stream(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, images=4, size=(8, 8))
    (tmp_path / "a" / "01.png").write_bytes(b"no image")
    files = tuple(sorted(tmp_path.rglob("*.png")))
    labels, order = torch.arange(8), torch.arange(8)
    with pytest.raises(ValueError, match="01.png' cannot be read"):
        list(FileImages(files, 3, 8).batches(labels, order, size=8))
    ((images, kept),) = FileImages(files, 3, 8, skip_broken=True).batches(labels, order, size=8)
    assert len(images) == 7 and kept.tolist() == [0, 2, 3, 4, 5, 6, 7]
    assert "1 images cannot be read" in caplog.text
