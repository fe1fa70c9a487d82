"""Models of one measured objective, and the choice among them by cross-validated rank correlation; smaller is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nas.algorithms.features import Features
from nas.algorithms.gaussian_process import NOISE, PRODUCT, Kernel, Posterior, fit, prior
from nas.algorithms.warp import WARPS

Array = NDArray[np.float64]

FOLDS = 4
MOST_FITTED = 100
MOST_COMPARED = 160
FROM_ROWS = 40
EVERY = 24
GROWTH = 1.15
MARGIN = 0.05


@dataclass(frozen=True)
class Data:
    """Rows of features (n, columns), values (n,) as means of `weights` (n,) evaluations."""

    rows: Array
    values: Array
    weights: Array

    def __getitem__(self, chosen: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Data:
        return Data(self.rows[chosen], self.values[chosen], self.weights[chosen])


class Model(Protocol):
    """What a trained model answers, in the units of its warp."""

    @property
    def noise(self) -> float:
        """Variance of one evaluation."""
        ...

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and variance without noise: (m, columns) -> (m,), (m,)."""
        ...

    def believe(self, rows: Array) -> Model:
        """The model as if evaluations of the rows had given their means."""
        ...


Train = Callable[[Array, Array, Array], Model]
"""(rows, warped targets, weights) -> model, with hyper-parameters fixed."""


@dataclass(frozen=True)
class Choice:
    """A kind of model with its hyper-parameters, its warp's name, and the rank correlation that it reached out of sample."""

    kind: str
    warp: str
    train: Train
    correlation: float


def milestone(n: int) -> int:
    """The number of trials at which hyper-parameters were last fitted: each up to 24, then ever rarer."""
    if n <= EVERY:
        return n
    at = EVERY
    while int(at * GROWTH) + 1 <= n:
        at = int(at * GROWTH) + 1
    return at


def choose(data: Data, features: Features, *, seed: int) -> Choice:
    """The model whose predictions of left-out folds rank best; a Gaussian process on the logarithm unless one is better.

    Ridge and process are tried from the first trials on, random forest and networks from 40 on.
    """
    data = data[spread(data.values, MOST_COMPARED)]
    start = prior(features.groups, exact=features.genes + 1, varying=features.varying)
    fold = np.random.default_rng([seed, len(data.values)]).permutation(len(data.values)) % FOLDS
    best: Choice | None = None
    for name in tried(len(data.values)):
        kind, _, warp = name.partition("-")
        targets = WARPS[warp](data.values).forward(data.values)
        train = _TRAINERS[kind](data.rows, targets, data.weights, start)
        correlation = _cross_validate(train, data, targets, fold)
        if best is None or correlation > best.correlation + MARGIN:
            best = Choice(kind, warp, train, correlation)
    assert best is not None
    return best


def tried(n: int) -> tuple[str, ...]:
    """Names of models, with their warps, that are compared on n architectures; the first is the preferred one."""
    few = ("process-logarithm", "process-ranks", "process-raw", "ridge-logarithm")
    return few if n < FROM_ROWS else (*few, "forest-logarithm", "networks-logarithm")


def _cross_validate(train: Train, data: Data, targets: Array, fold: NDArray[np.int64]) -> float:
    from scipy.stats import kendalltau

    if len(targets) < 2 * FOLDS:
        return 0.0
    predicted = np.empty_like(targets)
    for k in range(FOLDS):
        inside, outside = fold != k, fold == k
        predicted[outside] = train(data.rows[inside], targets[inside], data.weights[inside]).predict(
            data.rows[outside]
        )[0]
    tau = float(kendalltau(predicted, targets).statistic)
    return tau if np.isfinite(tau) else -1.0


def _process(rows: Array, targets: Array, weights: Array, start: Kernel) -> Train:
    some = spread(targets, MOST_FITTED)
    kernel = fit(rows[some], targets[some], weights[some], start=start)
    return lambda r, t, w: Posterior(kernel, r, t, w)


def _ridge(rows: Array, targets: Array, weights: Array, start: Kernel) -> Train:
    some = spread(targets, MOST_FITTED)
    log = start.log.copy()
    log[PRODUCT], log[NOISE] = -9.0, np.log(0.1)
    kernel = fit(
        rows[some], targets[some], weights[some], start=Kernel(log, start.groups, start.exact), linear_only=True
    )
    return lambda r, t, w: Posterior(kernel, r, t, w)


def spread(targets: Array, most: int) -> NDArray[np.int64]:
    """At most so many rows, in order: the better half of them the best there are, the others evenly over the rest."""
    if len(targets) <= most:
        return np.arange(len(targets))
    order = np.argsort(targets, kind="stable")
    rest = np.linspace(most // 2, len(order) - 1, most - most // 2).astype(np.int64)
    return np.sort(order[np.concatenate([np.arange(most // 2), rest])])


class _Ensemble:
    """Members of a trained ensemble; their spread is the variance, but never less than the residual's."""

    def __init__(self, members: list[Callable[[Array], Array]], residual: float) -> None:
        self._members, self.noise = members, residual

    def predict(self, rows: Array) -> tuple[Array, Array]:
        predicted = np.stack([member(rows) for member in self._members])
        return predicted.mean(axis=0), predicted.var(axis=0) + self.noise

    def believe(self, rows: Array) -> _Ensemble:
        return self


def _forest(rows: Array, targets: Array, weights: Array, start: Kernel) -> Train:
    from sklearn.ensemble import RandomForestRegressor

    def train(r: Array, t: Array, w: Array) -> Model:
        forest = RandomForestRegressor(32, max_features=0.5, random_state=0, n_jobs=1).fit(r, t, sample_weight=w)
        return _Ensemble([tree.predict for tree in forest.estimators_], 1e-3)

    return train


def _networks(rows: Array, targets: Array, weights: Array, start: Kernel) -> Train:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    def train(r: Array, t: Array, w: Array) -> Model:
        members = []
        for seed in range(3):
            bag = np.random.default_rng(seed).integers(len(t), size=len(t))
            network = MLPRegressor(hidden_layer_sizes=(24,), solver="lbfgs", alpha=0.3, max_iter=40, random_state=seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                members.append(network.fit(r[bag], t[bag]).predict)
        return _Ensemble(members, 1e-3)

    return train


_TRAINERS: dict[str, Callable[[Array, Array, Array, Kernel], Train]] = {
    "process": _process,
    "ridge": _ridge,
    "forest": _forest,
    "networks": _networks,
}
