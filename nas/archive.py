"""All trials of a run, kept in an Optuna study; the only door to Optuna's storage. It knows no algorithm and no worker.

A trial is created RUNNING in one write and finished in three, its state last: a crash between them leaves it RUNNING, and a resume
evaluates it again.
"""

from __future__ import annotations

import fcntl
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.objective import Objective
from nas.errors import UserError
from nas.members import Member, front, hypervolume
from nas.problem import Limit, Proposal, State, Trial
from nas.run import RunFolder
from search_spaces.space import Genotype, Space

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

STUDY = "nas"


def open_study(run: str | Path) -> optuna.Study:
    """The run's study, to read, plot or open in a dashboard.

    Raises:
        UserError: there is no run, or its study cannot be read.
    """
    import optuna

    folder = RunFolder.open(run)
    try:
        return optuna.load_study(study_name=STUDY, storage=_storage(folder))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError, AssertionError) as error:
        raise UserError(
            f"the study {str(folder.journal)!r} cannot be read ({type(error).__name__}: {error}): "
            f"look at it with python -m nas.doctor {run}"
        ) from error


def _storage(folder: RunFolder) -> BaseStorage:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.storages.JournalStorage(JournalFileBackend(str(folder.journal), lock_obj=_lock(folder.journal)))


def _lock(journal: Path) -> Any:
    """A lock that the kernel releases when its holder dies; Optuna's own links would stand in the way for 30 s after a crash."""
    from optuna.storages.journal._file import BaseJournalFileLock

    class KernelLock(BaseJournalFileLock):
        def acquire(self) -> bool:
            self._file = open(f"{journal}.lock", "a")  # noqa: SIM115
            fcntl.flock(self._file, fcntl.LOCK_EX)
            return True

        def release(self) -> None:
            self._file.close()

    return KernelLock()


class Archive:
    """All trials, in order of their numbers: written through to the study, and held in memory for algorithms.

    `space` is `None` for reading alone: genotypes are empty then.
    """

    def __init__(self, study: optuna.Study, *, space: Space[Any] | None) -> None:
        self._storage = study._storage
        self._study_id = study._study_id
        self._space = space
        attributes = study.user_attrs
        self.objectives: tuple[Objective, ...] = tuple(Objective(**row) for row in attributes["objectives"])
        self.limits: tuple[Limit, ...] = tuple(Limit(**row) for row in attributes["limits"])
        self.recipe: dict[str, Any] = attributes["recipe"]
        self.frame: dict[str, list[float]] = attributes["frame"]
        self._ids: list[int] = []
        self._trials: list[Trial] = []
        for frozen in study.get_trials(deepcopy=False):
            self._ids.append(frozen._trial_id)
            self._trials.append(_read(frozen, space))

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
    ) -> Archive:
        """A new study in the run's folder."""
        import optuna
        from optuna.study import StudyDirection

        directions = [
            StudyDirection.MINIMIZE if objective.goal == "min" else StudyDirection.MAXIMIZE for objective in objectives
        ]
        study = optuna.create_study(study_name=STUDY, storage=_storage(folder), directions=directions)
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            study.set_metric_names([objective.name for objective in objectives])
        study.set_user_attr("objectives", [vars(objective) for objective in objectives])
        study.set_user_attr("limits", [vars(limit) for limit in limits])
        study.set_user_attr("recipe", dict(recipe))
        study.set_user_attr("frame", {name: list(ends) for name, ends in frame.items()})
        return cls(study, space=space)

    @classmethod
    def open(cls, run: str | Path, *, space: Space[Any] | None = None) -> Archive:
        """The archive of an existing run.

        Raises:
            UserError: there is no run, or its study is not one of ours.
        """
        study = open_study(run)
        try:
            return cls(study, space=space)
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"the study of {str(run)!r} was not made by nas.search, or is damaged ({error}): give another run"
            ) from error

    @property
    def trials(self) -> Sequence[Trial]:
        """Finished, failed and running trials; not to be changed."""
        return self._trials

    def hypervolume(self) -> float | None:
        """The front's share of the run's frame; see `nas.members.hypervolume`."""
        return hypervolume(self._trials, self.objectives, frame=self.frame)

    def front(self) -> list[Member]:
        """The non-dominated architectures, cheapest first by the second objective."""
        return front(self._trials, self.objectives)

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
        choices = {choice.name: choice for choice in self._space.choices}
        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            params=values,
            distributions={
                name: optuna.distributions.CategoricalDistribution(choices[name].options) for name in values
            },
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
        return trial

    def measured(self, number: int, *, scores: Mapping[str, float], details: Mapping[str, Any]) -> Trial:
        """Adds scores and details to a running trial, so that a crash does not lose them."""
        trial = self._trials[number]
        merged = {**trial.scores, **scores}
        notes = _merge(trial.details, details)
        self._storage.set_trial_user_attr(self._ids[number], "scores", merged)
        self._storage.set_trial_user_attr(self._ids[number], "details", notes)
        return self._replace(trial, scores=merged, details=notes)

    def finish(self, number: int) -> Trial:
        """Ends a running trial that has all its scores."""
        import optuna

        trial = self._trials[number]
        values = [float(trial.scores[objective.name]) for objective in self.objectives]
        self._storage.set_trial_state_values(self._ids[number], optuna.trial.TrialState.COMPLETE, values)
        return self._replace(trial, state="finished")

    def fail(self, number: int, *, kind: str, message: str, details: Mapping[str, Any] | None = None) -> Trial:
        """Ends a running trial as failed, with its kind and message and no invented scores."""
        import optuna

        trial = self._trials[number]
        notes = _merge(trial.details, details or {})
        self._storage.set_trial_user_attr(self._ids[number], "failure", {"kind": kind, "message": message})
        if notes:
            self._storage.set_trial_user_attr(self._ids[number], "details", notes)
        self._storage.set_trial_state_values(self._ids[number], optuna.trial.TrialState.FAIL)
        return self._replace(trial, state="failed", failure=kind, message=message, details=notes)

    def _replace(self, trial: Trial, **changes: Any) -> Trial:
        self._trials[trial.number] = changed = Trial(**{**vars(trial), **changes})
        return changed


def _merge(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Details of several phases in one: `seconds` are joined."""
    merged = {**old, **new}
    if "seconds" in old and "seconds" in new:
        merged["seconds"] = {**old["seconds"], **new["seconds"]}
    return merged


def _read(frozen: optuna.trial.FrozenTrial, space: Space[Any] | None) -> Trial:
    states: dict[str, State] = {
        "RUNNING": "running",
        "WAITING": "running",
        "COMPLETE": "finished",
        "FAIL": "failed",
        "PRUNED": "failed",
    }
    attributes = frozen.user_attrs
    failure = attributes.get("failure") or {}
    genotype: Genotype = space.genotype(frozen.params) if space is not None else ()
    return Trial(
        number=frozen.number,
        genotype=genotype,
        key=attributes["key"],
        architecture=attributes["architecture"],
        seed=attributes["seed"],
        state=states[frozen.state.name],
        scores=attributes["scores"],
        replicate=attributes.get("replicate", 0),
        failure=failure.get("kind"),
        message=failure.get("message", ""),
        details=attributes.get("details", {}),
    )
