"""The search loop: ask, evaluate, record, until the budget is spent. It alone knows algorithm, workers and archive.

There is no generation barrier: whenever a worker is free, one more is asked. Timing needs the device to itself: trained trials gather
until a few of them wait, no more training is started, and they are timed one by one when the last training has ended. Where a recipe
has rungs, a training is one job a rung, and at each rung the trial is judged by all that is known then, waiting for nobody.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from evaluators.evaluation import Evaluation, Outcome, checkpoint_of
from nas.archive import Archive
from nas.problem import Algorithm, Problem, Proposal, Trial
from nas.promotion import Verdict, curve, forecast
from nas.run import RunFolder, weights_name
from nas.workers.catalogue import Workers
from nas.workers.safely import discard

FAILURES_IN_A_ROW = 20
POLL_SECONDS = 0.5
Ending = Literal["budget", "exhausted", "failures", "interrupted"]


@dataclass(kw_only=True)
class Loop:
    """One search. Every state is in the archive at any moment; what is here is only what is under way.

    `weights` is where trained weights go, a folder or a URL; the run's own folder where it is empty. `stop_below` is the probability
    of raising the hypervolume noticeably under which a trial is pruned at a rung. Pruned trials count to the budget as finished ones do.
    """

    problem: Problem
    algorithm: Algorithm
    workers: Workers
    archive: Archive
    folder: RunFolder
    recipe: dict[str, Any]
    seed: int
    budget: int
    timeout: float = 0.0
    weights: str = ""
    stop_below: float = 0.0
    on_change: Callable[[Trial | None], None] = lambda trial: None
    _again: deque[Trial] = field(default_factory=deque)
    _training: dict[int, Trial] = field(default_factory=dict)
    _ready: deque[Trial] = field(default_factory=deque)
    _alone: deque[Trial] = field(default_factory=deque)
    _solitary: int = -1
    _most_workers: int = 0
    _timing: Trial | None = None
    _draining: bool = False
    _exhausted: bool = False
    _retried: set[int] = field(default_factory=set)
    _failures: int = 0
    _stop_at: float | None = None

    def stop(self, *, seconds: float) -> None:
        """Starts nothing more and gives what is under way this long; what is left stays RUNNING, for a resume to take up."""
        self._stop_at = time.monotonic() + seconds

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop_at is not None

    def run(self) -> Ending:
        """Runs until the budget is spent, the space is used up, twenty trials in a row failed, or `stop` was called."""
        self._again.extend(self.archive.having("running"))
        while True:
            self._most_workers = max(self._most_workers, self.workers.capacity)
            if self._stop_at is None:
                self._start()
            elif time.monotonic() > self._stop_at:
                return "interrupted"
            if self._over():
                return self._ending()
            for outcome in self.workers.wait(POLL_SECONDS):
                self._record(outcome)
            self.on_change(None)

    def _over(self) -> bool:
        """Whether nothing is under way and nothing more may be started; that no worker is free just now is no reason to end."""
        if self._training or self._timing is not None or (self._alone and self._stop_at is None):
            return False
        if self._stop_at is not None or self.archive.spent >= self.budget or self._failures >= FAILURES_IN_A_ROW:
            return self._stop_at is not None or not self._ready
        return self._exhausted and not self._again and not self._ready

    def _ending(self) -> Ending:
        if self._stop_at is not None:
            return "interrupted"
        if self.archive.spent >= self.budget:
            return "budget"
        return "exhausted" if self._exhausted else "failures"

    def _start(self) -> None:
        """Gives every free worker something to do, as far as timing and the budget allow."""
        if self._retry_alone():
            return
        self._draining = self._draining and bool(self._ready)
        if self._timing is None and not self._draining:
            while (free := self._free()) and (found := self._next(free)):
                for one in found:  # a worker sets to work while the costs of the next one are counted
                    self._advance(self._new(one) if isinstance(one, Proposal) else one)
        if self._ready and (not self._training or len(self._ready) >= 2 * self.workers.capacity):
            self._draining = True
        if self._draining and self._timing is None and not self._training and self.workers.capacity:
            self._timing = self._ready.popleft()
            self.workers.submit(self._evaluation(self._timing, "time"))

    def _retry_alone(self) -> bool:
        """Trains a trial that lacked memory beside others, once nothing else runs; whether the others have to wait for it."""
        if self._solitary in self._training:
            return True
        if self._alone and not self._training and self._timing is None and self.workers.capacity:
            trial = self._alone.popleft()
            self._solitary, self._training[trial.number] = trial.number, trial
            self.workers.submit(self._evaluation(trial, "train"))
            return True
        return bool(self._alone)

    def _free(self) -> int:
        """How many more trials may be started: by free workers, and by the budget that is not yet spoken for."""
        if self._failures >= FAILURES_IN_A_ROW:
            return 0
        under_way = len(self._training) + len(self._ready) + len(self._alone)
        return max(0, min(self.workers.capacity - len(self._training), self.budget - self.archive.spent - under_way))

    def _next(self, n: int) -> Sequence[Trial | Proposal]:
        """Up to n: trials that a dead driver or a lost worker left first, then new proposals."""
        if self._again:
            return [self._again.popleft()]
        if self._exhausted:
            return []
        self.folder.check_space()
        proposals = self.algorithm.ask(self.archive, n)
        self._exhausted = not proposals
        return proposals

    def _new(self, proposal: Proposal) -> Trial:
        architecture = self.problem.space.decode(proposal.genotype)
        return self.archive.start(
            proposal,
            architecture=architecture.to_json(),
            key=architecture.key,
            scores=self.problem.count(proposal.genotype),
            seed=seed_of(self.seed, key=architecture.key, replicate=proposal.replicate),
        )

    def _advance(self, trial: Trial) -> None:
        """Trains, times, finishes or prunes a trial, whichever is the next that it needs."""
        kinds = {o.kind for o in self.problem.objectives if o.name not in trial.scores}
        if kinds & {"trained", "counted"}:
            if (verdict := self._verdict(trial)) is not None and verdict.probability < self.stop_below:
                self._end(self.archive.prune(trial.number, details={"pruned": asdict(verdict)}))
            elif self._stop_at is None:  # else it stays at its rung, for a resume to take up
                self._training[trial.number] = trial
                self.workers.submit(self._evaluation(trial, "train"))
        elif kinds:
            self._ready.append(trial)
        else:
            self._end(self.archive.finish(trial.number))

    def _end(self, trial: Trial) -> None:
        """A trial is done with, and counts to the budget."""
        self._failures = 0
        self._forget(trial)
        self.on_change(trial)

    def _forget(self, trial: Trial) -> None:
        """The state that a trial left at its last rung is of no more use."""
        if curve(trial):
            discard(checkpoint_of(self._weights_of(trial)))

    def _verdict(self, trial: Trial) -> Verdict | None:
        """What is expected of a trial that is at a rung; another seed of a known architecture is never judged."""
        if not self.stop_below or not curve(trial) or trial.replicate:
            return None
        return forecast(self.problem, self.archive.trials, trial, frame=self.archive.frame)

    def _jobs(self, trial: Trial) -> list[int]:
        """The epochs at which the jobs of a trial's training end."""
        return [*(() if trial.replicate else self.recipe.get("rungs", ())), self.recipe.get("epochs", 0)]

    def _evaluation(self, trial: Trial, phase: Literal["train", "time"]) -> Evaluation:
        done, jobs = len(curve(trial)), self._jobs(trial)
        gone = trial.details.get("seconds", {}).get("total", 0.0)
        return Evaluation(
            number=trial.number,
            phase=phase,
            architecture=trial.architecture,
            recipe=self.recipe,
            seed=trial.seed,
            weights=self._weights_of(trial),
            timeout=max(1.0, self.timeout - gone) if self.timeout and phase == "train" else self.timeout,
            alone=phase == "train" and trial.number == self._solitary,
            after=jobs[done - 1] if done and phase == "train" else 0,
            until=jobs[done] if done < len(jobs) - 1 else 0,
        )

    def _weights_of(self, trial: Trial) -> str:
        return f"{self.weights or self.folder.weights.absolute()}/{weights_name(trial.key, trial.replicate)}"

    def _record(self, outcome: Outcome) -> None:
        """Writes down what came in, and moves its trial on."""
        if outcome.phase == "train":
            trial = self._training.pop(outcome.number)
        else:
            assert self._timing is not None
            trial, self._timing = self._timing, None
        wanted = [
            o.name for o in self.problem.objectives if o.kind == ("timed" if outcome.phase == "time" else "trained")
        ]
        missing = [name for name in wanted if name not in outcome.scores]
        if outcome.failure == "worker_lost" and trial.number not in self._retried:
            self._retried.add(trial.number)
            self._again.append(trial)
            self.folder.log("retried", trial=trial.number, message=outcome.message)
        elif outcome.failure == "out_of_memory" and self._most_workers > 1 and trial.number not in self._retried:
            self._retried.add(trial.number)
            self._alone.append(trial)
            self.folder.log("retried", trial=trial.number, message=outcome.message)
        elif outcome.failure is not None or missing:
            if outcome.failure == "error":
                self.folder.check_space()  # a full disk is no fault of the candidate, which stays running
            self._failures += 1
            failed = self.archive.fail(
                trial.number,
                kind=outcome.failure or "error",
                message=outcome.message if outcome.failure else f"the evaluation gave no {missing[0]}",
                details=outcome.details,
            )
            self._forget(failed)
            self.on_change(failed)
        elif outcome.phase == "train" and len(curve(trial)) < len(self._jobs(trial)) - 1:
            step = {"epoch": self._jobs(trial)[len(curve(trial))], **outcome.scores}
            details = {**outcome.details, "curve": [*curve(trial), step]}
            self._advance(self.archive.measured(trial.number, scores={}, details=details))
        else:
            self._advance(self.archive.measured(trial.number, scores=outcome.scores, details=outcome.details))


def seed_of(run_seed: int, *, key: str, replicate: int) -> int:
    """A trial's seed: a function of run seed, architecture and replicate, so that it does not depend on the order of trials."""
    digest = hashlib.sha256(f"{run_seed}:{key}:{replicate}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
