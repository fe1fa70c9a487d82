"""Fronts, hypervolume and knee against definitions written out."""

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas.pareto import Frame, fronts, hypervolume, knee, non_dominated

POINTS = st.integers(1, 4).flatmap(
    lambda m: arrays(np.float64, st.tuples(st.integers(1, 12), st.just(m)), elements=st.integers(0, 5).map(float))
)


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


@given(POINTS)
def test_front_is_what_nothing_dominates(points: np.ndarray) -> None:
    expected = [not any(dominates(other, point) for other in points) for point in points]
    assert non_dominated(points).tolist() == expected


@given(POINTS)
def test_ranks_peel_fronts_off(points: np.ndarray) -> None:
    ranks, left = fronts(points), np.arange(len(points))
    for rank in range(ranks.max() + 1):
        front = left[non_dominated(points[left])]
        assert (ranks[front] == rank).all()
        left = np.setdiff1d(left, front)
    assert len(left) == 0


@given(POINTS)
def test_hypervolume_counts_dominated_unit_cells(points: np.ndarray) -> None:
    cells = np.stack(np.meshgrid(*[np.arange(6)] * points.shape[1], indexing="ij"), axis=-1).reshape(
        -1, points.shape[1]
    )
    covered = (cells[:, None, :] >= points[None]).all(axis=2).any(axis=1).sum()
    assert hypervolume(points, [6.0] * points.shape[1]) == pytest.approx(covered)


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume([[2.0, 0.0], [0.5, 0.5]], [1.0, 1.0]) == pytest.approx(0.25)
    assert hypervolume(np.zeros((0, 2)), [1.0, 1.0]) == 0.0


def test_knee_bulges_most_towards_the_ideal() -> None:
    front = [[0.0, 10.0], [1.0, 4.0], [2.0, 1.0], [5.0, 0.5], [10.0, 0.0]]
    assert knee(front) == 2
    assert knee([[100 * a, b] for a, b in front]) == 2
    assert knee([[1.0, 1.0], [0.0, 0.0]]) == 1
    assert knee([[3.0, 2.0]]) == 0


def test_frame_is_fixed_and_hypervolume_within_it_never_falls() -> None:
    frame = Frame.of([[0.0, 10.0], [4.0, 0.0], [2.0, 5.0]])
    assert frame.normalise([[2.0, 5.0]]).tolist() == [[0.5, 0.5]]
    points = np.random.default_rng(0).random((30, 2)) * [4, 10]
    volumes = [frame.hypervolume(points[:n]) for n in range(1, 31)]
    assert all(a <= b for a, b in zip(volumes, volumes[1:], strict=False)) and 0 < volumes[-1] < 1
    assert Frame.of([[1.0, 2.0]]).hypervolume([[1.0, 2.0]]) == pytest.approx(1.0)


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="shape"):
        non_dominated([1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        hypervolume([[np.nan, 1.0]], [1.0, 1.0])
    with pytest.raises(ValueError, match="each of 2 objectives"):
        hypervolume([[0.0, 1.0]], [1.0])
    with pytest.raises(ValueError, match="got none"):
        knee(np.zeros((0, 2)))


def test_ten_thousand_points_take_less_than_a_second() -> None:
    sphere = np.abs(np.random.default_rng(0).normal(size=(10_000, 3)))
    sphere = 1 - sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    start = time.perf_counter()
    assert non_dominated(sphere).all() and (fronts(sphere) == 0).all()
    assert hypervolume(sphere, [1.0, 1.0, 1.0]) == pytest.approx(1 - np.pi / 6 - 0.25, abs=0.6)
    assert time.perf_counter() - start < 1


def test_imports_nothing_heavy() -> None:
    code = "import sys, nas.pareto; print(sorted({'torch', 'pymoo', 'moocore', 'scipy', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
