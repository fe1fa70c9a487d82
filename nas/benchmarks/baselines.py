"""pymoo's and Optuna's algorithms as their libraries ship them: their own loops, their own repeats."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluators.objective import to_points
from nas.benchmarks.tabular import Benchmark
from search_spaces.space import Genotype

if TYPE_CHECKING:
    import optuna

Evaluate = Callable[[Genotype], "dict[str, float] | None"]
Baseline = Callable[[Benchmark, Evaluate, int], None]


def _pymoo_nsga2(population: int) -> Baseline:
    def run(benchmark: Benchmark, evaluate: Evaluate, seed: int) -> None:
        """Integer variables as in pymoo's guide to discrete problems; a failed evaluation is told the worst value."""
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.evaluator import Evaluator
        from pymoo.core.problem import Problem
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.repair.rounding import RoundingRepair
        from pymoo.operators.sampling.rnd import IntegerRandomSampling
        from pymoo.problems.static import StaticProblem
        from pymoo.termination import get_termination

        sizes = np.array(benchmark.table.sizes)
        objectives = benchmark.objectives
        worst = np.nanmax(np.where(np.isfinite(benchmark.points), benchmark.points, np.nan), axis=0)
        problem = Problem(n_var=len(sizes), n_obj=len(objectives), xl=0, xu=sizes - 1, vtype=int)
        algorithm = NSGA2(
            pop_size=population,
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
            eliminate_duplicates=True,
        )
        algorithm.setup(problem, termination=get_termination("n_gen", 1_000_000), seed=seed, verbose=False)
        while algorithm.has_next():
            generation = algorithm.ask()
            told = [evaluate(tuple(map(int, genes))) for genes in generation.get("X")]
            values = [worst if scores is None else to_points([scores], objectives)[0] for scores in told]
            Evaluator().eval(StaticProblem(problem, F=np.array(values)), generation)
            algorithm.tell(infills=generation)

    return run


def _optuna(make_sampler: Callable[[Any, int], optuna.samplers.BaseSampler]) -> Baseline:
    def run(benchmark: Benchmark, evaluate: Evaluate, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        minimize, maximize = optuna.study.StudyDirection.MINIMIZE, optuna.study.StudyDirection.MAXIMIZE
        directions = [minimize if objective.goal == "min" else maximize for objective in benchmark.objectives]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(directions=directions, sampler=make_sampler(optuna.samplers, seed))
        while True:
            trial = study.ask()
            genotype = tuple(
                trial.suggest_categorical(column, list(range(size)))
                for column, size in zip(benchmark.table.columns, benchmark.table.sizes, strict=True)
            )
            scores = evaluate(genotype)
            if scores is None:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, [scores[objective.name] for objective in benchmark.objectives])

    return run


BASELINES: dict[str, Baseline] = {
    "pymoo-nsga2-20": _pymoo_nsga2(20),
    "pymoo-nsga2-50": _pymoo_nsga2(50),
    "optuna-nsga2": _optuna(lambda samplers, seed: samplers.NSGAIISampler(seed=seed)),
    "optuna-tpe": _optuna(lambda samplers, seed: samplers.TPESampler(seed=seed, multivariate=True)),
    "optuna-gp": _optuna(lambda samplers, seed: samplers.GPSampler(seed=seed)),
}
