"""Evaluations on Ray: one actor a share of a device, each holding its data; a dead actor is replaced. The only door to Ray's core."""

from __future__ import annotations

import logging
import os
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evaluators.evaluation import Evaluation, Evaluator, EvaluatorSpec, Outcome
from nas.errors import UserError
from nas.workers.safely import make_evaluator, run_safely

GRACE_SECONDS = 10.0
CRASHES_AT_START = 5
MOST_WORKERS = 1024
REFRESH_SECONDS = 2.0


def start_ray(*, cpus: int, gpus: int, address: str | None = None) -> bool:
    """Starts Ray on this machine, or joins the cluster at `address`; whether this call started it.

    No dashboard, no reports of use, no worker output, and the token that guards the cluster readable by its owner alone.

    Raises:
        UserError: there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        return False
    options: dict[str, Any] = {} if address else {"num_cpus": cpus, "num_gpus": gpus, "include_dashboard": False}
    mask = os.umask(0o077)  # Ray writes its token readable by everybody
    try:
        _probe(address)
        ray.init(address=address or "local", logging_level=logging.ERROR, log_to_driver=False, **options)
    except (ConnectionError, TimeoutError, socket.gaierror, ValueError) as error:
        raise UserError(
            f"--address must name a running Ray cluster, and none answers at {address!r} ({' '.join(str(error).split())[:200]}): "
            "start one with ray start --head"
        ) from None
    finally:
        os.umask(mask)
        token = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
        if token.exists() and token.stat().st_uid == os.geteuid():
            token.chmod(0o600)
    return True


def _probe(address: str | None) -> None:
    """Knocks at HOST:PORT, where Ray itself would wait for minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()


@dataclass(frozen=True)
class _Ready:
    """An actor that has made its evaluator, and the node that it is on."""

    actor: Any
    node: str


@dataclass(frozen=True)
class _Job:
    """An evaluation on an actor since a moment; `begun` has an answer once the actor has come to it."""

    evaluation: Evaluation
    worker: _Ready
    begun: Any
    since: float


