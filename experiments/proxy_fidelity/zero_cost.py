"""Scores of untrained networks against the long training of the last audit on digits: rank correlation and cost.

python -m experiments.proxy_fidelity.zero_cost
"""

from __future__ import annotations

import json
import time
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
    main()
