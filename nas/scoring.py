"""Scores of untrained networks for one search (`--zero-cost`): by genotype, with what they cost and whether they helped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas.algorithms.models import MARGIN

if TYPE_CHECKING:
    from nas.config import SearchConfig
    from nas.plan import Plan
    from search_spaces.space import Genotype


class Scoring:
    """Called with a genotype, it gives the scores that `--zero-cost` names; the algorithm says what `advantage` they had."""

    def __init__(self, config: SearchConfig, plan: Plan) -> None:
        from evaluators.training.datasets import load
        from evaluators.zero_cost import Scorer

        options = plan.spec.options
        named = {name: options[name] for name in ("data_dir", "skip_broken", "train_images")}
        self._scorer = Scorer(config.zero_cost, load(options["dataset"], **named))
        self._decode = plan.problem.space.decode
        self.advantage: float | None = None

    def __call__(self, genotype: Genotype) -> list[float]:
        """The scores of one network."""
        return self._scorer(self._decode(genotype))

    def facts(self) -> dict[str, Any]:
        """Networks, seconds, and Kendall's τ of the models with the scores less that without; `None` before there were trials enough."""
        return {
            "networks": self._scorer.networks,
            "seconds": round(self._scorer.seconds, 2),
            "advantage": self.advantage,
        }

    def __str__(self) -> str:
        cost = f"{self._scorer.networks} untrained networks were scored in {self._scorer.seconds:.1f} s"
        if self.advantage is None:
            return f"{cost}: there were too few trials to learn from the scores"
        used = "and are used" if self.advantage > MARGIN else f"and are not used, which takes more than {MARGIN:+.2f}"
        return f"{cost}: the scores change Kendall τ of the models on left-out trials by {self.advantage:+.2f} {used}"
