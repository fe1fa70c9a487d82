"""The pool on Ray with stub evaluators: what dies, hangs or lies becomes a failure, and the pool goes on."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluators.evaluation import Evaluation, EvaluatorSpec, Outcome
from nas.errors import UserError
from nas.workers import in_process, on_ray
from nas.workers.catalogue import BACKENDS, Workers
from nas.workers.in_process import InProcess
from nas.workers.on_ray import OnRay

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    import ray as library

    on_ray.start_ray(cpus=4, gpus=0)
    yield
    library.shutdown()


def evaluation(number: int, **options: Any) -> Evaluation:
    return Evaluation(number=number, phase="train", architecture={}, recipe={}, seed=number, **options)


def stub(**options: Any) -> EvaluatorSpec:
    return EvaluatorSpec("tests.stubs:Instant", options)


def collect(pool: Workers, evaluations: list[Evaluation], *, seconds: float = 60) -> dict[int, Outcome]:
    """Outcomes by number, with never more under way than the pool has room for."""
    outcomes: dict[int, Outcome] = {}
    left, end = list(evaluations), time.monotonic() + seconds
    while len(outcomes) < len(evaluations) and time.monotonic() < end:
        while left and len(evaluations) - len(left) - len(outcomes) < pool.capacity:
            pool.submit(left.pop(0))
        outcomes |= {outcome.number: outcome for outcome in pool.wait(0.5)}
    return outcomes


def test_two_actors_share_the_work(ray: None) -> None:
    pool = OnRay(stub(seconds=0.3, worker=True), workers=2)
    outcomes = collect(pool, [evaluation(number) for number in range(12)])
    assert len({outcome.details["worker"] for outcome in outcomes.values()}) == 2
    pool.close()


FAULTS = {
    "die": ("worker_lost", ""),
    "exit": ("worker_lost", ""),
    "raise": ("error", "a stub raised"),
    "junk": ("error", "returned dict"),
    "nan": ("error", "no finite number"),
    "other": ("error", "answered for trial"),
    "object": ("error", "not JSON serializable"),
    "kind": ("error", "of no kind"),
    "diverge": ("diverged", "nan"),
    "memory": ("out_of_memory", "no memory"),
    "device_memory": ("out_of_memory", "CUDA out of memory"),
    "host_memory": ("out_of_memory", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_become_failures_and_the_pool_goes_on(ray: None, fault: str) -> None:
    kind, words = FAULTS[fault]
    pool = OnRay(stub(faults={fault: 0.5}), workers=1)
    outcomes = collect(pool, [evaluation(number) for number in range(4)])
    failed = [outcome for outcome in outcomes.values() if outcome.failure]
    assert 0 < len(failed) < 4
    assert all(outcome.failure == kind and outcome.message and words in outcome.message for outcome in failed)
    pool.close()


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in {"die", "exit", "host_memory"}])
def test_faults_in_this_process(fault: str) -> None:
    kind, words = FAULTS[fault]
    outcomes = collect(InProcess(stub(faults={fault: 0.5})), [evaluation(number) for number in range(4)])
    failed = [outcome for outcome in outcomes.values() if outcome.failure]
    assert 0 < len(failed) < 4
    assert all(outcome.failure == kind and words in outcome.message for outcome in failed)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_hangs_is_ended(ray: None, monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    for module in (on_ray, in_process):
        monkeypatch.setattr(module, "GRACE_SECONDS", 0.5)
    pool = BACKENDS[backend](stub(faults={"hang": 1.0}), workers=1, gpus=0)
    outcomes = collect(pool, [evaluation(number, timeout=0.5) for number in range(2)])
    assert [outcome.failure for outcome in outcomes.values()] == ["timed_out", "timed_out"]
    pool.close()


def test_what_an_idle_worker_takes_with_it_is_nobodys_loss(ray: None) -> None:
    """A worker that was killed while it was idle never began what it is given next: another one takes that, and no failure is told."""
    pool = OnRay(stub(worker=True), workers=1)
    process = collect(pool, [evaluation(0)])[0].details["worker"]
    os.kill(process, signal.SIGKILL)
    outcome = collect(pool, [evaluation(1)])[1]
    assert outcome.failure is None and outcome.details["worker"] != process
    pool.close()


def test_the_time_of_a_trial_begins_when_its_worker_is_ready(ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_ray, "GRACE_SECONDS", 0.5)
    pool = OnRay(stub(start_seconds=3), workers=1)
    assert collect(pool, [evaluation(0, timeout=0.5)])[0].failure is None
    pool.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_worker_that_cannot_be_made_ends_the_search_with_the_reason(ray: None, backend: str) -> None:
    with pytest.raises(UserError, match="cannot start on this machine: the data set .* has checksum"):
        BACKENDS[backend](stub(fault_at_start="the data set 'x' has checksum 1"), workers=2, gpus=0)


def test_workers_that_die_while_they_start_end_the_search(ray: None) -> None:
    with pytest.raises(UserError, match="die while they start"):
        OnRay(stub(fault_at_start="die"), workers=1)


def test_more_workers_than_a_machine_can_hold_are_refused() -> None:
    with pytest.raises(UserError, match="--workers must be at most 1024, .* got 1000000000"):
        OnRay(stub(), workers=10**9)


def test_a_node_that_does_not_see_the_folder_ends_the_search(ray: None) -> None:
    with pytest.raises(UserError, match="does not see the run's folder"):
        OnRay(stub(), workers=1, folder="/nonexistent")


def test_the_token_of_ray_is_its_owners_alone(ray: None) -> None:
    token = Path.home() / ".ray" / "auth_token"
    if not token.exists():
        pytest.skip("this Ray writes no token")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def test_weights_go_to_a_url_and_their_checksum_is_kept(tmp_path: Path) -> None:
    from nas.workers.safely import digest, fetch

    url = f"file://{tmp_path}/store/abc.safetensors"
    (outcome,) = collect(InProcess(stub(weights=True)), [evaluation(0, weights=url)]).values()
    assert outcome.failure is None, outcome.message
    fetch(url, tmp_path / "here")
    assert outcome.details["weights_sha256"] == digest(tmp_path / "here")
    assert [file.name for file in (tmp_path / "store").iterdir()] == ["abc.safetensors"]


def test_weights_go_to_a_store_without_folders_whole_or_not_at_all(tmp_path: Path) -> None:
    """A store of objects, as S3 is one: no folders, no renaming but by copying; and one that breaks off in mid-copy."""
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem

    from nas.workers.safely import digest, fetch

    class Objects(MemoryFileSystem):
        protocol = "objects"
        broken = False

        def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
            super().put_file(lpath, rpath, **options)
            if Objects.broken:
                self.pipe_file(rpath, self.cat_file(rpath)[:10])
                raise OSError("the store closed the connection")

    fsspec.register_implementation("objects", Objects, clobber=True)
    workers = InProcess(stub(weights=True))
    for place in ("memory://bucket/run", "objects://bucket/run"):
        (outcome,) = collect(workers, [evaluation(0, weights=f"{place}/abc.safetensors")]).values()
        assert outcome.failure is None, outcome.message
        fetch(f"{place}/abc.safetensors", tmp_path / "here")
        assert outcome.details["weights_sha256"] == digest(tmp_path / "here")
    Objects.broken = True
    (outcome,) = collect(workers, [evaluation(1, weights="objects://bucket/run/def.safetensors")]).values()
    assert outcome.failure == "error" and "closed the connection" in outcome.message
    with pytest.raises(FileNotFoundError):
        fetch("objects://bucket/run/def.safetensors", tmp_path / "there")
    assert not (tmp_path / "there").exists() and not list(tmp_path.glob("*.part"))


def test_the_state_between_rungs_goes_to_a_url_and_comes_back(tmp_path: Path) -> None:
    from nas.workers.safely import discard

    url = f"file://{tmp_path}/store/abc.safetensors"
    workers = InProcess(EvaluatorSpec("tests.stubs:Rungs", {}))
    (outcome,) = collect(workers, [evaluation(0, weights=url, until=2)]).values()
    assert outcome.failure is None, outcome.message
    assert [file.name for file in (tmp_path / "store").iterdir()] == ["abc.safetensors.state"]
    (outcome,) = collect(workers, [evaluation(0, weights=url, after=2)]).values()
    assert outcome.scores == {"accuracy": 0.5}
    discard(url + ".state")
    (outcome,) = collect(workers, [evaluation(0, weights=url, after=2)]).values()
    assert outcome.scores == {"accuracy": 0.0}
    discard(url + ".state")


def test_a_timeout_outside_of_the_main_thread_is_left_to_the_evaluator() -> None:
    found: list[dict[int, Outcome]] = []
    thread = threading.Thread(target=lambda: found.append(collect(InProcess(stub()), [evaluation(0, timeout=1)])))
    thread.start()
    thread.join()
    assert found[0][0].failure is None
