"""How many trainings fit on a GPU."""

from __future__ import annotations

import pytest

from evaluators.sharing import trials_that_fit


@pytest.mark.parametrize(
    ("total", "peak", "cores", "gpus", "fits"),
    [
        (24_000, 2_000, 16, 1, 6),
        (24_000, 2_000, 4, 1, 4),
        (24_000, 2_000, 4, 2, 2),
        (8_000, 30_000, 16, 1, 1),
        (140_000, 100, 64, 1, 16),
    ],
)
def test_memory_cores_and_a_bound(total: float, peak: float, cores: int, gpus: int, fits: int) -> None:
    assert trials_that_fit(total_mb=total, peak_mb=peak, cores=cores, gpus=gpus) == fits


def test_amounts_must_be_above_zero() -> None:
    with pytest.raises(ValueError, match="amounts must be above zero"):
        trials_that_fit(total_mb=0, peak_mb=1, cores=1)
