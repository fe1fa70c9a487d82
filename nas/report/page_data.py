"""What a page shows of a run, as plain data for its script: members, choices, failures, history; it knows no HTML.

The page and the live server share it. Everything is bounded and checked here: the script only draws.
"""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evaluators.objective import OBJECTIVES, Objective
from nas.confidence import FRACTIONS
from nas.failures import KINDS
from nas.members import Member, members
from nas.pick import knee_of
from nas.problem import STATES, Trial
from nas.report.beside import Beside
from nas.report.facts import columns, drawable, facts
from nas.report.history import history
from nas.report.importance import LEAST_TRIALS, importance

if TYPE_CHECKING:
    from nas.archive import Archive
    from nas.training.results import Result

FAILURES_SHOWN = 20
CHOICES_RANKED = 20
BY_STAGE = {"macs": "macs_by_stage", "latency": "latency_ms_by_stage"}


def page_data(
    archive: Archive, front: Sequence[Member], *, title: str, run: str | None = None, beside: Beside | None = None
) -> dict[str, Any]:
    """The data of one page; `run` is the path that commands name, the title where none is given."""
    more = beside or Beside()
    everyone = members(archive.trials)
    axes = _axes(archive.objectives, everyone)
    drawn = [drawable(member.trial.architecture) for member in everyone]
    choices = columns([facts(architecture) for architecture in drawn])
    leading = {member.trial.key for member in front}
    groups = _groups(archive.trials)
    told = importance(
        choices, [([m.scores[o.name] for m in everyone], o.unit != "fraction") for o in archive.objectives]
    )
    found = history(archive.trials, archive.objectives, frame=archive.frame)
    return {
        "title": title,
        "run": shlex.quote(run or title),
        "recipe": _recipe(archive.recipe),
        "limits": [str(limit) for limit in archive.limits],
        "counts": {state: archive.count(state) for state in STATES},
        "axes": [{"name": o.name, "goal": o.goal, "unit": o.unit, "objective": o in archive.objectives} for o in axes],
        "members": [
            {
                "number": member.trial.number,
                "key": member.trial.key,
                "replicates": member.replicates,
                "front": member.trial.key in leading,
                "scores": [_finite(member.scores.get(axis.name)) for axis in axes],
                "spread": [_spread(axis, groups[member.trial.key], more) for axis in axes],
                "sure": _finite(more.confidence.get(member.trial.key)),
                "measured": _measured(more.measured.get(member.trial.key, {}), axes),
                "trained": [_trained(result) for result in more.trained if result.key == member.trial.key],
                "architecture": architecture,
                "shares": {name: _shares(member.trial, detail, architecture) for name, detail in BY_STAGE.items()},
            }
            for member, architecture in zip(everyone, drawn, strict=True)
        ],
        "choices": [{"name": c.name, "options": c.options, "indices": c.indices} for c in choices],
        "knee": knee_of(front, archive.objectives).trial.key if front else None,
        "failures": _failures(archive.trials),
        "hypervolume": archive.hypervolume(),
        "history": {"trials": found.trials, "hours": found.hours, "values": found.values},
        "importance": {
            "least": LEAST_TRIALS,
            "objectives": [objective.name for objective in archive.objectives],
            "rows": [
                {"choice": name, "shares": [round(s, 4) for s in shares]} for name, shares in told[:CHOICES_RANKED]
            ],
        },
    }


def _axes(objectives: Sequence[Objective], everyone: Sequence[Member]) -> list[Objective]:
    """The objectives, then the scores besides whose goal and unit are known."""
    asked = {objective.name for objective in objectives}
    scored = {name for member in everyone for name in member.scores}
    return [*objectives, *(o for name, o in OBJECTIVES.items() if name in scored and name not in asked)]


def _groups(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.state == "finished":
            groups.setdefault(trial.key, []).append(trial)
    return groups


def _spread(axis: Objective, group: Sequence[Trial], more: Beside) -> dict[str, Any] | None:
    """What an error bar shows: one standard deviation of a training, from its own replicates or else pooled, or a latency's interval."""
    values = [float(trial.scores[axis.name]) for trial in group if axis.name in trial.scores]
    if len(values) > 1:
        mean, deviation = statistics.fmean(values), statistics.stdev(values)
        if deviation > 0:
            return {"low": mean - deviation, "high": mean + deviation, "of": f"± 1 s.d. of {len(values)} replicates"}
        return None
    noise = _finite(more.deviations.get(group[0].key, {}).get(axis.name))
    if noise:
        return {
            "low": max(0.0, values[0] - noise),
            "high": min(FRACTIONS[axis.unit], values[0] + noise),
            "of": f"± 1 s.d. of one training, from {more.basis}",
        }
    latency = group[0].details.get("latency")
    if axis.name != "latency_ms" or not isinstance(latency, Mapping):
        return None
    low, high = _finite(latency.get("lower_ms")), _finite(latency.get("upper_ms"))
    return None if low is None or high is None else {"low": low, "high": high, "of": "95 % interval of the median"}


def _measured(rows: Mapping[str, Mapping[str, float]], axes: Sequence[Objective]) -> list[float | None]:
    """Latencies that were measured whole where the score is a table's, by axis."""
    return [_finite(rows.get(axis.name, {}).get("median_ms")) for axis in axes]


def _trained(result: Result) -> dict[str, Any]:
    return {"label": result.label, "seeds": len(result.accuracies), "accuracy": str(result)}


def _shares(trial: Trial, detail: str, architecture: Mapping[str, Any] | None) -> list[float] | None:
    """The share of each part (stem, stages, head) in a cost that was noted part by part."""
    parts = trial.details.get(detail)
    if not isinstance(parts, list) or architecture is None or len(parts) != len(architecture.get("stages", ())) + 2:
        return None
    costs = [_finite(part) for part in parts]
    whole = sum(cost or 0.0 for cost in costs)
    if None in costs or whole <= 0:
        return None
    return [round((cost or 0.0) / whole, 4) for cost in costs]


def _failures(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Failed trials by kind, the most frequent first, each with its latest messages."""
    kinds: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.state == "failed":
            kinds.setdefault(trial.failure or "error", []).append(trial)
    return [
        {
            "kind": kind,
            "meaning": KINDS.get(kind, ""),
            "count": len(failed),
            "examples": [{"number": t.number, "message": t.message[:300]} for t in failed[: -FAILURES_SHOWN - 1 : -1]],
        }
        for kind, failed in sorted(kinds.items(), key=lambda item: -len(item[1]))
    ]


def _recipe(recipe: Mapping[str, Any]) -> str:
    name, epochs = recipe.get("name", ""), recipe.get("epochs")
    return f"{name}, {epochs} epoch{'' if epochs == 1 else 's'}" if epochs else str(name)


def _finite(value: object) -> float | None:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    return number if math.isfinite(number) else None
