"""All trials of a run, kept in an Optuna study; the only door to Optuna's storage. It knows no algorithm and no worker.

A trial is created RUNNING in one write and finished in three, its state last: a crash between them leaves it RUNNING, and a resume
evaluates it again.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.objective import Objective
from nas.errors import UserError
from nas.members import Member, front, hypervolume
from nas.problem import STATES, Limit, Proposal, State, Trial
from nas.records import read_frame, read_limits, read_objectives, read_trial
from nas.run import Place, RunFolder
from nas.storage import open_storage, public, readable
from search_spaces.space import Space

if TYPE_CHECKING:
    import optuna


def open_study(run: str | Path, *, url: str = "") -> optuna.Study:
    """The run's study, to read, plot or open in a dashboard; `url` is where its database is now, if that has moved.

    Raises:
        UserError: there is no run, or its study cannot be read.
    """
    import optuna

    folder = RunFolder.open(run)
    place = folder.place()
    url = url or place.url
    try:
        with readable(url):
            return optuna.load_study(study_name=place.study, storage=open_storage(folder, url=url))
    except (UserError, OSError):
        raise
    except Exception as error:  # a damaged journal can break Optuna's replay in any way
        raise UserError(
            f"the study {public(url) or str(folder.journal)!r} cannot be read ({type(error).__name__}: {str(error)[:200]}): "
            f"look at it with python -m nas.doctor {run}"
        ) from error


class Archive:
    """All trials, in order of their numbers: written through to the study, and held in memory for algorithms.

    `space` is `None` for reading alone: genotypes are empty then.
    """

    def __init__(self, study: optuna.Study, *, space: Space[Any] | None) -> None:
        self._storage = study._storage
        self._study_id = study._study_id
        self._space = space
        attributes = study.user_attrs
        self.objectives: tuple[Objective, ...] = read_objectives(attributes["objectives"])
        self.limits: tuple[Limit, ...] = read_limits(attributes["limits"])
        self.recipe: dict[str, Any] = dict(attributes["recipe"])
        self.frame: dict[str, list[float]] = read_frame(attributes["frame"])
        self._ids: list[int] = []
        self._trials: list[Trial] = []
        self._counts: Counter[State] = Counter()
        for frozen in study.get_trials(deepcopy=False):
            trial = read_trial(
                frozen.user_attrs,
                number=frozen.number,
                state=frozen.state.name,
                genotype=space.genotype(frozen.params) if space is not None else (),
                objectives=self.objectives,
            )
            self._ids.append(frozen._trial_id)
            self._trials.append(trial)
            self._counts[trial.state] += 1

    @classmethod
    def create(
        cls,
        folder: RunFolder,
        *,
        space: Space[Any],
        objectives: Sequence[Objective],
        limits: Sequence[Limit],
        recipe: Mapping[str, Any],
        frame: Mapping[str, Sequence[float]],
        place: Place = Place(),  # noqa: B008
    ) -> Archive:
        """A new study in the run's folder, or in the database of `place`.

        Raises:
            UserError: the database cannot be used.
        """
        import optuna
        from optuna.study import StudyDirection

        directions = [
            StudyDirection.MINIMIZE if objective.goal == "min" else StudyDirection.MAXIMIZE for objective in objectives
        ]
        if not place.url:
            folder.journal.touch(exist_ok=False)
        with readable(place.url):
            storage = open_storage(folder, url=place.url)
            study = optuna.create_study(study_name=place.study, storage=storage, directions=directions)
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            study.set_metric_names([objective.name for objective in objectives])
        study.set_user_attr("objectives", [vars(objective) for objective in objectives])
        study.set_user_attr("limits", [vars(limit) for limit in limits])
        study.set_user_attr("recipe", dict(recipe))
        study.set_user_attr("frame", {name: list(ends) for name, ends in frame.items()})
        return cls(study, space=space)

    @classmethod
    def open(cls, run: str | Path, *, space: Space[Any] | None = None, url: str = "") -> Archive:
        """The archive of an existing run; `url` as in `open_study`.

        Raises:
            UserError: there is no run, or its study is not one of ours.
        """
        study = open_study(run, url=url)
        try:
            return cls(study, space=space)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"the study of {str(run)!r} was not made by nas.search, or is damaged ({str(error)[:200]}): "
                f"look at it with python -m nas.doctor {run}, or give another run"
            ) from error

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials in every state; not to be changed."""
        return self._trials

    def hypervolume(self) -> float | None:
        """The front's share of the run's frame; see `nas.members.hypervolume`."""
        return hypervolume(self._trials, self.objectives, frame=self.frame)

    def front(self) -> list[Member]:
        """The non-dominated architectures, cheapest first by the second objective."""
        return front(self._trials, self.objectives)

    def count(self, state: State) -> int:
        """How many trials are in one state, at once."""
        return self._counts[state]

    @cached_property
    def _distributions(self) -> dict[str, Any]:
        """Optuna's word for each choice of the space."""
        from optuna.distributions import CategoricalDistribution

        assert self._space is not None
        return {choice.name: CategoricalDistribution(choice.options) for choice in self._space.choices}

    @property
    def spent(self) -> int:
        """How many trials count to the budget: those that were evaluated to their end, finished or pruned."""
        return self._counts["finished"] + self._counts["pruned"]

    def tally(self, *, always: Sequence[State] = ("finished", "failed")) -> str:
        """How many trials are in each state, as words; of states without any only those named in `always`."""
        return ", ".join(f"{self._counts[s]} {s}" for s in STATES if self._counts[s] or s in always)

    def having(self, state: State) -> list[Trial]:
        """The trials in one state."""
        return [trial for trial in self._trials if trial.state == state]

    def start(
        self, proposal: Proposal, *, architecture: Mapping[str, Any], key: str, scores: Mapping[str, float], seed: int
    ) -> Trial:
        """Records a trial as running, with its counted scores."""
        import optuna

        assert self._space is not None
        values = self._space.values(proposal.genotype)
        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=values,
            distributions={name: self._distributions[name] for name in values},
            user_attrs={
                "key": key,
                "architecture": dict(architecture),
                "recipe": self.recipe.get("name", ""),
                "seed": seed,
                "replicate": proposal.replicate,
                "scores": dict(scores),
            },
        )
        self._ids.append(self._storage.create_new_trial(self._study_id, template_trial=template))
        trial = Trial(
            number=len(self._trials),
            genotype=proposal.genotype,
            key=key,
            architecture=architecture,
            seed=seed,
            state="running",
            scores=scores,
            replicate=proposal.replicate,
        )
        self._trials.append(trial)
        self._counts["running"] += 1
        return trial

    def measured(self, number: int, *, scores: Mapping[str, float], details: Mapping[str, Any]) -> Trial:
        """Adds scores and details to a running trial, so that a crash does not lose them; scores last, for they say that it is done."""
        trial = self._trials[number]
        merged = {**trial.scores, **scores}
        notes = _merge(trial.details, details)
        self._storage.set_trial_user_attr(self._ids[number], "details", notes)
        self._storage.set_trial_user_attr(self._ids[number], "scores", merged)
        return self._replace(trial, scores=merged, details=notes)

    def finish(self, number: int) -> Trial:
        """Ends a running trial that has all its scores."""
        import optuna

        trial = self._trials[number]
        values = [float(trial.scores[objective.name]) for objective in self.objectives]
        self._storage.set_trial_state_values(self._ids[number], optuna.trial.TrialState.COMPLETE, values)
        return self._replace(trial, state="finished")

    def prune(self, number: int, *, details: Mapping[str, Any]) -> Trial:
        """Ends a running trial at a rung of its training; `details` say why it is not worth more."""
        import optuna

        trial = self._trials[number]
        notes = _merge(trial.details, details)
        self._storage.set_trial_user_attr(self._ids[number], "details", notes)
        self._storage.set_trial_state_values(self._ids[number], optuna.trial.TrialState.PRUNED)
        return self._replace(trial, state="pruned", details=notes)

    def fail(self, number: int, *, kind: str, message: str, details: Mapping[str, Any] | None = None) -> Trial:
        """Ends a running trial as failed, with its kind and message and no invented scores."""
        import optuna

        trial = self._trials[number]
        notes = _merge(trial.details, details or {})
        if notes:
            self._storage.set_trial_user_attr(self._ids[number], "details", notes)
        self._storage.set_trial_user_attr(self._ids[number], "failure", {"kind": kind, "message": message})
        self._storage.set_trial_state_values(self._ids[number], optuna.trial.TrialState.FAIL)
        return self._replace(trial, state="failed", failure=kind, message=message, details=notes)

    def _replace(self, trial: Trial, **changes: Any) -> Trial:
        self._trials[trial.number] = changed = Trial(**{**vars(trial), **changes})
        self._counts[trial.state] -= 1
        self._counts[changed.state] += 1
        return changed


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Details of several phases and rungs in one: `seconds` are added up."""
    merged = {**old, **new}
    if "seconds" in old and "seconds" in new:
        before, now = old["seconds"], new["seconds"]
        merged["seconds"] = {name: round(before.get(name, 0.0) + now.get(name, 0.0), 3) for name in {**before, **now}}
    return merged
