"""The type of every search space: choices, which of them are active, and a decoder; it knows no torch and no space by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Generic, Protocol, TypeVar

import numpy as np

Option = str | int | float
Genotype = tuple[int, ...]


class Described(Protocol):
    """What the search needs of a decoded architecture: an identity and plain data."""

    @property
    def key(self) -> str:
        """Short identity: equal architectures, and only those, have equal keys."""
        ...

    def to_json(self) -> dict[str, object]:
        """Plain data that `json.dumps` takes."""
        ...


A_co = TypeVar("A_co", bound=Described, covariant=True)


@dataclass(frozen=True)
class Choice:
    """A named, ordered tuple of options; `when` names an earlier choice and the options of it under which this one counts."""

    name: str
    options: tuple[Option, ...]
    when: tuple[str, tuple[Option, ...]] | None = None

    def __post_init__(self) -> None:
        if not self.options or len(set(self.options)) != len(self.options):
            raise ValueError(f"choice {self.name!r} needs one or more distinct options, got {self.options!r}")


@dataclass(frozen=True)
class Space(Generic[A_co]):
    """An immutable tuple of choices and a decoder from their active values to an architecture.

    The decoder must be injective on active values, so that the canonical genotype (inactive genes are 0) and the
    architecture identify each other.

    Raises:
        ValueError: a name is used twice, or `when` names no earlier choice or an option that it lacks.
    """

    name: str
    choices: tuple[Choice, ...]
    decoder: Callable[[Mapping[str, Option]], A_co]

    def __post_init__(self) -> None:
        seen: dict[str, Choice] = {}
        for choice in self.choices:
            if choice.name in seen:
                raise ValueError(f"space {self.name!r} names the choice {choice.name!r} twice: rename one")
            if choice.when is not None:
                parent, options = choice.when
                if parent not in seen or not set(options) <= set(seen[parent].options):
                    raise ValueError(
                        f"choice {choice.name!r} depends on {parent!r} being one of {options!r}: "
                        "that must be an earlier choice with those options"
                    )
            seen[choice.name] = choice

    @cached_property
    def _position(self) -> dict[str, int]:
        return {choice.name: i for i, choice in enumerate(self.choices)}

    @cached_property
    def _conditions(self) -> tuple[tuple[int, frozenset[int]] | None, ...]:
        conditions: list[tuple[int, frozenset[int]] | None] = []
        for choice in self.choices:
            if choice.when is None:
                conditions.append(None)
            else:
                parent = self._position[choice.when[0]]
                conditions.append((parent, frozenset(map(self.choices[parent].options.index, choice.when[1]))))
        return tuple(conditions)

    def active(self, genotype: Genotype) -> tuple[bool, ...]:
        """Which genes count, given the options of those that they depend on."""
        self._check(genotype)
        active: list[bool] = []
        for condition in self._conditions:
            active.append(condition is None or (active[condition[0]] and genotype[condition[0]] in condition[1]))
        return tuple(active)

    def canonical(self, genotype: Genotype) -> Genotype:
        """The same architecture with every inactive gene at 0, as plain integers."""
        return tuple(int(gene) if active else 0 for gene, active in zip(genotype, self.active(genotype), strict=True))

    def values(self, genotype: Genotype) -> dict[str, Option]:
        """Active choices by name, as the options that the genotype takes."""
        return {
            choice.name: choice.options[gene]
            for choice, gene, active in zip(self.choices, genotype, self.active(genotype), strict=True)
            if active
        }

    def genotype(self, values: Mapping[str, Option]) -> Genotype:
        """The canonical genotype of these values; the inverse of `values`.

        Raises:
            ValueError: a name or an option is not of this space, or an active choice is missing.
        """
        unknown = set(values) - set(self._position)
        if unknown:
            raise ValueError(f"space {self.name!r} has no choice {sorted(unknown)[0]!r}")
        genes = []
        for choice in self.choices:
            value = values.get(choice.name, choice.options[0])
            if value not in choice.options:
                raise ValueError(f"{choice.name} must be one of {choice.options!r}, got {value!r}")
            genes.append(choice.options.index(value))
        genotype = self.canonical(tuple(genes))
        missing = set(self.values(genotype)) - set(values)
        if missing:
            raise ValueError(f"space {self.name!r} needs a value for {sorted(missing)[0]!r}")
        return genotype

    def decode(self, genotype: Genotype) -> A_co:
        """The architecture of a genotype; total over every tuple of valid option indices."""
        return self.decoder(self.values(genotype))

    def sample(self, generator: np.random.Generator) -> Genotype:
        """A canonical genotype, each gene drawn uniformly."""
        genes = generator.integers([len(choice.options) for choice in self.choices])
        return self.canonical(tuple(genes.tolist()))

    @cached_property
    def size(self) -> int:
        """The number of distinct architectures, exact."""
        children: dict[int, list[int]] = {}
        for i, condition in enumerate(self._conditions):
            if condition is not None:
                children.setdefault(condition[0], []).append(i)

        def count(i: int) -> int:
            return sum(
                prod(count(child) for child in children.get(i, ()) if option in self._allowed(child))
                for option in range(len(self.choices[i].options))
            )

        return prod(count(i) for i, condition in enumerate(self._conditions) if condition is None)

    def _allowed(self, child: int) -> frozenset[int]:
        condition = self._conditions[child]
        assert condition is not None
        return condition[1]

    def _check(self, genotype: Genotype) -> None:
        if len(genotype) != len(self.choices) or any(
            not 0 <= gene < len(choice.options) for gene, choice in zip(genotype, self.choices, strict=False)
        ):
            raise ValueError(
                f"a genotype of space {self.name!r} has {len(self.choices)} option indices, "
                f"each below the number of its options; got {genotype!r}"
            )
