"""Scores of untrained networks for a search: what they cost and whether they helped is said; and where they cannot be had."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from nas import search
from nas.algorithms.catalogue import ALGORITHMS
from nas.algorithms.surrogate import Surrogate
from nas.config import SearchConfig
from nas.plan import prepare
from nas.scoring import Scoring


def test_genotypes_are_scored_and_the_cost_is_told() -> None:
    config = SearchConfig(space="pix", zero_cost=("synflow", "naswot"), backend="in_process")
    plan = prepare(config)
    scoring = Scoring(config, plan)
    generator = np.random.default_rng(0)
    scores = [scoring(plan.problem.space.sample(generator)) for _ in range(2)]
    assert all(len(row) == 2 and all(map(math.isfinite, row)) for row in scores) and scores[0] != scores[1]
    assert "2 untrained networks were scored in" in str(scoring) and "too few trials" in str(scoring)
    scoring.advantage = 0.01
    assert "by +0.01 and are not used, which takes more than +0.05" in str(scoring)
    scoring.advantage = 0.2
    assert str(scoring).endswith("by +0.20 and are used")
    facts = scoring.facts()
    assert facts["networks"] == 2 and facts["seconds"] > 0 and facts["advantage"] == 0.2
    assert isinstance(ALGORITHMS["surrogate"](plan.problem, seed=0, untrained=scoring), Surrogate)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--zero-cost", "synflo"], "did you mean 'synflow'?"),
        (["--zero-cost", "synflow", "--algorithm", "random"], "--zero-cost is for the surrogate"),
        (["--zero-cost", "synflow", "--space", "table:t.csv"], "--zero-cost is for the surrogate"),
    ],
)
def test_where_there_is_nothing_to_score(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search.main([*options, "--out", str(tmp_path / "run")]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "run").exists()
