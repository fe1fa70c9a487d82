"""What a search is about, as plain data: the problem, a proposal, a trial; it knows no store, no worker and no algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from evaluators.objective import Objective
from search_spaces.space import Genotype, Space

State = Literal["finished", "pruned", "failed", "running"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Limit:
    """A bound on an objective, in its own unit: `scores[name] <= value`, or `>=`."""

    name: str
    relation: Literal["<=", ">="]
    value: float

    def holds(self, scores: Mapping[str, float]) -> bool:
        """Whether the scores keep the bound; a score that is not known yet does not break it."""
        if self.name not in scores:
            return True
        return scores[self.name] <= self.value if self.relation == "<=" else scores[self.name] >= self.value

    def __str__(self) -> str:
        """As it is typed: `macs<=5M`."""
        for suffix, size in (("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)):
            number = f"{self.value / size:g}"
            if self.value >= size and float(number) * size == self.value:
                return f"{self.name}{self.relation}{number}{suffix}"
        return f"{self.name}{self.relation}{self.value!r}"


@dataclass(frozen=True)
class Proposal:
    """What an algorithm asks to be evaluated; `replicate` above 0 asks for another seed of a known architecture."""

    genotype: Genotype
    replicate: int = 0


@dataclass(frozen=True)
class Trial:
    """One evaluation. Scores are as measured, never sign-flipped; counted ones are there from the start.

    A pruned trial was stopped at a rung of its training and has no trained scores; `details["curve"]` tells what it came to.
    `genotype` is canonical; `failure` is a kind of `nas.failures`, `None` unless the trial failed.
    """

    number: int
    genotype: Genotype
    key: str
    architecture: Mapping[str, Any]
    seed: int
    state: State
    scores: Mapping[str, float] = field(default_factory=dict)
    replicate: int = 0
    failure: str | None = None
    message: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """Space, objectives in the order asked for, limits, and the exact counts of a genotype.

    `count` gives every counted objective of a canonical genotype; it is exact and cheap and caches, and an algorithm may call it
    for thousands of candidates.
    """

    space: Space[Any]
    objectives: tuple[Objective, ...]
    limits: tuple[Limit, ...]
    count: Callable[[Genotype], Mapping[str, float]]
    rejected: set[Genotype] = field(default_factory=set, compare=False, repr=False)

    def allows(self, genotype: Genotype) -> bool:
        """Whether the counted objectives of a genotype keep every limit on them; what does not is noted in `rejected`."""
        if not self.limits:
            return True
        scores = self.count(genotype)
        if all(limit.holds(scores) for limit in self.limits):
            return True
        self.rejected.add(genotype)
        return False


class Archive(Protocol):
    """What an algorithm sees of a run: all its trials, in order of their numbers."""

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials in every state."""
        ...


class Algorithm(Protocol):
    """What to try next: a function of the archive and a seed, without state that a resume would lose."""

    def ask(self, archive: Archive, n: int) -> list[Proposal]:
        """Up to n proposals, none of them in the archive or twice among themselves; fewer when the space is used up."""
        ...
