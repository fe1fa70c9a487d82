"""How much each choice matters to each objective: the variance that it explains alone; it knows no trial and no page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from nas.report.facts import Column

LEAST_TRIALS = 20


def explained(indices: Sequence[int | None], values: ArrayLike) -> float:
    """The share of the variance of (n,) values between the groups of equal index, corrected for chance: ε², 0 to 1.

    η² counts the means of small groups as effects; ε² takes off what groups of these sizes would explain by luck (Kelley 1935,
    "An unbiased correlation ratio measure"). `None` is a group of its own: a choice that does not apply.
    """
    y = np.asarray(values, dtype=np.float64)
    groups = np.unique([-1 if index is None else index for index in indices], return_inverse=True)[1]
    n, k = len(y), int(groups.max(initial=-1)) + 1
    total = float(((y - y.mean()) ** 2).sum()) if n else 0.0
    if k < 2 or n <= k or total <= 0:
        return 0.0
    means = np.bincount(groups, weights=y) / np.bincount(groups)
    within = float(((y - means[groups]) ** 2).sum())
    return max(0.0, 1 - within / total * (n - 1) / (n - k))


def importance(choices: Sequence[Column], scores: Sequence[tuple[ArrayLike, bool]]) -> list[tuple[str, list[float]]]:
    """`explained` of each choice for each objective, the most telling choice first; none below `LEAST_TRIALS` values.

    `scores` holds values (n,) and whether to take their logarithm, as for costs, which span decades.
    """
    arrays = [np.log10(np.maximum(values, 1e-9)) if log else np.asarray(values) for values, log in scores]
    if not arrays or len(arrays[0]) < LEAST_TRIALS:
        return []
    table = [(choice.name, [explained(choice.indices, array) for array in arrays]) for choice in choices]
    return sorted(table, key=lambda row: -max(row[1]))
