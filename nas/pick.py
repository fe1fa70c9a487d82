"""Choosing members of a front, and saying why; it knows no store."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evaluators.objective import OBJECTIVES, Objective, to_points
from nas import pareto
from nas.config import parse_limit
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
    """The member that a rule names; `key:KEY` may name any evaluated architecture, the others choose from the front.

    Raises:
        UserError: the rule is none of `RULES`, or names nothing.
    """
    if not front:
        raise UserError("nothing can be picked before a trial has finished: let the search run on")
    word, _, rest = rule.partition(":")
    if word not in RULES:
        near = difflib.get_close_matches(word, RULES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see --help"
        raise UserError(f"--pick takes one of {', '.join(RULES)}, got {rule!r}: {hint}")
    return RULES[word](rest, front, everyone, objectives)


def pick_all(
    rules: Sequence[str], front: Sequence[Member], everyone: Sequence[Member], objectives: Sequence[Objective]
) -> list[Pick]:
    """The members that several rules name, each once; `all` names the whole front.

    Raises:
        UserError: as `pick`.
    """
    picks: dict[str, Pick] = {}
    for rule in rules:
        if rule == "all" and front:
            named = [Pick(member, "on the front") for member in front]
        else:
            named = [pick(rule, front, everyone, objectives)]
        for one in named:
            picks.setdefault(one.member.trial.key, one)
    return list(picks.values())


Rule = Callable[[str, Sequence[Member], Sequence[Member], Sequence[Objective]], Pick]


def _knee(rest: str, front: Sequence[Member], everyone: Sequence[Member], objectives: Sequence[Objective]) -> Pick:
    if rest:
        raise UserError(f"--pick knee goes alone, got 'knee:{rest}': leave out what follows the colon")
    return Pick(knee_of(front, objectives), "the knee: farthest below the plane through the front's extremes")


def _best(rest: str, front: Sequence[Member], everyone: Sequence[Member], objectives: Sequence[Objective]) -> Pick:
    objective = _named(rest, objectives, front, rule="best:OBJECTIVE")
    return Pick(_least(front, objective), f"the best {rest} of the front")


def _prefer(rest: str, front: Sequence[Member], everyone: Sequence[Member], objectives: Sequence[Objective]) -> Pick:
    *bounds, last = [part.strip() for part in rest.split(",")]
    objective = _named(last, objectives, front, rule="prefer:BOUNDS,OBJECTIVE")
    candidates = list(front)
    for text in bounds:
        try:
            limit = parse_limit(text)
        except ValueError as error:
            raise UserError(f"--pick prefer:BOUNDS,OBJECTIVE: {error}") from None
        bounded = _named(limit.name, objectives, front, rule="prefer:BOUNDS,OBJECTIVE")
        values = [member.scores[limit.name] for member in candidates]
        candidates = [member for member in candidates if limit.holds(member.scores)]
        if not candidates:
            nearest = max(values) if limit.relation == ">=" else min(values)
            unit = " (a fraction)" if bounded.unit == "fraction" else ""
            raise UserError(
                f"--pick {rest!r}: nothing on the front that keeps the bounds before it has {limit}, "
                f"the nearest has {nearest:g}{unit}: loosen the bound, or search on"
            )
    kept = f"of the {len(candidates)} on the front with {' and '.join(bounds)}" if bounds else "of the front"
    return Pick(_least(candidates, objective), f"the best {last} {kept}")


def _weights(rest: str, front: Sequence[Member], everyone: Sequence[Member], objectives: Sequence[Objective]) -> Pick:
    weights: dict[str, float] = {}
    for part in rest.split(","):
        name, _, text = (word.strip() for word in part.partition("="))
        _named(name, objectives, front, rule="weights:OBJECTIVE=W,…")
        try:
            weights[name] = float(text)
        except ValueError:
            weights[name] = math.nan
        if not 0 < weights[name] < math.inf:
            raise UserError(f"--pick weights:OBJECTIVE=W,… takes numbers above 0, got {part.strip()!r}")
    known = [_named(name, objectives, front, rule="weights:OBJECTIVE=W,…") for name in weights]
    points = to_points([member.scores for member in front], known)
    width = points.max(axis=0) - points.min(axis=0)
    scaled = (points - points.min(axis=0)) / (width + (width == 0))
    total = (scaled * list(weights.values())).sum(axis=1)
    words = " + ".join(f"{weight:g}·{name}" for name, weight in weights.items())
    return Pick(front[int(total.argmin())], f"the least of {words}, each scaled from 0 (its best on the front) to 1")


def _key(rest: str, front: Sequence[Member], everyone: Sequence[Member], objectives: Sequence[Objective]) -> Pick:
    found = [member for member in everyone if rest and member.trial.key.startswith(rest)]
    if len(found) != 1:
        many = f"{len(found)} architectures have" if found else "no finished architecture has"
        raise UserError(
            f"--pick key:KEY names one architecture, and {many} a key that begins with {rest!r}: see python -m nas.front"
        )
    return Pick(found[0], "named by its key")


RULES: Mapping[str, Rule] = {"knee": _knee, "best": _best, "prefer": _prefer, "weights": _weights, "key": _key}


def _named(name: str, objectives: Sequence[Objective], front: Sequence[Member], *, rule: str) -> Objective:
    """An objective of the run, or another score that every member has."""
    known = {name: OBJECTIVES[name] for name in front[0].scores if name in OBJECTIVES}
    known |= {objective.name: objective for objective in objectives}
    if name not in known or any(name not in member.scores for member in front):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise UserError(f"--pick {rule} takes scores of this run ({', '.join(known)}), got {name!r}{hint}")
    return known[name]


def _least(members: Sequence[Member], objective: Objective) -> Member:
    return members[int(to_points([member.scores for member in members], [objective])[:, 0].argmin())]
