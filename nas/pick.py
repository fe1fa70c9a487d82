"""Choosing a member of a front, and saying why; it knows no store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluators.objective import Objective, to_points
from nas import pareto
from nas.errors import UserError
from nas.members import Member


@dataclass(frozen=True)
class Pick:
    """A chosen member and the reason."""

    member: Member
    reason: str


def knee_of(front: Sequence[Member], objectives: Sequence[Objective]) -> Member:
    """The member farthest below the plane through the front's extremes (Das 1999)."""
    return front[pareto.knee(to_points([member.scores for member in front], objectives))]


def pick(rule: str, front: Sequence[Member], everyone: Sequence[Member], objectives: Sequence[Objective]) -> Pick:
    """The member that a rule names: `knee`, `best:OBJECTIVE`, or `key:KEY` (any evaluated architecture; a unique prefix will do).

    Raises:
        UserError: the rule is none of these, or names nothing.
    """
    if not front:
        raise UserError("nothing can be picked before a trial has finished: let the search run on")
    word, _, rest = rule.partition(":")
    if rule == "knee":
        return Pick(knee_of(front, objectives), "the knee: farthest below the plane through the front's extremes")
    if word == "best":
        by_name = {objective.name: objective for objective in objectives}
        if rest not in by_name:
            raise UserError(f"--pick best:OBJECTIVE takes one of {', '.join(by_name)}, got {rest!r}")
        points = to_points([member.scores for member in front], [by_name[rest]])[:, 0]
        return Pick(front[int(points.argmin())], f"the best {rest} of the front")
    if word == "key":
        found = [member for member in everyone if rest and member.trial.key.startswith(rest)]
        if len(found) != 1:
            many = f"{len(found)} architectures have" if found else "no finished architecture has"
            raise UserError(
                f"--pick key:KEY names one architecture, and {many} a key that begins with {rest!r}: see python -m nas.front"
            )
        return Pick(found[0], "named by its key")
    raise UserError(f"--pick takes knee, best:OBJECTIVE or key:KEY, got {rule!r}")
