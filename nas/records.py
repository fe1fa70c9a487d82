"""A trial as its record in the study, read with suspicion, since a run folder may come from anybody; it knows no storage."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from evaluators.objective import Objective
from nas.failures import KINDS
from nas.problem import Limit, State, Trial
from search_spaces.space import Genotype

STATES: dict[str, State] = {
    "RUNNING": "running",
    "WAITING": "running",
    "COMPLETE": "finished",
    "FAIL": "failed",
    "PRUNED": "pruned",
}
_KEY = re.compile(r"[0-9a-f]{16}")


def read_objectives(rows: object) -> tuple[Objective, ...]:
    """The objectives of a study.

    Raises:
        ValueError: they are not what a search writes.
    """
    if not isinstance(rows, list) or not 1 <= len(rows) <= 16:
        raise ValueError("objectives must be a short list")
    found = []
    for row in rows:
        table = _table(row, "an objective")
        if set(table) != {"name", "goal", "unit", "kind"}:
            raise ValueError("an objective has a name, a goal, a unit and a kind")
        if not all(isinstance(text, str) and len(text) <= 200 for text in table.values()):
            raise ValueError("an objective must hold short texts")
        objective = Objective(**table)
        if (
            objective.goal not in {"min", "max"}
            or objective.kind not in {"counted", "timed", "trained"}
            or not objective.name
        ):
            raise ValueError(f"an objective has a name, a goal (min or max) and a kind, got {row!r}"[:200])
        found.append(objective)
    return tuple(found)


def read_limits(rows: object) -> tuple[Limit, ...]:
    """The limits of a study.

    Raises:
        ValueError: they are not what a search writes.
    """
    if not isinstance(rows, list) or len(rows) > 64:
        raise ValueError("limits must be a short list")
    limits = []
    for row in rows:
        table = _table(row, "a limit")
        if set(table) != {"name", "relation", "value"} or table["relation"] not in ("<=", ">="):
            raise ValueError("a limit has a name, a relation and a value")
        limits.append(Limit(str(table["name"])[:64], table["relation"], _number(table["value"], "a limit's value")))
    return tuple(limits)


def read_frame(data: object) -> dict[str, list[float]]:
    """Worst and best of the objectives that were known when the run began.

    Raises:
        ValueError: they are not what a search writes.
    """
    frame = {}
    for name, ends in _table(data, "the frame").items():
        if not isinstance(ends, list) or len(ends) != 2:
            raise ValueError(f"the frame of {name[:60]!r} must be two numbers")
        frame[name] = [_number(end, "an end of the frame") for end in ends]
    return frame


def read_trial(
    attributes: Mapping[str, Any],
    *,
    number: int,
    state: str,
    genotype: Genotype,
    objectives: tuple[Objective, ...],
) -> Trial:
    """A trial from its attributes.

    Raises:
        KeyError: one is missing.
        ValueError: one is not what a search writes.
    """
    key, seed, replicate = attributes["key"], attributes["seed"], attributes.get("replicate", 0)
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise ValueError(f"a key is 16 hexadecimal digits, got {str(key)[:60]!r}")
    if type(seed) is not int or type(replicate) is not int or replicate < 0:
        raise ValueError(f"trial {number} needs a whole seed and replicate")
    scores = {
        name: _number(score, f"{name[:60]} of trial {number}")
        for name, score in _table(attributes["scores"], "scores").items()
    }
    missing = [objective.name for objective in objectives if objective.name not in scores]
    if STATES[state] == "finished" and missing:
        raise ValueError(f"trial {number} is finished and has no {missing[0]}")
    # A crash between a failure's reason and its state leaves a running trial with a reason, which is evaluated again.
    failure = _table(attributes.get("failure") or {}, "failure") if STATES[state] == "failed" else {}
    kind = failure.get("kind", "error" if STATES[state] == "failed" else None)
    return Trial(
        number=number,
        genotype=genotype,
        key=key,
        architecture=_table(attributes["architecture"], "architecture"),
        seed=seed,
        state=STATES[state],
        scores=scores,
        replicate=replicate,
        failure=kind if kind is None or kind in KINDS else "error",
        message=str(failure.get("message", "")),
        details=_details(attributes.get("details", {}), number=number),
    )


def _details(value: object, *, number: int) -> Mapping[str, Any]:
    """Details, of which the scores at rungs and the forecast of a pruned trial are read again."""
    details = _table(value, "details")
    steps = details.get("curve", [])
    if not isinstance(steps, list) or len(steps) > 1000:
        raise ValueError(f"the curve of trial {number} must be a list")
    for step in steps:
        for name, score in _table(step, f"a step of the curve of trial {number}").items():
            _number(score, f"{name[:60]} at a rung of trial {number}")
        if type(step.get("epoch")) is not int:
            raise ValueError(f"a step of the curve of trial {number} needs its epoch")
    expected = _table(details.get("pruned", {}), f"the forecast of trial {number}").get("scores", {})
    for name, score in _table(expected, f"the forecast of trial {number}").items():
        _number(score, f"{name[:60]} in the forecast of trial {number}")
    return details


def _table(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be an object, got {str(value)[:60]!r}")
    return value


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300 or not math.isfinite(value):
        raise ValueError(f"{what} must be a finite number, got {str(value)[:60]!r}")
    return value
