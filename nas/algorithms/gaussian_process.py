"""A Gaussian process over feature columns in groups: linear part, interactions, noise; it knows no space.

k(x, x') = l Σ_c x_c x'_c  +  e Σ_c z_c z'_c  +  p exp(-½ Σ_g w_g |x_g - x'_g|²)  +  s [x = x']

with x_g the columns of group g, z those of exact counts. Hyper-parameters maximise the posterior: marginal likelihood
(Rasmussen & Williams 2006, equations 5.8 and 5.9) times log-normal priors that keep them sane when trials are few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LINEAR, EXACT, PRODUCT, NOISE, FIRST_WEIGHT = 0, 1, 2, 3, 4
LEAST_NOISE = 1e-5
SPREAD = np.array([1.5, 1.5, 1.0, 1.5])


@dataclass(frozen=True)
class Kernel:
    """Hyper-parameters by their logarithms: linear, exact, product, noise, then the weight of each group."""

    log: Array
    groups: NDArray[np.int64]
    exact: int
    """Groups from this one on are exact counts."""

    def covariance(self, left: Array, right: Array) -> Array:
        """Without noise: (n, columns), (m, columns) -> (n, m)."""
        linear, exact, product = np.exp(self.log[:NOISE])
        counts = self.groups >= self.exact
        scale = np.where(counts, exact, linear)
        weights = np.sqrt(np.exp(self.log[FIRST_WEIGHT:])[self.groups])
        distances = _squares(left * weights, right * weights)
        return np.asarray((left * scale) @ right.T + product * np.exp(-0.5 * distances))

    def variance(self, rows: Array) -> Array:
        """The diagonal of the covariance: (n, columns) -> (n,)."""
        linear, exact, product = np.exp(self.log[:NOISE])
        return np.asarray((rows**2) @ np.where(self.groups >= self.exact, exact, linear) + product)

    @property
    def noise(self) -> float:
        """Variance of one evaluation, in the units of standardised targets."""
        return float(np.exp(self.log[NOISE])) + LEAST_NOISE


def prior(groups: NDArray[np.int64], *, exact: int, varying: int) -> Kernel:
    """Means of the priors: weights such that two random architectures correlate by about exp(-1) in the product part."""
    count = int(groups.max()) + 1 if len(groups) else 0
    log = np.log(np.array([0.5 / max(varying, 1), 0.3, 0.5, 0.02, *[2.0 / max(varying, 1)] * count]))
    return Kernel(log, groups, exact)


def fit(
    rows: Array, targets: Array, weights: Array, *, start: Kernel, linear_only: bool = False, rounds: int = 40
) -> Kernel:
    """The kernel of the highest posterior for standardised targets (n,), each the mean of `weights` (n,) evaluations."""
    from scipy.optimize import minimize

    distances = [
        _squares(rows[:, start.groups == g], rows[:, start.groups == g]) for g in range(len(start.log) - FIRST_WEIGHT)
    ]
    stack = np.array(distances).reshape(len(distances), len(rows), len(rows))
    counts = start.groups >= start.exact
    linear, exact = rows[:, ~counts] @ rows[:, ~counts].T, rows[:, counts] @ rows[:, counts].T
    spread = np.concatenate([SPREAD, np.full(len(distances), 1.0)])

    def loss(log: Array) -> tuple[float, Array]:
        product = np.exp(log[PRODUCT] - 0.5 * np.tensordot(np.exp(log[FIRST_WEIGHT:]), stack, 1))
        covariance = np.exp(log[LINEAR]) * linear + np.exp(log[EXACT]) * exact + product
        covariance[np.diag_indices_from(covariance)] += (np.exp(log[NOISE]) + LEAST_NOISE) / weights
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(log)
        inverse = _inverse(factor)
        alpha = inverse @ targets
        distance = (log - start.log) / spread
        value = 0.5 * targets @ alpha + np.log(np.diag(factor)).sum() + 0.5 * distance @ distance
        slope = 0.5 * (inverse - np.outer(alpha, alpha))
        product *= slope
        gradient = np.empty_like(log)
        gradient[LINEAR] = np.exp(log[LINEAR]) * np.vdot(slope, linear)
        gradient[EXACT] = np.exp(log[EXACT]) * np.vdot(slope, exact)
        gradient[PRODUCT] = product.sum()
        gradient[NOISE] = np.exp(log[NOISE]) * (np.diag(slope) / weights).sum()
        gradient[FIRST_WEIGHT:] = -0.5 * np.exp(log[FIRST_WEIGHT:]) * np.tensordot(stack, product, 2)
        return float(value), gradient + distance / spread

    free = np.array([not linear_only or i in (LINEAR, EXACT, NOISE) for i in range(len(spread))])
    reach = np.where(free, 4 * spread, 0.0)
    bounds = list(zip(start.log - reach, start.log + reach, strict=True))
    best = minimize(loss, start.log, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": rounds})
    return Kernel(np.asarray(best.x, dtype=np.float64), start.groups, start.exact)


class Posterior:
    """The process after targets (n,), each the mean of `weights` (n,) evaluations."""

    def __init__(self, kernel: Kernel, rows: Array, targets: Array, weights: Array) -> None:
        from scipy.linalg import cholesky, solve_triangular

        self._kernel, self._rows, self._targets, self._weights = kernel, rows, targets, weights
        covariance = kernel.covariance(rows, rows)
        covariance[np.diag_indices_from(covariance)] += kernel.noise / weights + 1e-8 * covariance.diagonal()
        self._factor = cholesky(covariance, lower=True, check_finite=False)
        self._whitened = solve_triangular(self._factor, targets, lower=True, check_finite=False)
        self._alpha: Array | None = None
        self.noise = kernel.noise

    def believe(self, rows: Array) -> Posterior:
        """The process as if one evaluation of each row had given its mean (Ginsbourger et al. 2010, kriging believer)."""
        believed = self.predict(rows)[0]
        return Posterior(
            self._kernel,
            np.concatenate([self._rows, rows]),
            np.concatenate([self._targets, believed]),
            np.concatenate([self._weights, np.ones(len(rows))]),
        )

    def mean(self, rows: Array) -> Array:
        """The mean alone, which costs less: (m, columns) -> (m,)."""
        from scipy.linalg import solve_triangular

        if self._alpha is None:
            self._alpha = solve_triangular(self._factor, self._whitened, lower=True, trans=1, check_finite=False)
        return np.asarray(self._kernel.covariance(rows, self._rows) @ self._alpha)

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and variance without noise: (m, columns) -> (m,), (m,)."""
        from scipy.linalg import solve_triangular

        half = solve_triangular(self._factor, self._kernel.covariance(self._rows, rows), lower=True, check_finite=False)
        variance = self._kernel.variance(rows) - (half**2).sum(axis=0)
        return half.T @ self._whitened, np.maximum(variance, 1e-12)


def _squares(left: Array, right: Array) -> Array:
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None] - 2 * left @ right.T
    return np.asarray(np.maximum(squares, 0.0))


def _inverse(factor: Array) -> Array:
    from scipy.linalg import cho_solve

    return np.asarray(cho_solve((factor, True), np.eye(len(factor)), check_finite=False))
