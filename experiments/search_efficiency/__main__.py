"""How many trainings does each algorithm need? `python -m experiments.search_efficiency --table nasbench_macro.csv`.

Writes README.md, results.json and one plot a question beside itself.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from experiments.search_efficiency.tables import LAWS, make
from nas.benchmarks.picture import draw
from nas.benchmarks.replay import replay
from nas.benchmarks.summary import Summary, summarise, text_table
from nas.benchmarks.tabular import Benchmark, Scale, objectives_of
from search_spaces.table import Table, read_table

HERE = Path(__file__).parent

TWO, THREE = "accuracy:max,macs:min", "accuracy:max,params:min,macs:min"
OURS = ("surrogate", "nsga2", "nsga3", "moead", "random")
THEIRS = ("pymoo-nsga2-20", "pymoo-nsga2-50", "optuna-nsga2", "optuna-tpe")


@dataclass(frozen=True)
class Question:
    """One comparison: a table, objectives, the algorithms and a budget."""

    title: str
    table: Table
    objectives: str
    algorithms: tuple[str, ...]
    evaluations: int
    scale: Scale = "table"
    workers: int = 1
    part: int = 1
    """One of so many seeds is run."""


def questions(table: Table) -> list[Question]:
    """On the published table the full comparison; on synthetic ones the two best of others beside ours."""
    three = ("surrogate", "nsga3", "moead", "random", "pymoo-nsga2-50", "optuna-tpe")
    few = ("surrogate", "nsga2", "optuna-tpe", "pymoo-nsga2-20")
    return [
        Question("Accuracy against MACs", table, TWO, OURS + THEIRS, 300),
        Question("Accuracy against parameters and MACs", table, THREE, three, 200),
        Question("Eight trials in flight", table, TWO, ("surrogate", "nsga2"), 150, workers=8),
        *(Question(f"Synthetic: {name}", make(name), TWO, few, 120, scale="front", part=2) for name in LAWS),
    ]


def answer(question: Question, *, seeds: int) -> list[Summary]:
    """All algorithms of a question, one after another."""
    table = question.table
    benchmark = Benchmark(table, objectives_of(question.objectives, table=table), scale=question.scale)
    summaries = []
    for name in question.algorithms:
        print(f"{question.title}: {name}", file=sys.stderr, flush=True)
        runs = [
            replay(benchmark, name, evaluations=question.evaluations, seed=seed, workers=question.workers)
            for seed in range(max(1, seeds // question.part))
        ]
        summaries.append(summarise(benchmark, name, runs, evaluations=question.evaluations))
    return summaries


def report(answers: Sequence[tuple[Question, list[Summary]]]) -> str:
    """The README: what was asked, the tables, how to run it again."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("pymoo", "optuna", "scikit-learn", "numpy"))
    parts = [
        "# How many trainings does a search need?",
        (HERE / "ABOUT.md").read_text(encoding="utf-8").strip(),
        f"Made by `python -m experiments.search_efficiency --table nasbench_macro.csv`: median "
        f"(quartiles) over seeds; Python {platform.python_version()}, {versions}.",
    ]
    for i, (question, summaries) in enumerate(answers):
        scale = "the table's range, reference 1.01" if question.scale == "table" else "the exact front, reference 1.1"
        table = text_table(summaries, evaluations=question.evaluations)
        where = f"Table `{question.table.name}`, `{question.objectives}`, {question.workers} in flight, {len(summaries[0].traces)} seeds; scaled by {scale}."
        parts += [f"## {question.title}", where, f"```\n{table}\n```", f"![Missing hypervolume]({_picture(i)})"]
    return "\n\n".join(parts) + "\n"


def _picture(index: int) -> str:
    return f"question_{index}.png"


def main() -> None:
    """Answers every question and writes the files."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.search_efficiency",
        description="Compare our algorithms with pymoo's and Optuna's on a published table and on synthetic ones.",
    )
    parser.add_argument("--table", type=Path, required=True, help="NAS-Bench-Macro as CSV")
    parser.add_argument("--seeds", type=int, default=10, help="runs of each algorithm (default: %(default)s)")
    options = parser.parse_args()
    answers = []
    for i, question in enumerate(questions(read_table(options.table))):
        summaries = answer(question, seeds=options.seeds)
        draw(summaries, HERE / _picture(i), title=f"{question.title} ({question.table.name})")
        answers.append((question, summaries))
        results = [{"question": q.title, "rows": [s.to_json() for s in found]} for q, found in answers]
        (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (HERE / "README.md").write_text(report(answers), encoding="utf-8")
    best = [
        np.nan if s.evaluations_to(0.98) is None else s.evaluations_to(0.98) for _, found in answers for s in found[:1]
    ]
    print(f"evaluations of the surrogate to 98 %: {best}")


if __name__ == "__main__":
    main()