class OnRay:
    """A pool of actors. Each runs one evaluation at a time and is killed, and replaced, when it dies or overruns its time.

    Without `workers` the pool has an actor a GPU of the cluster, or a core where there are none, and grows and shrinks with the
    cluster. `folder` must be seen from every node: there the weights go.
    """

    def __init__(
        self, spec: EvaluatorSpec, *, workers: int, gpus: int = 0, address: str | None = None, folder: str = ""
    ) -> None:
        if workers > MOST_WORKERS:
            raise UserError(f"--workers must be at most {MOST_WORKERS}, each a process of its own, got {workers}")
        self._started = start_ray(cpus=workers, gpus=gpus, address=address)
        import ray

        self._ray: Any = ray
        self._cluster = address is not None
        self._wanted, self._folder, self._crashes, self._refreshed = workers, folder, 0, 0.0
        if self._cluster and spec.options.get("device") == "auto":
            gpus = int(self._ray.cluster_resources().get("GPU", 0))
            spec = replace(spec, options={**spec.options, "device": "cuda" if gpus else "cpu"})
        self._spec = spec
        self._share = (
            (1.0 if self._cluster else gpus / workers) if spec.options.get("device") != "cpu" and gpus else 0.0
        )
        self._starting: dict[Any, Any] = {}
        self._idle: list[_Ready] = []
        self._running: dict[Any, _Job] = {}
        self._waiting: list[Evaluation] = []  # whose actor died before it came to them
        try:
            self._fill()
            while not self._idle:
                self.wait(0.5)
        except BaseException:
            self.close()
            raise

    @property
    def capacity(self) -> int:
        """How many actors are ready, at work or not."""
        return len(self._idle) + len(self._running)

    def submit(self, evaluation: Evaluation) -> None:
        """Starts an evaluation on an idle actor."""
        worker = self._idle.pop()
        begun = worker.actor.ready.remote()
        self._running[worker.actor.run.remote(evaluation)] = _Job(evaluation, worker, begun, time.monotonic())

    def wait(self, seconds: float) -> list[Outcome]:
        """Outcomes that have come in, those of lost and of overdue actors too.

        Raises:
            UserError: an actor cannot make its evaluator.
        """
        references = [*self._running, *self._starting]
        if references:
            ready, _ = self._ray.wait(references, num_returns=1, timeout=seconds)
            if ready:  # whatever else has come in meanwhile
                ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        else:
            time.sleep(seconds)
            ready = []
        outcomes = []
        for reference in ready:
            if reference in self._starting:
                self._join(reference)
            else:
                outcomes += self._collect(reference)
        while self._waiting and self._idle:
            self.submit(self._waiting.pop(0))
        outcomes += [self._give_up(reference) for reference in self._overdue()]
        self._fill()
        return outcomes

    def close(self) -> None:
        """Ends the actors, and Ray if it was started here."""
        workers = [job.worker.actor for job in self._running.values()] + [worker.actor for worker in self._idle]
        for actor in [*workers, *self._starting.values()]:
            self._ray.kill(actor)
        self._running.clear()
        self._idle.clear()
        self._starting.clear()
        if self._started:
            self._ray.shutdown()

    def _fill(self) -> None:
        """Starts what is missing of the pool; in a cluster, now and then, drops idle actors of nodes that left."""
        wanted = self._wanted
        if self._cluster:
            if time.monotonic() - self._refreshed < REFRESH_SECONDS:
                return
            self._refreshed = time.monotonic()
            nodes = [node for node in self._ray.nodes() if node["Alive"]]
            alive = {node["NodeID"] for node in nodes}
            self._idle = [worker for worker in self._idle if worker.node in alive]
            kind = "GPU" if self._share else "CPU"
            wanted = wanted or sum(int(node["Resources"].get(kind, 0)) for node in nodes)
        missing = wanted - self.capacity - len(self._starting)
        for _ in range(missing):
            options = {"num_cpus": 1, "num_gpus": self._share, "max_restarts": 0}
            actor: Any = self._ray.remote(_Worker).options(**options).remote(self._spec, self._folder)
            self._starting[actor.ready.remote()] = actor
        for reference in list(self._starting)[: max(0, -missing)]:
            self._ray.kill(self._starting.pop(reference))

    def _join(self, reference: Any) -> None:
        """Takes an actor that is ready into the pool."""
        actor = self._starting.pop(reference)
        try:
            node, fault = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._crashes += 1
            if self._crashes >= CRASHES_AT_START:
                reason = " ".join(str(error).split())[:300]
                raise UserError(f"workers die while they start, {self._crashes} in a row: {reason}") from None
            return
        if fault:
            raise UserError(fault)
        self._crashes = 0
        self._idle.append(_Ready(actor, node))

    def _collect(self, reference: Any) -> list[Outcome]:
        """The outcome of an evaluation that has come back; none where its actor had died idle, for then another one takes it."""
        job = self._running.pop(reference)
        try:
            outcome: Outcome = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self._ray.kill(job.worker.actor)  # dead already, or in no state to be trusted
            if not self._begun(job):
                self._waiting.append(job.evaluation)
                return []
            return [_lost(job.evaluation, error)]
        self._idle.append(job.worker)
        return [outcome]

    def _begun(self, job: _Job) -> bool:
        try:
            self._ray.get(job.begun, timeout=0)
        except self._ray.exceptions.RayError:
            return False
        return True

    def _overdue(self) -> list[Any]:
        now = time.monotonic()
        return [
            reference
            for reference, job in self._running.items()
            if job.evaluation.timeout and now - job.since > job.evaluation.timeout + GRACE_SECONDS
        ]

    def _give_up(self, reference: Any) -> Outcome:
        job = self._running.pop(reference)
        self._ray.kill(job.worker.actor)
        message = f"no answer {time.monotonic() - job.since:.0f} s after the start; the worker was ended"
        return Outcome(job.evaluation.number, job.evaluation.phase, failure="timed_out", message=message)


def _lost(evaluation: Evaluation, error: BaseException) -> Outcome:
    text = " ".join(str(error).split())
    kind = "out_of_memory" if "OutOfMemory" in type(error).__name__ or "ran out of memory" in text else "worker_lost"
    return Outcome(
        evaluation.number, evaluation.phase, failure=kind, message=text[:300] or "the worker's process ended"
    )


class _Worker:
    """The actor: one evaluator, made in the actor's own process."""

    def __init__(self, spec: EvaluatorSpec, folder: str) -> None:
        self._evaluator: Evaluator | None = None
        self._fault = ""
        try:
            self._evaluator = make_evaluator(spec)
        except UserError as error:
            self._fault = str(error)
        if folder and not os.path.isdir(folder):
            self._fault = (
                f"this node does not see the run's folder {folder!r}: put the run on a file system that all nodes share, "
                "or name a place for the weights with --weights"
            )

    def ready(self) -> tuple[str, str]:
        """The node's id, and why this worker cannot work, if so."""
        import ray

        fault = f"{self._fault} (node {socket.gethostname()})" if self._fault else ""
        return ray.get_runtime_context().get_node_id(), fault

    def run(self, evaluation: Evaluation) -> Outcome:
        assert self._evaluator is not None
        return run_safely(self._evaluator, evaluation)
