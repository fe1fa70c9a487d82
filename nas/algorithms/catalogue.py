"""The algorithms by name; a factory imports what it needs when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nas.problem import Algorithm, Problem, Trial


def _random(problem: Problem, *, seed: int, warm: Sequence[Trial] = ()) -> Algorithm:
    from nas.algorithms.random_search import RandomSearch

    return RandomSearch(problem, seed=seed, warm=warm)


def _nsga2(problem: Problem, *, seed: int, warm: Sequence[Trial] = ()) -> Algorithm:
    from nas.algorithms.nsga2 import nsga2

    return nsga2(problem, seed=seed, warm=warm)


def _nsga3(problem: Problem, *, seed: int, warm: Sequence[Trial] = ()) -> Algorithm:
    from nas.algorithms.nsga3 import nsga3

    return nsga3(problem, seed=seed, warm=warm)


def _moead(problem: Problem, *, seed: int, warm: Sequence[Trial] = ()) -> Algorithm:
    from nas.algorithms.moead import moead

    return moead(problem, seed=seed, warm=warm)


def _tpe(problem: Problem, *, seed: int, warm: Sequence[Trial] = ()) -> Algorithm:
    from nas.algorithms.optuna_samplers import tpe

    return tpe(problem, seed=seed, warm=warm)


def _gp(problem: Problem, *, seed: int, warm: Sequence[Trial] = ()) -> Algorithm:
    from nas.algorithms.optuna_samplers import gp

    return gp(problem, seed=seed, warm=warm)


def _surrogate(problem: Problem, *, seed: int, warm: Sequence[Trial] = (), **more: Any) -> Algorithm:
    from nas.algorithms.surrogate import Surrogate

    return Surrogate(problem, seed=seed, warm=warm, **more)


ALGORITHMS: dict[str, Callable[..., Algorithm]] = {
    "surrogate": _surrogate,
    "nsga2": _nsga2,
    "nsga3": _nsga3,
    "moead": _moead,
    "tpe": _tpe,
    "gp": _gp,
    "random": _random,
}
