"""Evaluations on Ray: one actor a share of a device, each holding its data; a dead actor is replaced. The only door to Ray's core."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

from evaluators.evaluation import Evaluation, EvaluatorSpec, Outcome
from nas.workers.in_process import run_safely

GRACE_SECONDS = 10.0


def start_ray(*, cpus: int, gpus: int, address: str | None = None) -> bool:
    """Starts Ray on this machine, or joins the cluster at `address`; whether this call started it.

    No dashboard, no reports of use, no worker output, and the token that guards the cluster readable by its owner alone.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        return False
    options: dict[str, Any] = {} if address else {"num_cpus": cpus, "num_gpus": gpus, "include_dashboard": False}
    ray.init(address=address or "local", logging_level=logging.ERROR, log_to_driver=False, **options)
    token = Path.home() / ".ray" / "auth_token"
    if token.exists():
        token.chmod(0o600)
    return True


class OnRay:
    """A pool of actors. Each runs one evaluation at a time and is killed, and replaced, when it dies or overruns its time."""

    def __init__(self, spec: EvaluatorSpec, *, workers: int, gpus: int = 0, address: str | None = None) -> None:
        self.capacity = workers
        self._started = start_ray(cpus=workers, gpus=gpus, address=address)
        import ray

        self._ray = ray
        self._spec = spec
        self._share = gpus / workers if gpus else 0.0
        self._idle = [self._actor() for _ in range(workers)]
        self._running: dict[Any, tuple[Evaluation, Any, float]] = {}

    def submit(self, evaluation: Evaluation) -> None:
        """Starts an evaluation on an idle actor."""
        actor = self._idle.pop()
        self._running[actor.run.remote(evaluation)] = (evaluation, actor, time.monotonic())

    def wait(self, seconds: float) -> list[Outcome]:
        """Outcomes that have come in, those of lost and of overdue actors too."""
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds) if self._running else ([], [])
        if ready:  # whatever else has come in meanwhile
            ready, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        outcomes = [self._collect(reference) for reference in ready]
        return outcomes + [self._give_up(reference) for reference in self._overdue()]

    def close(self) -> None:
        """Ends the actors, and Ray if it was started here."""
        for _, actor, _ in self._running.values():
            self._ray.kill(actor)
        for actor in self._idle:
            self._ray.kill(actor)
        self._running.clear()
        self._idle.clear()
        if self._started:
            self._ray.shutdown()

    def _actor(self) -> Any:
        return self._ray.remote(_Worker).options(num_cpus=1, num_gpus=self._share, max_restarts=0).remote(self._spec)

    def _collect(self, reference: Any) -> Outcome:
        evaluation, actor, _ = self._running.pop(reference)
        try:
            outcome: Outcome = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            self._idle.append(self._actor())
            return _lost(evaluation, error)
        except self._ray.exceptions.RayError as error:
            outcome = _lost(evaluation, error)
        self._idle.append(actor)
        return outcome

    def _overdue(self) -> list[Any]:
        now = time.monotonic()
        return [
            reference
            for reference, (evaluation, _, start) in self._running.items()
            if evaluation.timeout and now - start > evaluation.timeout + GRACE_SECONDS
        ]

    def _give_up(self, reference: Any) -> Outcome:
        evaluation, actor, start = self._running.pop(reference)
        self._ray.kill(actor)
        self._idle.append(self._actor())
        message = f"no answer {time.monotonic() - start:.0f} s after the start; the worker was ended"
        return Outcome(evaluation.number, evaluation.phase, failure="timed_out", message=message)


def _lost(evaluation: Evaluation, error: BaseException) -> Outcome:
    text = " ".join(str(error).split())
    kind = "out_of_memory" if "OutOfMemory" in type(error).__name__ or "ran out of memory" in text else "worker_lost"
    return Outcome(
        evaluation.number, evaluation.phase, failure=kind, message=text[:300] or "the worker's process ended"
    )


class _Worker:
    """The actor: one evaluator, made in the actor's own process."""

    def __init__(self, spec: EvaluatorSpec) -> None:
        self._evaluator = spec.make()

    def run(self, evaluation: Evaluation) -> Outcome:
        return run_safely(self._evaluator, evaluation)
