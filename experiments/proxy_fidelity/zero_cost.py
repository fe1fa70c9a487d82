"""Scores of untrained networks: how they rank by themselves, and what the surrogate's models gain by them.

python -m experiments.proxy_fidelity.zero_cost          # against the long training of the last audit on digits
python -m experiments.proxy_fidelity.zero_cost RUN      # as features, on the trials of a run
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from evaluators.training.datasets import load
from evaluators.training.train import normalise
from evaluators.zero_cost import ZERO_COST
from nas.audits.config import AuditConfig
from nas.audits.fidelity import agreement
from nas.audits.record import path_of
from nas.audits.study import networks_of
from nas.plan import prepare
from search_spaces.network import build


def learning(run: str) -> None:
    """Prints how the surrogate's models rank left-out trials of a run with each score, with all of them and with none."""
    from nas.algorithms.surrogate import Surrogate
    from nas.archive import Archive
    from nas.config import UNTRAINED, SearchConfig
    from nas.options import read_toml, resolve
    from nas.run import RunFolder
    from nas.scoring import Scoring

    saved = resolve(SearchConfig, {}, base=read_toml(RunFolder.open(run).config))
    plan = prepare(saved)
    archive = Archive.open(run, space=plan.problem.space)
    print(
        f"{archive.count('finished')} finished trials: Kendall τ of the models on left-out trials, less that without scores"
    )
    for names in (*((name,) for name in UNTRAINED), UNTRAINED):
        scoring = Scoring(replace(saved, zero_cost=names), plan)
        Surrogate(plan.problem, seed=saved.seed, untrained=scoring).ask(archive, 1)
        facts = scoring.facts()
        print(
            f"{' + '.join(names):>30}  {facts['advantage']:+.3f}  {facts['networks']} networks in {facts['seconds']:.1f} s"
        )


def main() -> None:
    torch.set_num_threads(1)
    audit = json.loads(path_of("pix", "digits", "proxy", folder=Path(__file__).parent).read_text(encoding="utf-8"))
    config = AuditConfig(networks=audit["networks"] + audit["failed"])
    networks = {a.key: a for a in networks_of(config, prepare(config.search()), run=None)}
    reference = [sum(column) / len(column) for column in zip(*audit["reference"], strict=True)]
    data = load("digits")
    print(f"{'score':>10}  {'τ':>5}  {'90 % interval':>14}  {'best quarter':>12}  seconds")
    for name, score in ZERO_COST.items():
        rows, start = [], time.process_time()
        for seed in range(2):
            values = []
            for key in audit["keys"]:
                architecture = networks[key]
                torch.manual_seed(seed)
                at = data.at(architecture.resolution)
                rows_of = torch.randperm(len(at.train), generator=torch.Generator().manual_seed(seed))[:64]
                values.append(
                    score(build(architecture), normalise(at.train.images[rows_of], at), at.train.labels[rows_of])
                )
            rows.append(values)
        seconds = (time.process_time() - start) / len(rows) / len(rows[0])
        found = agreement(rows, reference)
        interval = f"{found.tau_lower:.2f} … {found.tau_upper:.2f}"
        print(f"{name:>10}  {found.tau:5.2f}  {interval:>14}  {found.tau_best_quarter:12.2f}  {seconds:.2f}")
    for name, row in audit["counts"].items():
        interval = f"{row['tau_lower']:.2f} … {row['tau_upper']:.2f}"
        print(f"{name:>10}  {row['tau']:5.2f}  {interval:>14}  {row['tau_best_quarter']:12.2f}  0")


if __name__ == "__main__":
    learning(sys.argv[1]) if len(sys.argv) > 1 else main()
