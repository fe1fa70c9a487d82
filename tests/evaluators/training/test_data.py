"""The split, the checksum, resizing, and sets too small to be shared out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from evaluators.training.data import Part, assemble, resize, split
from evaluators.training.datasets import load
from tests.evaluators.training.synthetic import data_of, part_of


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_split_is_a_stratified_partition(labels: list[int], seed: int) -> None:
    array = np.array(labels)
    kept, held = split(array, fraction=0.2, seed=seed)
    assert sorted([*kept, *held]) == list(range(len(labels)))
    assert kept.tolist() == sorted(kept) and held.tolist() == sorted(held)
    for label in set(labels):
        n = labels.count(label)
        assert (array[held] == label).sum() == (0 if n == 1 else min(n - 1, max(1, round(0.2 * n))))


def test_split_depends_on_its_seed_alone() -> None:
    labels = np.arange(200) % 10
    assert np.array_equal(split(labels, fraction=0.2, seed=3)[1], split(labels, fraction=0.2, seed=3)[1])
    assert not np.array_equal(split(labels, fraction=0.2, seed=3)[1], split(labels, fraction=0.2, seed=4)[1])


def test_checksum_sees_a_pixel_a_label_and_no_split() -> None:
    def checksum(train: Part, seed: int = 0) -> str:
        return assemble(
            "x", train, validation=None, test=part_of(20, seed=2), class_names=tuple("abcd"), flips=False, seed=seed
        ).checksum

    first = part_of(40, seed=0)
    pixel, label = first.images.clone(), first.labels.clone()
    pixel[3, 0, 2, 2] += 1
    label[5] = (label[5] + 1) % 4
    assert checksum(first) == checksum(first, seed=7)
    assert len({checksum(first), checksum(Part(pixel, first.labels)), checksum(Part(first.images, label))}) == 3


def test_digits_are_whole_and_never_overlap() -> None:
    data = load("digits")
    assert (len(data.train), len(data.validation), len(data.test)) == (1151, 287, 359)
    assert data.train.images.shape[1:] == (1, 32, 32) and data.train.images.dtype == torch.uint8
    seen = [p.numpy().tobytes() for part in (data.train, data.validation, data.test) for p in part.images]
    assert len(set(seen)) >= 1790  # a few of the digits are printed alike
    assert data.checksum == load("digits").checksum
    pixels = data.train.images.double()
    assert float(data.mean) == pytest.approx(float(pixels.mean()), rel=1e-4)
    assert float(data.std) == pytest.approx(float(pixels.std()), rel=1e-4)


def test_limited_keeps_classes_even_and_the_other_parts_whole() -> None:
    data = load("digits", train_images=200)
    counts = torch.bincount(data.train.labels)
    assert 190 <= len(data.train) <= 210 and counts.min() >= 18 and counts.max() <= 22
    assert len(data.validation) == 287 and data.checksum == load("digits").checksum
    assert len(load("digits", train_images=9999).train) == 1151


def test_resize_is_pillows_bilinear() -> None:
    images = torch.randint(0, 256, (3, 1, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for size in (12, 16, 24, 48):
        ours = resize(images, size)
        assert ours.dtype == torch.uint8 and ours.shape == (3, 1, size, size)
        for image, small in zip(images, ours, strict=True):
            pillow = np.asarray(Image.fromarray(image[0].numpy()).resize((size, size), Image.Resampling.BILINEAR))
            assert np.abs(pillow.astype(int) - small[0].numpy().astype(int)).max() <= 1


def test_at_resizes_every_part_once() -> None:
    data = data_of()
    assert data.at(8) is data
    small = data.at(4)
    assert small is data.at(4) and small.resolution == 4 and small.test.images.shape[-1] == 4
    assert torch.equal(small.train.labels, data.train.labels) and small.mean is data.mean


def test_batches_follow_the_order_and_keep_the_rest() -> None:
    part = part_of(10, seed=0)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    batches = list(part.batches(4, order=order))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert torch.equal(torch.cat([images for images, _ in batches]), part.images[order])
    assert torch.equal(torch.cat([labels for _, labels in part.batches(4)]), part.labels)


def test_a_part_without_images_is_refused() -> None:
    one_each = Part(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4))
    with pytest.raises(ValueError, match="the validation part of 'x' has no images: a class needs three or more"):
        assemble("x", one_each, validation=None, test=one_each, class_names=tuple("abcd"), flips=False, seed=0)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ValueError, match="'cifar-10' is unknown: did you mean 'cifar10'"):
        load("cifar-10")
