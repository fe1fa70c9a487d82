import numpy as np
import pytest

from nas.report.facts import Column
from nas.report.importance import LEAST_TRIALS, explained, importance


def test_a_choice_that_decides_everything_explains_everything() -> None:
    indices = [i % 3 for i in range(60)]
    assert explained(indices, [float(i) for i in indices]) == pytest.approx(1.0)


def test_a_choice_of_no_effect_explains_nothing_on_average() -> None:
    generator = np.random.default_rng(0)
    shares = [explained(generator.integers(4, size=40).tolist(), generator.normal(size=40)) for _ in range(300)]
    # Unclipped, the estimate has mean 0; what is clipped at 0 keeps its upper half. Uncorrected η² would have mean 3/39 ≈ 0.077.
    assert np.median(shares) < 0.01
    assert np.mean(shares) < 0.04


def test_the_share_is_that_of_the_one_way_analysis_of_variance() -> None:
    from scipy.stats import f_oneway

    generator = np.random.default_rng(1)
    groups = [generator.normal(shift, 1, size=30) for shift in (0.0, 0.5, 2.0)]
    f = f_oneway(*groups).statistic
    n, k = 90, 3
    epsilon = (k - 1) * (f - 1) / ((k - 1) * f + n - k)
    indices = [i for i in range(3) for _ in range(30)]
    assert explained(indices, np.concatenate(groups)) == pytest.approx(epsilon)


def test_a_choice_that_does_not_apply_is_a_group_of_its_own() -> None:
    assert explained([None] * 20 + [0] * 20, [0.0] * 20 + [1.0] * 20) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "indices, values", [([0, 0, 0], [1.0, 2.0, 3.0]), ([0, 1, 2], [1.0, 2.0, 3.0]), ([], []), ([0, 0, 1], [1.0] * 3)]
)
def test_too_little_to_tell_explains_nothing(indices: list[int], values: list[float]) -> None:
    assert explained(indices, values) == 0.0


def test_importance_ranks_choices_and_needs_enough_trials() -> None:
    n = 2 * LEAST_TRIALS
    strong = Column("strong", (0, 1), tuple(i % 2 for i in range(n)))
    weak = Column("weak", (0, 1), tuple((i // 2) % 2 for i in range(n)))
    macs = [10.0 ** (5 + i % 2) for i in range(n)]
    (first, shares), (second, _) = importance([weak, strong], [(macs, True)])
    assert (first, second) == ("strong", "weak") and shares == [pytest.approx(1.0)]
    assert importance([strong], [(macs[: LEAST_TRIALS - 1], True)]) == []
    assert importance([strong], []) == []
